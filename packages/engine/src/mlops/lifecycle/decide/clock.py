"""Time, injected: a rollout that takes an hour is tested in a millisecond."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""

    def elapsed(self) -> float:
        """Seconds since some moment; it goes on evenly, also where somebody sets the machine's time."""

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def elapsed(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """Moves only when told; `on_sleep` (seconds) is where a test lets the world go on meanwhile."""

    def __init__(self, start: datetime, on_sleep: Callable[[float], None] = lambda _: None) -> None:
        self._now = start
        self._elapsed = 0.0
        self.on_sleep = on_sleep

    def now(self) -> datetime:
        return self._now

    def elapsed(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        self._elapsed += seconds
        self._now += timedelta(seconds=seconds)
        self.on_sleep(seconds)
