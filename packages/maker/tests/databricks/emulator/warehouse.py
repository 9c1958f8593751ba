"""A SQL warehouse with inference tables and the table of served entities, by the Statement Execution API.

Statements are really run, by SQLite, which has no names of three levels: each table is called by its whole
name.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .http import Answer, Refused, Request
from .typed import only

if TYPE_CHECKING:
    from .server import Emulator

_TABLE = re.compile(r"`?(\w+)`?\.`?(\w+)`?\.`?(\w+)`?")
_CHUNK = 3
"""Rows of a chunk; the real one has thousands. Clients have to ask for the next one either way."""
ENTITIES = "system.serving.served_entities"
SERVED = (
    "served_entity_id", "endpoint_name", "served_entity_name", "entity_name", "entity_version", "change_time",
)  # fmt: skip
PAYLOAD = (
    "databricks_request_id", "client_request_id", "request_time", "status_code", "served_entity_id",
    "request", "response", "execution_duration_ms", "requester", "sampling_fraction",
)  # fmt: skip


class Warehouse:
    """`id`: of the only warehouse; `asleep`: looks until it has started; `refuse`: why statements fail."""

    def __init__(self, emulator: Emulator) -> None:
        self.id = "0123456789abcdef"
        self.asleep = 0
        self.refuse = ""
        self.statements: list[str] = []
        self._emulator = emulator
        self._results: dict[str, list[list[str | None]]] = {}
        self._starting: dict[str, int] = {}
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute(f'CREATE TABLE "{ENTITIES}" ({", ".join(SERVED)})')

    def serves(self, entity: str, endpoint: str, name: str, model: str, version: str) -> None:
        """A served entity is made."""
        row = (entity, endpoint, name, model, version, now())
        self._database.execute(f'INSERT INTO "{ENTITIES}" VALUES (?,?,?,?,?,?)', row)  # noqa: S608

    def log(self, table: str, **row: Any) -> None:
        """One line of an inference table, which is made with its first."""
        names = ", ".join(PAYLOAD)
        self._database.execute(f'CREATE TABLE IF NOT EXISTS "{table}" ({names})')
        values = {"sampling_fraction": 1.0, "requester": "tests", "execution_duration_ms": 1, **row}
        marks = ", ".join(f":{name}" for name in PAYLOAD)
        self._database.execute(
            f'INSERT INTO "{table}" VALUES ({marks})',  # noqa: S608
            {name: values.get(name) for name in PAYLOAD},
        )

    def execute(self, request: Request) -> Answer:
        body = request.json
        only(body, "statement", "warehouse_id", "parameters", "wait_timeout", "disposition", "format")
        if body["warehouse_id"] != self.id:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"Warehouse {body['warehouse_id']} was not found")
        self.statements.append(body["statement"])
        key = str(uuid.uuid4())
        self._starting[key] = self.asleep
        try:
            self._results[key] = self._rows(body)
        except sqlite3.Error as error:
            return Answer(200, _failed(key, f"[TABLE_OR_VIEW_NOT_FOUND] {error}"))
        if self.refuse:
            return Answer(200, _failed(key, self.refuse))
        return self._state(key)

    def get(self, request: Request, key: str) -> Answer:
        self._starting[key] -= 1
        return self._state(key)

    def chunk(self, request: Request, key: str, number: str) -> Answer:
        return Answer(200, self._chunk(key, int(number)))

    def _rows(self, body: dict[str, Any]) -> list[list[str | None]]:
        for catalog, _, _ in _TABLE.findall(body["statement"]):
            if catalog != "system":
                self._emulator.unity.may(f"{catalog}.any.table")
        statement = _TABLE.sub(r'"\1.\2.\3"', body["statement"])
        given = {p["name"]: p["value"] for p in body.get("parameters", [])}
        rows = self._database.execute(statement, given).fetchall()
        return [[None if value is None else str(value) for value in row] for row in rows]

    def _state(self, key: str) -> Answer:
        if self._starting[key] > 0:
            return Answer(200, {"statement_id": key, "status": {"state": "PENDING"}})
        rows = self._results[key]
        return Answer(
            200,
            {
                "statement_id": key,
                "status": {"state": "SUCCEEDED"},
                "manifest": {"format": "JSON_ARRAY", "total_row_count": len(rows), "truncated": False},
                "result": self._chunk(key, 0),
            },
        )

    def _chunk(self, key: str, number: int) -> dict[str, Any]:
        rows = self._results[key]
        part = rows[number * _CHUNK : (number + 1) * _CHUNK]
        row: dict[str, Any] = {"chunk_index": number, "row_count": len(part), "data_array": part}
        if (number + 1) * _CHUNK < len(rows):
            row["next_chunk_index"] = number + 1
        return row


def _failed(key: str, why: str) -> dict[str, Any]:
    error = {"error_code": "BAD_REQUEST", "message": why}
    return {"statement_id": key, "status": {"state": "FAILED", "error": error}}


def now() -> str:
    """As the warehouse writes a timestamp of this moment."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def install(emulator: Emulator) -> Warehouse:
    warehouse = Warehouse(emulator)
    add = emulator.router.add
    base = r"/api/2\.0/sql/statements"
    add("POST", rf"{base}/?", warehouse.execute)
    add("GET", rf"{base}/(?P<key>[\w-]+)", warehouse.get)
    add("GET", rf"{base}/(?P<key>[\w-]+)/result/chunks/(?P<number>\d+)", warehouse.chunk)
    return warehouse
