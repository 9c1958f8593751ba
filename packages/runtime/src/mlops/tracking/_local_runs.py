"""Runs in the laptop's database, read by SQL for whoever only looks. They are written by MLflow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlops.errors import NotFound
from mlops.tracking._run import Run

if TYPE_CHECKING:
    import sqlite3

    from mlops.tracking._local import LocalDatabase

_RUNS = """\
SELECT r.run_uuid, r.experiment_id, r.name, r.status, r.start_time, r.end_time, r.artifact_uri FROM runs r
WHERE {where} ORDER BY r.start_time DESC, r.run_uuid LIMIT ?"""
_ACTIVE = "r.lifecycle_stage = 'active'"
_TAGGED = "EXISTS (SELECT 1 FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = ? AND t.value = ?)"
_AT_ONCE = 400
"""Runs in one question: SQLite takes a limited number of values."""


def get(database: LocalDatabase, run_id: str) -> Run:
    """One run, also one in the bin; raises `NotFound`."""
    with database.connection(f"read run {run_id}") as connection:
        matching = _read(connection, ["r.run_uuid = ?"], [run_id], 1)
    if not matching:
        raise NotFound(f"cannot read run {run_id}: there is no such run")
    return matching[0]


def find(
    database: LocalDatabase,
    *,
    experiment: str | None = None,
    experiment_id: str | None = None,
    tags: Mapping[str, str],
    status: str | None = None,
    limit: int | None = None,
) -> list[Run]:
    """Runs that carry all of `tags`, newest first; of one experiment, by name or number, or of all."""
    where, values = [_ACTIVE], list[object]()
    if experiment is not None:
        where.append("r.experiment_id = (SELECT experiment_id FROM experiments WHERE name = ?)")
        values.append(experiment)
    elif experiment_id is not None:
        where.append("r.experiment_id = ?")
        values.append(int(experiment_id))
    else:
        where.append(
            "r.experiment_id IN (SELECT experiment_id FROM experiments WHERE lifecycle_stage = 'active')"
        )
    if status is not None:
        where.append("r.status = ?")
        values.append(status)
    for pair in tags.items():
        where.append(_TAGGED)
        values += pair
    with database.connection("search the runs") as connection:
        return _read(connection, where, values, -1 if limit is None else limit)


def _read(
    connection: sqlite3.Connection, where: Sequence[str], values: Sequence[object], limit: int
) -> list[Run]:
    listed = connection.execute(_RUNS.format(where=" AND ".join(where)), [*values, limit]).fetchall()
    runs: list[Run] = []
    for start in range(0, len(listed), _AT_ONCE):
        part = listed[start : start + _AT_ONCE]
        names = [row[0] for row in part]
        params, tags = (_texts(connection, table, names) for table in ("params", "tags"))
        metrics = _numbers(connection, names)
        runs += [
            Run(
                run_id=run,
                experiment_id=str(experiment),
                name=name or "",
                status=status,
                started=begun or 0,
                ended=ended or 0,
                artifact_uri=place,
                params=params[run],
                metrics=metrics[run],
                tags=tags[run],
            )
            for run, experiment, name, status, begun, ended, place in part
        ]
    return runs


def _texts(connection: sqlite3.Connection, table: str, runs: Sequence[str]) -> dict[str, dict[str, str]]:
    by_run: dict[str, dict[str, str]] = {run: {} for run in runs}
    for run, key, value in connection.execute(_of(table, "key, value", runs), runs):
        by_run[run][key] = value
    return by_run


def _numbers(connection: sqlite3.Connection, runs: Sequence[str]) -> dict[str, dict[str, float]]:
    by_run: dict[str, dict[str, float]] = {run: {} for run in runs}
    for run, key, value, is_nan in connection.execute(
        _of("latest_metrics", "key, value, is_nan", runs), runs
    ):
        by_run[run][key] = math.nan if is_nan else float(value)
    return by_run


def _of(table: str, columns: str, runs: Sequence[str]) -> str:
    """`table` and `columns` are words of this module."""
    return f"SELECT run_uuid, {columns} FROM {table} WHERE run_uuid IN ({', '.join('?' * len(runs))})"  # noqa: S608
