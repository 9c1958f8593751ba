"""Which process serves a state folder: the one that holds the folder's lock.

The kernel releases the lock with the process, whatever ended it, so the process id in the file cannot be
that of a stranger that got a recycled id.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import NamedTuple

from mlops.errors import InvalidInput, Locked

LOCK = "server.lock"


class Owner(NamedTuple):
    """The process that serves a folder."""

    pid: int
    port: int
    """0 until it has a port."""


class Lock:
    """Holds a state folder for the life of the process; a context manager. Raises `Locked`."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InvalidInput(f"{folder} is not a folder")
        self._stream = (folder / LOCK).open("a+", encoding="utf-8")
        # Whoever asks "does a server live?" holds the lock for an instant: try for longer than that.
        for pause in (*[0.05] * 20, None):
            try:
                fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if pause is None:
                    self._stream.close()
                    raise Locked(f"another server already serves {folder}") from None
                time.sleep(pause)
        self.announce(0)

    def announce(self, port: int) -> None:
        """Say where this process listens. It stands here and not only in the state, because a port that
        was written before a crash may belong to a stranger now."""
        self._stream.truncate(0)
        self._stream.write(f"{os.getpid()} {port}")
        self._stream.flush()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stream.close()


def owner(folder: Path) -> Owner | None:
    """The server that holds the folder now; None when none does."""
    try:
        stream = (folder / LOCK).open(encoding="utf-8")
    except FileNotFoundError:
        return None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            # It may be writing just now: what is incomplete is read again by whoever waits for it.
            words = stream.read().split()
            return Owner(int(words[0]), int(words[1])) if len(words) == 2 else None
    return None
