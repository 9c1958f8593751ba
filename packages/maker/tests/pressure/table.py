"""All rows: what is done to the product, how often here, and what must hold."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.pressure import files, hindered, pairs, pushes, rollouts, serving


@dataclass(frozen=True)
class Row:
    """`work(times, folder)` raises `AssertionError` when it does not hold; figures otherwise."""

    name: str
    work: Callable[[int, Path], dict[str, int]]
    short: int
    """Times in the slow suite."""
    always: int = 0
    """Times in every run of the tests: so many as take about a second."""

    @property
    def says(self) -> str:
        return (self.work.__doc__ or "").strip().splitlines()[0]

    def run(self, times: int) -> tuple[dict[str, int], float]:
        """Figures and seconds, in a folder of its own."""
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            found = self.work(times, Path(folder))
        return found, time.monotonic() - began


ROWS = [
    Row("kills-of-apply", rollouts.kills_of_apply, 300, always=2),
    Row("kills-of-train", files.kills_of_train, 10),
    Row("kills-of-promote", files.kills_of_promote, 10),
    Row("kills-of-writers", files.kills_of_journal_and_outbox, 30, always=2),
    Row("kills-of-verbs", hindered.kills_of_verbs, 5),
    Row("kills-of-push-worker", pushes.kills_of_push_worker, 12, always=1),
    Row("full-disks", files.disks_that_are_full, 200, always=12),
    Row("bad-disks", hindered.verbs_on_bad_disks, 8),
    Row("jumping-clocks", rollouts.clocks_that_jump, 50, always=1),
    Row("two-people", files.pairs_of_people, 1),
    Row("two-writers", pairs.pairs_of_writers, 1),
    Row("idle-connections", serving.idle_connections, 5000),
    Row("captured-traffic", serving.captured_traffic, 60),
    Row("captured-day", serving.captured_day, 20),
]
