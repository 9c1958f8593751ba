"""Advisory file locks that the kernel releases when their holder dies, whatever killed it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

_POLL = 0.05


class FileLock:
    """One `flock` on one file; each object is a holder of its own, also within a process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Take the lock if it is free; a file that was removed meanwhile is made again."""
        while True:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                return False
            if self._is_current(fd):
                self._fd = fd
                return True
            os.close(fd)

    def acquire(self, stopped: Callable[[], bool], *, shared: bool = False) -> bool:
        """Wait for the lock; False when `stopped()` became true first."""
        while not self.try_acquire(shared=shared):
            if stopped():
                return False
            time.sleep(_POLL)
        return True

    def release(self) -> None:
        """Give the lock back; no error when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def remove(self) -> None:
        """Remove the file while holding it, then release."""
        self.path.unlink(missing_ok=True)
        self.release()

    def _is_current(self, fd: int) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(fd)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
