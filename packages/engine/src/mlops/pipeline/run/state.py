"""Folders of runs, and what a killed run left behind."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from mlops.pipeline.run.cache import StepCache
from mlops.pipeline.run.locks import FileLock
from mlops.pipeline.run.tracker import Tracker
from mlops.pipeline.run.work import remove

PROCESS = "mlops.pid"
_LOCK = "lock"
_OPEN = "unfinished"


class RunFolder:
    """`<state>/runs/<run_id>/`: logs, the code snapshots while it lasts, and the runs it has not ended yet.

    Its lock is held as long as the process lives, so that a later run can tell a dead one from a slow one
    without trusting process numbers, which are used again.
    """

    def __init__(self, state: Path, run_id: str) -> None:
        self.path = state / "runs" / run_id
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path / _LOCK)
        self._lock.try_acquire()
        self.opened(run_id)

    def log(self, step: str) -> Path:
        return self.path / f"{step}.log"

    @property
    def code(self) -> Path:
        """A folder a step, in which it works."""
        return self.path / "code"

    @property
    def inputs(self) -> Path:
        """Copies of data that steps must not change, or may change for themselves."""
        return self.path / "inputs"

    def opened(self, run_id: str) -> None:
        """Remember that the tracking server shows `run_id` as running."""
        self._record(f"open {run_id}")

    def ended(self, run_id: str) -> None:
        """Remember that `run_id` has its final status."""
        self._record(f"ended {run_id}")

    def _record(self, line: str) -> None:
        with (self.path / _OPEN).open("a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")

    def close(self) -> None:
        """All runs have ended: only the logs stay."""
        (self.path / _OPEN).unlink(missing_ok=True)
        forget_work(self.path)
        self._lock.remove()


def forget_work(folder: Path) -> None:
    """Remove what only running steps need; logs stay."""
    for name in ("code", "inputs"):
        remove(folder / name)


def process_tag() -> dict[str, str]:
    """Whose a run is, for whoever finds it open."""
    return {PROCESS: f"{platform.node()}:{os.getpid()}"}


def close_dead(state: Path, tracker: Tracker) -> list[str]:
    """`recover` for whoever only looks at runs."""
    return recover(state, StepCache(state / "cache"), tracker) if (state / "runs").is_dir() else []


def recover(state: Path, cache: StepCache, tracker: Tracker) -> list[str]:
    """End the runs that died without a word (kill -9, power) as KILLED; the ids of those runs."""
    ended = _with_folder(state, cache, tracker)
    # Killed between the birth of a run and its folder: only the tracking server knows of it.
    for run_id, tags in tracker.left_open().items():
        if not (state / "runs" / run_id).is_dir() and _died(tags.get(PROCESS, "")):
            tracker.finish(run_id, "KILLED")
            ended.append(run_id)
    return ended


def _died(process: str) -> bool:
    """Whether a process of this machine is no more; nothing is known of others."""
    host, _, number = process.rpartition(":")
    if host != platform.node() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _with_folder(state: Path, cache: StepCache, tracker: Tracker) -> list[str]:
    ended: list[str] = []
    for folder in sorted((state / "runs").glob("*")):
        record = folder / _OPEN
        if not record.is_file():
            continue
        lock = FileLock(folder / _LOCK)
        if not lock.try_acquire():
            continue
        # The parent is written first and ends last, so that it is never final with a child still running.
        unended = _still_open(record)
        unwritten = [r for one in unended[-1:] for r in tracker.left_open(one) if r not in unended]
        for run_id in [*unwritten, *unended]:
            tracker.finish(run_id, "KILLED")
            ended.append(run_id)
        cache.discard(folder.name)
        forget_work(folder)
        record.unlink(missing_ok=True)
        lock.remove()
    return ended


def _still_open(record: Path) -> list[str]:
    run_ids: list[str] = []
    for line in record.read_text(encoding="utf-8").splitlines():
        state, _, run_id = line.partition(" ")
        if state == "open":
            run_ids.insert(0, run_id)
        elif run_id in run_ids:
            run_ids.remove(run_id)
    return run_ids
