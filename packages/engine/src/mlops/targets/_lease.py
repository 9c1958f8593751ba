"""Locks that a service keeps for a while only: their holder renews them, and is named by what it wrote."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from mlops.errors import MlopsError


class RenewedLease(ABC):
    """A lock that is held inside of `with`; a daemon thread renews it at a third of its length."""

    def __init__(self, environment: str, seconds: float) -> None:
        self._environment, self._seconds = environment, seconds
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{environment}", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Give it back; one that is lost already is no error."""
        self._released.set()
        self._thread.join()
        with contextlib.suppress(MlopsError):
            self._give_back()

    @abstractmethod
    def _extend(self) -> None:
        """Renew it once. Raises `MlopsError`."""

    @abstractmethod
    def _give_back(self) -> None:
        """Let others have it at once. Raises `MlopsError`."""

    def _renew(self) -> None:
        while not self._released.wait(self._seconds / 3):
            # What cannot be renewed now may be later; `verify` tells whether it is lost.
            with contextlib.suppress(MlopsError):
                self._extend()


def this_holder(owner: str, seconds: int) -> dict[str, Any]:
    """What this process writes about itself when it takes a lock."""
    return {
        "owner": owner,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": seconds,
    }


def holder_sentence(content: bytes) -> str:
    """Who holds a lock, by what its holder wrote; empty when that says nothing."""
    try:
        holder = json.loads(content)
        since = datetime.fromisoformat(holder["since"])
        return (
            f"{holder['owner']} (process {holder['pid']} on {holder['host']}) has been at work since "
            f"{since:%Y-%m-%d %H:%M:%S} UTC; the lock ends when that is done, "
            f"or {holder['seconds']} s after the process dies"
        )
    except (ValueError, KeyError, TypeError):
        return ""
