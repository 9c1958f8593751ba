"""The laptop's registry, asked by SQL: what verbs that look need of it costs milliseconds.

`import mlflow` takes two seconds and its first call another one. The tables that are read here are those
of one schema, known by its number; a database of another one is left to MLflow itself. Runs, parameters and
metrics are read here too (`_local_runs.py`); MLflow writes them, and makes new versions.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlops.errors import NotFound, TargetError
from mlops.tracking import _sqlite
from mlops.tracking._connection import full
from mlops.tracking._version import RegisteredVersion, created

SCHEMA = "6f8d9c3b2a1e"
"""The migration that made the tables which are read here."""
_WORKSPACE = "default"
_GONE = "Deleted_Internal"
_OURS = re.compile(r"mlops(\.[\w-]+){1,9}")
_TAG_LENGTH = 8000
"""Characters of a run's tag that MLflow's table has room for."""
_VERSIONS = """\
SELECT version, run_id, source, creation_time FROM model_versions
WHERE workspace = ? AND name = ? AND current_stage IS NOT ? {more} ORDER BY version DESC LIMIT ?"""
_TAGGED = """\
AND version IN (
  SELECT version FROM model_version_tags WHERE workspace = ? AND key = ? AND name = ? AND value = ?)"""
# The index begins with the key: whoever asks for all tags of a version goes from key to key.
_TAGS = """\
WITH RECURSIVE known(key) AS (
  SELECT min(key) FROM model_version_tags WHERE workspace = :workspace
  UNION ALL
  SELECT (SELECT min(key) FROM model_version_tags WHERE workspace = :workspace AND key > known.key)
  FROM known WHERE known.key IS NOT NULL)
SELECT t.version, t.key, t.value FROM known JOIN model_version_tags t
ON t.workspace = :workspace AND t.key = known.key AND t.name = :name AND t.version BETWEEN :first AND :last"""


def opened(uri: str) -> LocalDatabase | None:
    """The database of a `sqlite:` address; None for anything else, and for one that is MLflow's business."""
    if not uri.startswith("sqlite:") or os.environ.get("MLFLOW_ENABLE_WORKSPACES"):
        return None
    path = _sqlite.path_of(uri)
    _sqlite.prepare(path)
    database = LocalDatabase(path)
    return database if database.schema() == SCHEMA else None


class LocalDatabase:
    """Every method raises `TargetError` when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def schema(self) -> str:
        """The number of the last migration."""
        with self.connection("open the registry") as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else ""

    def versions(
        self, model: str, tags: Mapping[str, str], limit: int | None, only: int | None = None
    ) -> list[RegisteredVersion]:
        """Those that carry all of `tags`, highest number first; at most `limit`."""
        more, values = "", [_WORKSPACE, model, _GONE]
        for key, value in tags.items():
            more += _TAGGED
            values += [_WORKSPACE, key, model, value]
        parameters: list[object] = [*values]
        if only is not None:
            more += " AND version = ?"
            parameters.append(only)
        with self.connection(f"list the versions of {model}") as connection:
            rows = connection.execute(
                _VERSIONS.format(more=more), [*parameters, -1 if limit is None else limit]
            )
            listed = rows.fetchall()
            if not listed:
                return []
            place = {"workspace": _WORKSPACE, "name": model, "first": listed[-1][0], "last": listed[0][0]}
            carried: dict[int, dict[str, str]] = {row[0]: {} for row in listed}
            for version, key, value in connection.execute(_TAGS, place):
                if version in carried:
                    carried[version][key] = value
        return [
            RegisteredVersion(model, version, run or "", source or "", carried[version], created(when))
            for version, run, source, when in listed
        ]

    def get(self, model: str, version: int) -> RegisteredVersion:
        """Raises `NotFound`."""
        matching = self.versions(model, {}, 1, only=version)
        if not matching:
            raise NotFound(f"the registry has no version {version} of the model {model!r}")
        return matching[0]

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        """Set tags, all or none of them; None removes one. Raises `NotFound`."""
        self.get(model, version)
        with self.connection(f"tag {model} version {version}") as connection, connection:
            for key, value in tags.items():
                place = (_WORKSPACE, key, model, version)
                if value is None:
                    connection.execute(
                        "DELETE FROM model_version_tags "
                        "WHERE workspace = ? AND key = ? AND name = ? AND version = ?",
                        place,
                    )
                else:
                    connection.execute(
                        "INSERT OR REPLACE INTO model_version_tags (workspace, key, name, version, value) "
                        "VALUES (?, ?, ?, ?, ?)",
                        (*place, value),
                    )

    def alias(self, model: str, alias: str, version: int | None) -> None:
        """Point an alias at a version, or remove it. Raises `NotFound`."""
        place = (_WORKSPACE, model, alias)
        if version is not None:
            self.get(model, version)
        with self.connection(f"set the alias {alias!r} of {model}") as connection, connection:
            if version is None:
                connection.execute(
                    "DELETE FROM registered_model_aliases WHERE workspace = ? AND name = ? AND alias = ?",
                    place,
                )
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO registered_model_aliases (workspace, name, alias, version) "
                    "VALUES (?, ?, ?, ?)",
                    (*place, version),
                )

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set or replace tags of a run, all or none of them. Raises `NotFound`."""
        with self.connection(f"tag run {run_id}") as connection, connection:
            connection.execute("BEGIN IMMEDIATE")  # a run that is deleted now does not get tags first
            row = connection.execute(
                "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?", (run_id,)
            ).fetchone()
            if row is None or row[0] != "active":
                why = "there is no such run" if row is None else "it is in MLflow's bin"
                raise NotFound(f"cannot tag run {run_id}: {why}")
            connection.executemany(
                "INSERT OR REPLACE INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
                [(key, value, run_id) for key, value in tags.items()],
            )

    def artifact_uri(self, run_id: str) -> str:
        """Where the files of a run are; raises `NotFound`."""
        with self.connection(f"read run {run_id}") as connection:
            row = connection.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
        if row is None:
            raise NotFound(f"cannot read run {run_id}: there is no such run")
        return str(row[0])

    @contextmanager
    def connection(self, what: str) -> Iterator[sqlite3.Connection]:
        """`what` is tried with it, in words."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_sqlite.PATIENCE)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise TargetError(
                f"cannot {what}: {_sqlite.sentence(str(error), f'sqlite://{self._path}')}"
            ) from error


def plain(tags: Mapping[str, str]) -> bool:
    """Whether tags of a run are rows and nothing else: MLflow's own names mean more, long texts are cut."""
    return all(_OURS.fullmatch(key) and len(value) <= _TAG_LENGTH for key, value in tags.items())


def folder(uri: str) -> Path | None:
    """The folder that a run's artifact address is; None when it is none of this machine."""
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme and parts.path.startswith("/") else None


def copy(source: Path, to: Path, what: str) -> None:
    """Copy an artifact, a file or a folder, to `to`; raises `TargetError`, with what was tried."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, to, dirs_exist_ok=True, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, to)
    except OSError as error:
        if full(to.parent) or "No space left" in str(error):
            raise TargetError(
                f"cannot {what}: the disk that holds {to.parent} is full; free some space and run the same "
                "command again"
            ) from error
        why = error.strerror or str(error.args[0] if error.args else error)[:400]
        raise TargetError(f"cannot {what}: {why}") from error
