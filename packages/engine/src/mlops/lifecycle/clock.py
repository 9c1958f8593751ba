"""Time, injected: a rollout that takes an hour is tested in a millisecond."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """Moves only when told; `on_sleep` (seconds) is where a test lets the world go on meanwhile."""

    def __init__(self, start: datetime, on_sleep: Callable[[float], None] = lambda _: None) -> None:
        self._now = start
        self.on_sleep = on_sleep

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self.on_sleep(seconds)
