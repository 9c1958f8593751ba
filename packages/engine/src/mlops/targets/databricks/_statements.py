"""SQL by the Statement Execution API, on the warehouse that `mlops.toml` names."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping
from typing import Any

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.spec.settings import FILE
from mlops.targets.databricks.connect import Connection, enum
from mlops.tracking.databricks_errors import databricks_sentences

_PAUSE, _WAIT_SECONDS = 2.0, 900.0
"""Seconds between two looks, and in all: a warehouse that was asleep starts first."""
_GOES_ON = ("PENDING", "RUNNING")


class Statements:
    """Runs statements for one environment."""

    def __init__(self, connection: Connection, environment: str) -> None:
        self._connection, self._environment = connection, environment

    def rows(
        self, statement: str, parameters: Mapping[str, str], times: Container[str] = ()
    ) -> list[list[str]]:
        """All rows of the result, each value as text. `times`: parameters that are timestamps.

        Raises `InvalidInput` when no warehouse is named, `TargetError` with what Databricks says of a
        statement that fails.
        """
        from databricks.sdk.service.sql import Disposition, Format, StatementParameterListItem

        warehouse = self._connection.settings.databricks.warehouse
        if not warehouse:
            raise InvalidInput(
                Problem(
                    FILE,
                    "names no SQL warehouse, and captured traffic lies in a table; set it to the id of one",
                    "databricks.warehouse",
                )
            )
        given = [
            StatementParameterListItem(name, "TIMESTAMP" if name in times else "STRING", value)
            for name, value in parameters.items()
        ]
        api: Any = self._connection.client(self._environment).statement_execution
        with databricks_sentences(f"read captured traffic of {self._environment}"):
            answer = api.execute_statement(
                " ".join(statement.split()), warehouse, parameters=given, wait_timeout="30s",
                disposition=Disposition.INLINE, format=Format.JSON_ARRAY,
            )  # fmt: skip
            until = time.monotonic() + _WAIT_SECONDS
            while enum(answer.status.state) in _GOES_ON and time.monotonic() < until:
                time.sleep(_PAUSE)
                answer = api.get_statement(answer.statement_id)
            self._require_success(answer)
            result = answer.result
            rows: list[list[str]] = []
            while result is not None:
                rows += result.data_array or []
                if not result.next_chunk_index:
                    break
                result = api.get_statement_result_chunk_n(answer.statement_id, result.next_chunk_index)
        return rows

    def _require_success(self, answer: Any) -> None:
        state = enum(answer.status.state)
        if state in _GOES_ON:
            raise TargetError(
                f"the SQL warehouse has not answered within {_WAIT_SECONDS:g} s; see under SQL Warehouses in "
                "the workspace whether it starts, then run the same command again"
            )
        if state != "SUCCEEDED":
            why = answer.status.error.message if answer.status.error else "no reason is given"
            raise TargetError(f"captured traffic of {self._environment} cannot be read: {state}: {why[:400]}")
        if answer.manifest is not None and answer.manifest.truncated:
            raise TargetError(
                f"captured traffic of {self._environment} cannot be read: a result is larger than Databricks "
                "hands out (25 MB)"
            )
