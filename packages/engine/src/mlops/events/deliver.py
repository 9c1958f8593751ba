"""Delivers what waits in the outbox: in order, at least once, one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlops.errors import MlopsError
from mlops.events.outbox import KEEP, Outbox, Stored
from mlops.events.sinks import Opened, Refused, Undelivered, open_sink
from mlops.spec.sinks import EventGridSink, FileSink, WebhookSink, sink_name

BATCH = 100
"""Events in one request, where a sink takes several."""
_TRIES, _PAUSE = 50, 0.1
"""How often, and how many seconds apart, we look whether the process that delivers is done."""


@dataclass(frozen=True)
class Patience:
    """How long a sink that does not answer is waited for. `first` and `longest` are pauses in seconds."""

    attempts: int
    first: float
    longest: float

    def pause(self, attempt: int, asked: float | None) -> float:
        """Seconds before attempt `attempt` + 1: doubled each time, and spread so that callers do not march in
        step; what the sink asked for (`Retry-After`) counts, as far as there is patience."""
        doubled: float = min(self.first * 2 ** (attempt - 1), self.longest)
        spread = doubled * (0.5 + random.random() / 2)  # noqa: S311  no secret
        return min(max(spread, asked or 0.0), self.longest)


SHORT = Patience(attempts=3, first=0.2, longest=1.0)
LONG = Patience(attempts=7, first=0.5, longest=30.0)


AnySink = FileSink | WebhookSink | EventGridSink
Open = Callable[[Path, AnySink], Opened]


def deliver(
    root: Path,
    sinks: Sequence[AnySink],
    outbox: Outbox,
    *,
    patient: bool = False,
    open_one: Open = open_sink,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """One sentence for each sink that did not take everything; nothing that a sink does is raised."""
    if not outbox.path.is_file():
        return []
    post = _Post(outbox, LONG if patient else SHORT, sleep)
    troubles = []
    with _alone(outbox.path, sleep) as mine:
        if not mine:
            return ["another process delivers events just now; what waits is delivered with the next"]
        for sink in sinks:
            trouble = post.empty(root, sink, open_one)
            troubles += [trouble] if trouble else []
        outbox.forget(datetime.now(UTC) - KEEP)
    return troubles


@contextlib.contextmanager
def _alone(path: Path, sleep: Callable[[float], None]) -> Iterator[bool]:
    """False when another process delivers all the while. The kernel frees the lock of one that dies."""
    with path.with_suffix(".lock").open("a") as stream:
        for attempt in range(_TRIES):
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sleep(_PAUSE if attempt + 1 < _TRIES else 0.0)
            else:
                yield True
                return
        yield False


@dataclass(frozen=True)
class _Post:
    outbox: Outbox
    patience: Patience
    sleep: Callable[[float], None]

    def empty(self, root: Path, settings: AnySink, open_one: Open) -> str:
        """Send all that waits for one sink; a sentence when something still waits, or was refused."""
        name = sink_name(settings)
        if not self.outbox.waiting(name, 1):
            return ""
        try:
            sink = open_one(root, settings)
        except MlopsError as error:
            return f"events wait for the sink {name}: {error}"
        refused = ""
        with contextlib.closing(sink):
            while batch := self.outbox.waiting(name, BATCH if sink.batches else 1):
                try:
                    refused = self._settle(name, sink, batch) or refused
                except Undelivered as error:
                    return f"events wait for the sink {name}: {error}; mlops events flush tries again"
        return refused

    def _settle(self, name: str, sink: Opened, batch: Sequence[Stored]) -> str:
        """Afterwards nothing of the batch waits any more. Raises `Undelivered`."""
        seqs = [stored.seq for stored in batch]
        try:
            self._send(sink, batch)
        except Refused as error:
            if len(batch) > 1:
                # One of them is to blame; the others shall arrive.
                return max((self._settle(name, sink, [stored]) for stored in batch), key=len)
            # It would be refused tomorrow too, and what comes after it must not wait for ever.
            self.outbox.record(seqs, name, "refused", datetime.now(UTC), str(error))
            return f"the sink {name} refused an event, which is set aside: {error}"
        except Undelivered as error:
            self.outbox.record(seqs, name, "pending", datetime.now(UTC), str(error))
            raise
        self.outbox.record(seqs, name, "delivered", datetime.now(UTC))
        return ""

    def _send(self, sink: Opened, batch: Sequence[Stored]) -> None:
        for attempt in range(1, self.patience.attempts + 1):
            try:
                sink.send([stored.event for stored in batch])
            except Undelivered as error:
                if attempt == self.patience.attempts:
                    raise
                self.sleep(self.patience.pause(attempt, error.retry_after))
            else:
                return
