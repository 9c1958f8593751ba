"""Captured traffic by inference tables; labels, verdicts and retrains in the environment's volume.

An endpoint whose model is captured logs its requests to `<catalog>.<schema>.<model>_payload`. A SQL warehouse
reads that table, and the system's table of served entities says which release answered. Rows come up to an
hour late; what is older than that is fetched once and kept.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlops.errors import NotFound
from mlops.spec import writing
from mlops.targets._captured_rows import Row, captured_table, parquet
from mlops.targets._records import require_record_name
from mlops.targets.base import Record
from mlops.targets.databricks._inference_table import captured, prefix
from mlops.targets.databricks._logged import Logged, NotRows, moment, rows_of
from mlops.targets.databricks._served import OWN
from mlops.targets.databricks._statements import Statements
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.registry import Catalogs
from mlops.targets.databricks.store import Volume
from mlops.tracking.unity import VERSION

_PAGE = 2000
"""Requests of one statement; its result must stay below 25 MB."""
_LATE = timedelta(hours=2)
"""Logs are there within an hour, Databricks says; then a clock may differ."""
_HOUR = timedelta(hours=1)
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_STATE = "fetched.json"
_FILE = re.compile(r"(\d{8}T\d{2})-.*\.parquet")
_STAMP = "%Y%m%dT%H"
_ENTITIES = """
SELECT served_entity_id, served_entity_name, entity_version, change_time
FROM system.serving.served_entities WHERE endpoint_name = :endpoint ORDER BY change_time
"""
_REQUESTS = """
SELECT databricks_request_id, request_time, served_entity_id, request, response
FROM {table}
WHERE status_code = 200 AND request_time >= :since AND request_time < :until
AND (client_request_id IS NULL OR client_request_id <> :own)
AND (request_time > :at OR (request_time = :at AND databricks_request_id > :after))
ORDER BY request_time, databricks_request_id LIMIT {rows}
"""


class DatabricksObservations:
    """Implements `mlops.targets.base.Observations`; what was fetched once is kept below the state folder."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def captured(
        self, environment: str, model: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[Path]:
        """A Parquet file for each hour, deployment and release.

        Raises `InvalidInput` when no warehouse is named, `TargetError` when the table may not be read.
        """
        if not captured(self._connection, model):
            return []
        folder = self._connection.state / "captured-databricks" / environment / model
        now = datetime.now(UTC)
        end = min(until or now, now)
        start, begin = self._begin(folder, since)
        if begin < end:
            self._fetch(environment, model, folder, begin, end)
            done = _floor(min(end, now - _LATE))
            if done > begin:
                told = {"from": start.isoformat(), "to": done.isoformat()}
                writing.write(folder / _STATE, json.dumps(told).encode(), durable=False)
        first, last = _floor(since or _BEGINNING), until or now
        return sorted(path for path, hour in _files(folder) if first <= hour < last)

    def add(self, environment: str, model: str, kind: Record, name: str, content: bytes) -> bool:
        """See `mlops.targets.base.Observations.add`. Raises `InvalidInput` for what is no file name."""
        require_record_name(name)
        volume, path = Volume(self._connection, environment), f"{_folder(environment, model, kind)}/{name}"
        # A client sends a request again when its answer was lost: the first may have arrived.
        return volume.create(path, content) or volume.read(path) == content

    def files(self, environment: str, model: str, kind: Record) -> list[Path]:
        """See `mlops.targets.base.Observations.files`; they never change, so each is fetched once."""
        volume, prefix = Volume(self._connection, environment), _folder(environment, model, kind)
        folder = self._connection.state / "monitor-databricks" / environment / model / kind
        paths = []
        for name in volume.names(prefix):
            path = folder / name.rpartition("/")[2]
            if not path.is_file():
                writing.write(path, volume.read(name), durable=False)
            paths.append(path)
        return sorted(paths)

    def _begin(self, folder: Path, since: datetime | None) -> tuple[datetime, datetime]:
        """Since when everything is known once it is fetched, and from where that has to be."""
        wanted = _floor(since or _BEGINNING)
        try:
            told = json.loads((folder / _STATE).read_bytes())
            start, end = (datetime.fromisoformat(told[key]) for key in ("from", "to"))
        except (OSError, ValueError, KeyError, TypeError):
            return wanted, wanted
        return (start, end) if start <= wanted <= end else (wanted, wanted)

    def _fetch(self, environment: str, model: str, folder: Path, begin: datetime, end: datetime) -> None:
        """Write the files of these hours anew."""
        releases = _Releases(self._connection, environment, model)
        binary = self._connection.is_binary(model)
        groups: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
        aside: dict[str, list[dict[str, str]]] = defaultdict(list)
        for line in self._lines(environment, model, begin, end):
            hour = line.time.strftime(_STAMP)
            try:
                release = releases.of(line)
                groups[hour, line.entity, release] += rows_of(line, release, binary)
            except NotRows as why:
                aside[hour].append({"request": line.request_id, "reason": str(why)})
        for path, of in _files(folder):
            if begin <= of < end:
                path.unlink(missing_ok=True)
        for hour, lines in aside.items():
            text = "".join(f"{json.dumps(line)}\n" for line in lines)
            writing.write(folder / "set-aside" / f"{hour}.jsonl", text.encode(), durable=False)
            groups.setdefault((hour, "none", 0), [])
        for (hour, entity, release), rows in groups.items():
            bad = len(aside.pop(hour, ()))
            table = captured_table(sorted(rows, key=lambda row: row[0]), set_aside=bad)
            writing.write(folder / f"{hour}-{entity}-v{release}.parquet", parquet(table), durable=False)

    def _lines(self, environment: str, model: str, begin: datetime, end: datetime) -> Iterator[Logged]:
        place = self._connection.place(environment)
        statements = Statements(self._connection, environment)
        endpoint = self._connection.endpoint(environment, model)
        entities = _Entities(statements.rows(_ENTITIES, {"endpoint": endpoint}))
        names = (place.catalog, place.schema, f"{prefix(model)}_payload")
        table = ".".join(f"`{name}`" for name in names)
        text = _REQUESTS.format(table=table, rows=_PAGE)
        at, after = _text(begin - _HOUR), ""
        while True:
            given = {"since": _text(begin), "until": _text(end), "own": OWN, "at": at, "after": after}
            times = {"since", "until", "at"}
            page = statements.rows(text, given, times)
            for request_id, asked_at, entity, request, response in page:
                name, version = entities.of(entity, asked_at)
                yield Logged(request_id, asked_at, request, response, name, version)
            if len(page) < _PAGE:
                return
            after, at = page[-1][0], page[-1][1]


