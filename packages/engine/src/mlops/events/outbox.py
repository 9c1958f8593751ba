"""Events that were told, and who has not heard them yet: one SQLite file, durable before a call returns.

The sinks of an event are settled when it is put in (a sink that is configured later hears what comes later),
so that nothing depends on when, or by which process, it is delivered.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlops.errors import TargetError
from mlops.events import envelope

if TYPE_CHECKING:
    from cloudevents.core.base import BaseCloudEvent
    from cloudevents.core.v1.event import CloudEvent

FILE = "events/outbox.db"
KEEP = timedelta(days=90)
"""Events that every sink has heard are forgotten after this."""
_BUSY = 10.0
"""Seconds to wait for another process that writes."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, time TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    event INTEGER NOT NULL REFERENCES events(seq) ON DELETE CASCADE, sink TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'refused')),
    attempts INTEGER NOT NULL DEFAULT 0, at TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (event, sink)
);
CREATE INDEX IF NOT EXISTS waiting ON deliveries (sink, event) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS handled (
    event TEXT NOT NULL, handler TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (event, handler)
);
"""

State = Literal["pending", "delivered", "refused"]


@dataclass(frozen=True)
class Delivery:
    """How far an event got at one sink. `error` is what the sink said last."""

    sink: str
    state: State
    attempts: int
    error: str


@dataclass(frozen=True)
class Stored:
    """An event of the outbox; `seq` is its order of arrival."""

    seq: int
    body: bytes
    deliveries: tuple[Delivery, ...] = ()

    @property
    def event(self) -> CloudEvent:
        return envelope.from_json(self.body, f"event {self.seq} of the outbox")


class Outbox:
    """The outbox in the file `path`, which is made when something is first put in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction; what it wrote is on the disk when the block ends."""
        self._make_folder()
        try:
            connection = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
        except sqlite3.Error as error:
            raise TargetError(f"the outbox of events {self.path} cannot be opened: {error}") from None
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise TargetError(f"the outbox of events {self.path} cannot be used: {error}") from None
        finally:
            connection.close()

    def _make_folder(self) -> None:
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        # State of this machine, even in a repository that does not ignore the target's folder.
        if not (ignore := folder / ".gitignore").exists():
            ignore.write_text("*\n", encoding="utf-8")

    def add(self, event: BaseCloudEvent, sinks: Sequence[str]) -> bool:
        """Put an event in for these sinks; False, and nothing changes, when its id is already there."""
        row = (event.get_id(), event.get_type(), _text(event.get_time()), envelope.to_json(event))
        with self._open() as db:
            done = db.execute("INSERT OR IGNORE INTO events (id, type, time, body) VALUES (?, ?, ?, ?)", row)
            if not done.rowcount:
                return False
            db.executemany(
                "INSERT INTO deliveries (event, sink) VALUES (?, ?)", [(done.lastrowid, s) for s in sinks]
            )
        return True

    def waiting(self, sink: str, limit: int) -> list[Stored]:
        """The oldest events that `sink` has not heard."""
        if not self.path.is_file():
            return []
        with self._open() as db:
            rows = db.execute(
                "SELECT seq, body FROM deliveries JOIN events ON seq = event "
                "WHERE sink = ? AND state = 'pending' ORDER BY seq LIMIT ?",
                (sink, limit),
            )
            return [Stored(seq, body) for seq, body in rows]

    def record(self, seqs: Iterable[int], sink: str, state: State, at: datetime, error: str = "") -> None:
        """What became of one attempt to deliver these events."""
        with self._open() as db:
            db.executemany(
                "UPDATE deliveries SET state = ?, at = ?, error = ?, attempts = attempts + 1 "
                "WHERE event = ? AND sink = ?",
                [(state, _text(at), error, seq, sink) for seq in seqs],
            )

    def events(self, limit: int = 50) -> list[Stored]:
        """The newest, newest first, with how far they got."""
        if not self.path.is_file():
            return []
        with self._open() as db:
            rows = db.execute("SELECT seq, body FROM events ORDER BY seq DESC LIMIT ?", (limit,)).fetchall()
            return [Stored(seq, body, self._deliveries(db, seq)) for seq, body in rows]

    @staticmethod
    def _deliveries(db: sqlite3.Connection, seq: int) -> tuple[Delivery, ...]:
        rows = db.execute(
            "SELECT sink, state, attempts, error FROM deliveries WHERE event = ? ORDER BY sink", (seq,)
        )
        return tuple(Delivery(*row) for row in rows)

    def replay(self, sinks: Sequence[str], since: datetime) -> int:
        """Have everything told since then delivered once more; answers how many deliveries are due."""
        if not self.path.is_file():
            return 0
        with self._open() as db:
            rows = db.execute("SELECT seq FROM events WHERE time >= ?", (_text(since),)).fetchall()
            due = [(seq, sink) for (seq,) in rows for sink in sinks]
            db.executemany(
                "INSERT INTO deliveries (event, sink) VALUES (?, ?) "
                "ON CONFLICT (event, sink) DO UPDATE SET state = 'pending'",
                due,
            )
        return len(due)

    def forget(self, before: datetime) -> None:
        """Drop what is older: events that wait for nobody, and what was handled."""
        with self._open() as db:
            db.execute(
                "DELETE FROM events WHERE time < ? AND seq NOT IN "
                "(SELECT event FROM deliveries WHERE state = 'pending')",
                (_text(before),),
            )
            db.execute("DELETE FROM handled WHERE at < ?", (_text(before),))

    def was_handled(self, identity: str, handler: str) -> bool:
        if not self.path.is_file():
            return False
        with self._open() as db:
            row = db.execute(
                "SELECT 1 FROM handled WHERE event = ? AND handler = ?", (identity, handler)
            ).fetchone()
        return row is not None

    def mark_handled(self, identity: str, handler: str, at: datetime) -> None:
        with self._open() as db:
            db.execute("INSERT OR IGNORE INTO handled VALUES (?, ?, ?)", (identity, handler, _text(at)))


def _text(moment: datetime | None) -> str:
    """In UTC, so that text sorts as time does."""
    return (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")
