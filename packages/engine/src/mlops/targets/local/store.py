"""Journal and lock of an environment as files, safe against a kill at any instruction.

The lock is a lease in a file. Every change of it happens under a short `flock`, so that taking over is
atomic; the lease outlives the `flock`, so that others can say who holds it and until when. A lease ends when
it is released, when it expires, or at once when the process that wrote it is gone from this machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO

from mlops.errors import IntegrityError, Locked, TargetError
from mlops.spec import writing
from mlops.targets._journal import Reading, row_of
from mlops.targets.base import JournalEntry

JOURNAL = "journal.jsonl"
LEASE = "lease.json"
GUARD = "lock"
GUARD_SECONDS = 10.0


@dataclass(frozen=True)
class _Holder:
    """What the lease file says."""

    owner: str
    host: str
    pid: int
    started: str
    token: str
    since: datetime
    until: datetime

    @classmethod
    def read(cls, path: Path) -> _Holder | None:
        """None when nobody holds it, or when what is there was never completely written."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            raw["since"], raw["until"] = (datetime.fromisoformat(raw[k]) for k in ("since", "until"))
            return cls(**raw)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        raw = asdict(self) | {"since": self.since.isoformat(), "until": self.until.isoformat()}
        writing.write(path, json.dumps(raw), durable=False)

    def gone(self, now: datetime) -> bool:
        """Whether somebody else may take over."""
        if now >= self.until:
            return True
        return self.host == socket.gethostname() and process_start(self.pid) != self.started

    @property
    def sentence(self) -> str:
        return (
            f"{self.owner} (process {self.pid} on {self.host}) has been at work since "
            f"{self.since:%Y-%m-%d %H:%M:%S} UTC; the lock ends when that is done, "
            f"or at {self.until:%H:%M:%S} UTC if the process dies"
        )


class LocalLease:
    """A held lease; a daemon thread renews it at a third of its length."""

    def __init__(self, store: LocalStore, environment: str, holder: _Holder, seconds: float) -> None:
        self._store, self._environment = store, environment
        self._holder, self._seconds = holder, seconds
        self._lost = threading.Event()
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{environment}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def verify(self) -> None:
        with self._store.guarded(self._environment) as folder:
            holder = _Holder.read(folder / LEASE)
        if self._lost.is_set() or holder is None or holder.token != self._holder.token:
            who = holder.sentence if holder else "nobody holds it now"
            raise Locked(f"this process lost the lock on {self._environment} and stopped: {who}")

    def release(self) -> None:
        self._released.set()
        self._thread.join()
        with self._store.guarded(self._environment) as folder:
            holder = _Holder.read(folder / LEASE)
            if holder is not None and holder.token == self._holder.token:
                (folder / LEASE).unlink()

    def _renew(self) -> None:
        while not self._released.wait(self._seconds / 3):
            try:
                if not self._extend():
                    break
            except OSError:
                continue  # a full disk passes or the lease expires; `verify` tells the difference
        else:
            return
        self._lost.set()

    def _extend(self) -> bool:
        with self._store.guarded(self._environment) as folder:
            holder = _Holder.read(folder / LEASE)
            if holder is None or holder.token != self._holder.token:
                return False
            until = self._store.now() + timedelta(seconds=self._seconds)
            _Holder(**(vars(self._holder) | {"until": until})).write(folder / LEASE)
            return True


class LocalStore:
    """`EnvironmentStore` in `<state>/environments/<env>/`."""

    def __init__(self, state: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._state = state
        self.now = now
        self._readings: dict[str, Reading] = {}
        self._states: dict[str, tuple[int, ...]] = {}

    def folder(self, environment: str) -> Path:
        return self._state / "environments" / environment

    @contextlib.contextmanager
    def guarded(self, environment: str) -> Iterator[Path]:
        """Nobody else changes lock or journal meanwhile. Held for milliseconds, never across an effect."""
        folder = self.folder(environment)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / GUARD).open("a") as guard:
            self._wait(guard, environment)
            yield folder

    def _wait(self, guard: IO[str], environment: str) -> None:
        """A process that is suspended inside the guard would otherwise let everybody wait for ever."""
        end = time.monotonic() + GUARD_SECONDS
        while True:
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < end:
                    time.sleep(0.01)
                    continue
                holder = _Holder.read(self.folder(environment) / LEASE)
                who = holder.sentence if holder else "a process that does not answer holds its files"
                raise Locked(f"{environment} is locked: {who}") from None
            return

    @contextlib.contextmanager
    def lock(self, environment: str, owner: str, lease: float) -> Iterator[LocalLease]:
        with self.guarded(environment) as folder:
            now = self.now()
            holder_before = _Holder.read(folder / LEASE)
            if holder_before is not None and not holder_before.gone(now):
                raise Locked(f"{environment} is locked: {holder_before.sentence}")
            holder = _Holder(
                owner=owner,
                host=socket.gethostname(),
                pid=os.getpid(),
                started=process_start(os.getpid()),
                token=secrets.token_hex(16),
                since=now,
                until=now + timedelta(seconds=lease),
            )
            holder.write(folder / LEASE)
        held = LocalLease(self, environment, holder, lease)
        held.start()
        try:
            yield held
        finally:
            held.release()

    def append(self, environment: str, entry: JournalEntry) -> None:
        line = json.dumps(row_of(entry), ensure_ascii=False, default=str)
        with self.guarded(environment) as folder:
            path = folder / JOURNAL
            try:
                with path.open("ab", buffering=0) as stream:
                    end = _complete(path)
                    os.ftruncate(stream.fileno(), end)
                    try:
                        _write_all(stream.fileno(), line.encode() + b"\n")
                        os.fsync(stream.fileno())
                    except OSError:
                        os.ftruncate(stream.fileno(), end)
                        raise
            except OSError as error:
                raise TargetError(
                    f"the journal {path} cannot be written ({error.strerror}); nothing was done after it. "
                    "Free some space or fix the permission and run the same command again"
                ) from None

    def entries(self, environment: str, model: str | None = None) -> Sequence[JournalEntry]:
        path = self.folder(environment) / JOURNAL
        reading = self._readings.setdefault(environment, Reading())
        try:
            status = path.stat()
            state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if self._states.get(environment) != state:
                reading.all(path.read_bytes(), partial(_damaged, path))
                self._states[environment] = state
        except FileNotFoundError:
            return []
        return reading.entries(model)


def _damaged(path: Path, number: int) -> IntegrityError:
    return IntegrityError(
        f"{path}:{number}: not an entry of the journal. It was edited or the disk is damaged; "
        "restore the file from a backup, or remove that line if you know what it said"
    )


def _write_all(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]


def _complete(path: Path) -> int:
    """Length of the file up to its last newline: a torn entry never happened."""
    text = path.read_bytes()
    return text.rfind(b"\n") + 1


def process_start(pid: int) -> str:
    """When a process of this machine started, in whatever unit the system has; empty when there is none.

    Together with the id it names a process for good, where the id alone is used again.
    """
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if fields[0] == "Z" else fields[19]
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip()
