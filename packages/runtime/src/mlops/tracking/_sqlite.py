"""The laptop's tracking database: made once, whole or not at all, by one process at a time.

MLflow makes it by some fifty migrations (seconds), without a lock between its tracking and registry
stores, and retries an unusable file for minutes.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path

from mlops.errors import TargetError
from mlops.spec import writing

_PREFIX = "sqlite:///"
PATIENCE = 20.0
"""Seconds to wait for another writer; MLflow waits as long."""


def path_of(uri: str) -> Path:
    """The file of `sqlite:///<path>`; raises `TargetError` for another form."""
    if not uri.startswith(_PREFIX) or uri == _PREFIX:
        raise TargetError(f"{uri!r} names no SQLite file; write sqlite:///<path of the file>")
    return Path(uri.removeprefix(_PREFIX).partition("?")[0])


def uri_of(path: Path) -> str:
    """`sqlite:///<path>` of an absolute path."""
    return f"{_PREFIX}{path.resolve()}"


def prepare(path: Path) -> None:
    """Make the database if it is not there, and see that it can be written. Raises `TargetError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with _lock(path):
                if not path.exists():
                    _create(path)
        _probe(path)
    except sqlite3.Error as error:
        raise TargetError(f"cannot use the tracking database: {sentence(str(error), str(path))}") from error
    except OSError as error:
        raise TargetError(f"cannot use the tracking database {path}: {error.strerror or error}") from error


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.with_name(f"{path.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released by the kernel, also when its holder is killed
        yield


def _create(path: Path) -> None:
    """Build the schema beside `path` and move it there, so that a killed process leaves no half database.

    What fifty migrations end in is kept as one text for the pinned MLflow; a test holds the two together.
    """
    schema = Path(__file__).with_name(f"mlflow-{version('mlflow-skinny')}.sql")
    if not schema.is_file():
        _migrate(path)
        return
    with writing.replacing(path) as fresh:
        with closing(sqlite3.connect(fresh)) as connection:
            connection.executescript(schema.read_text(encoding="utf-8"))
            connection.execute("PRAGMA journal_mode=WAL")
        _tidy(fresh)


def _tidy(fresh: Path) -> None:
    for suffix in ("-wal", "-shm"):
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)


def _migrate(path: Path) -> None:
    """As MLflow does it: all its migrations, one after the other."""
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with writing.replacing(path) as fresh:
            engine = sqlalchemy.create_engine(f"{_PREFIX}{fresh}")
            try:
                _initialize_tables(engine)
                with closing(sqlite3.connect(fresh)) as connection:
                    # Readers (mlops ui, status) then do not block a writer, nor the other way round.
                    connection.execute("PRAGMA journal_mode=WAL")
            finally:
                engine.dispose()
                _tidy(fresh)
    except SQLAlchemyError as error:
        raise TargetError(f"cannot make the tracking database: {sentence(str(error), str(path))}") from error


def _probe(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
        connection.execute("SELECT version_num FROM alembic_version").fetchone()


_ADVICE = (
    (
        ("locked",),
        f"is locked by another process for more than {PATIENCE:.0f} s; wait for it to end, then run again",
    ),
    (("readonly", "read-only"), "cannot be written; give this user the right to write it and its folder"),
    (("is full", "no space"), "lies on a disk that is full; free some space, then run again"),
    (
        ("out-of-date database schema",),
        "was made by another MLflow; run `mlflow db upgrade` on it",
    ),
    (
        ("malformed", "not a database", "no such table"),
        "is not a usable MLflow database; move it away or restore it, then run again",
    ),
    (("unable to open",), "cannot be opened; see that its folder exists and can be written"),
)


def sentence(text: str, where: str) -> str:
    """What a person can do about SQLite's message `text`."""
    for parts, advice in _ADVICE:
        if any(part in text.lower() for part in parts):
            return f"{where} {advice}"
    return f"{where}: {text[:400]}"