class _Entities:
    """Names and versions of served entities by their id; of several rows that which was true at the time."""

    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        self._rows: dict[str, list[tuple[datetime, str, str]]] = defaultdict(list)
        for entity, name, version, changed in rows:
            self._rows[entity].append((moment(changed), name, version))

    def of(self, entity: str, at: str) -> tuple[str, str]:
        """Its name and version at a time; both empty for an entity that the table does not know."""
        rows, then = self._rows.get(entity, []), moment(at)
        before = [row for row in rows if row[0] <= then] or rows[:1]
        return before[-1][1:] if before else ("", "")


class _Releases:
    """A release's number by the version that the environment's catalog gave its copy."""

    def __init__(self, connection: Connection, environment: str, model: str) -> None:
        self._catalog = Catalogs(connection, environment)
        self._model = model
        self._known: dict[str, int] = {}

    def of(self, line: Logged) -> int:
        """Raises `NotRows` when nothing says which release it is."""
        version = line.entity_version
        if version not in self._known:
            if not version.isdecimal():
                raise NotRows("system.serving.served_entities does not know its served entity")
            try:
                copy = self._catalog.get(self._model, int(version))
            except NotFound:
                raise NotRows(f"version {version} of its model is deleted") from None
            self._known[version] = int(copy.tags.get(VERSION, version))
        return self._known[version]


def _files(folder: Path) -> list[tuple[Path, datetime]]:
    return [
        (path, datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC))
        for path in folder.glob("*.parquet")
        if (match := _FILE.fullmatch(path.name))
    ]


def _floor(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _folder(environment: str, model: str, kind: Record) -> str:
    return f"environments/{environment}/monitor/{model}/{kind}"
