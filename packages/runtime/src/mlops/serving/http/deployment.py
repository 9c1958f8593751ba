"""One loaded deployment: its parser, its counters, and zero-wait micro-batching of its requests.

Nothing ever waits for a batch to fill. Requests that arrive while the model is busy, or in the same turn
of the event loop, are predicted together by one call, which costs little more than one row alone.
A model that was measured fast runs on the event loop itself; any other runs in its own threads, so that
it cannot delay its neighbours or the health probes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from mlops.errors import MlopsError, TargetError
from mlops.serving.capture.recorder import Origin
from mlops.serving.http.metrics import FEW, Counters
from mlops.serving.score.core import Predictions, Row, Scorer, load, sample_rows
from mlops.serving.score.request import Limits, RequestError, RequestParser

log = logging.getLogger("mlops.serving")

INLINE_SECONDS = 0.002
"""Longest time that one model call may keep the event loop busy."""
THREADS = 2
BATCH_ROWS = 512
PACE_ROWS = 64
"""Rows of the call by which the share of each is measured."""
QUEUE = 256
"""Requests that may wait for one deployment; beyond it a client is told to come back (429)."""
QUEUE_ROWS = 100_000
"""Rows that may wait, so that a few callers with large requests are no long queue for all others."""


class QueueFull(Exception):
    """More requests wait than may."""


class ModelFailure(MlopsError):
    """The model raised, or answered with what is no prediction: a 5xx and never the client's fault."""


class Pace(NamedTuple):
    """Seconds that a model call takes."""

    call: float
    """Whatever the size of what is asked."""
    each: float
    """For each more of what `Scorer.size` counts."""

    def within(self, seconds: float) -> int:
        """The size of what one call predicts in that time."""
        return max(0, int((seconds - self.call) / max(self.each, 1e-8)))


Done = Callable[[Predictions | ModelFailure], None]
"""Called once, on the event loop, with what became of the rows."""


@dataclass(slots=True)
class _Job:
    rows: Sequence[Row]
    done: Done


class Loaded:
    """A deployment in memory. All methods but `load` belong to the event loop's thread."""

    def __init__(self, name: str, version: int, scorer: Scorer, pace: Pace, limits: Limits) -> None:
        self.name = name
        self.version = version
        self.scorer = scorer
        self.parser = RequestParser(scorer.schema, limits)
        self.counters = Counters(scorer.schema)
        self.origin = Origin(scorer.schema, name, version)
        self.in_flight = 0
        self.mirroring = 0
        self.headers = [
            (b"azureml-model-deployment", name.encode()),
            (b"x-model-version", str(version).encode()),
        ]
        self._inline = pace.within(INLINE_SECONDS / scorer.spread) if scorer.steady else 0
        self._size: Callable[[Sequence[Row]], int] = scorer.size if self._inline else len
        self._waiting: deque[_Job] = deque()
        self._waiting_rows = 0
        self._running = 0
        self._scheduled = False
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"model-{name}")
        self._last_reason = ""

    @classmethod
    def load(cls, name: str, version: int, folder: Path, digest: str, limits: Limits) -> Loaded:
        """Verify, load and warm up; slow, so call it in a thread.

        Raises what `core.load` raises, and `TargetError` when the model cannot predict its own sample.
        """
        scorer = load(folder, digest=digest)
        return cls(name, version, scorer, _warm_up(scorer, folder), limits)

    def submit(self, rows: Sequence[Row], done: Done) -> None:
        """Predict validated rows and call `done`, one turn of the loop later at the earliest.

        Raises `QueueFull`; then `done` is never called.
        """
        self.check_room()
        self._waiting.append(_Job(rows, done))
        self._waiting_rows += len(rows)
        self._schedule()

    def check_room(self) -> None:
        """Raises `QueueFull` when `submit` would: worth asking before a body is parsed."""
        if len(self._waiting) >= QUEUE or self._waiting_rows >= QUEUE_ROWS:
            raise QueueFull

    def _schedule(self) -> None:
        if not self._scheduled and self._running < THREADS:
            self._scheduled = True
            # One turn of the loop later, all requests that arrived in this turn wait in the queue.
            loop = asyncio.get_running_loop()
            loop.call_soon(self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        while self._waiting and self._running < THREADS:
            jobs = self._take()
            rows = jobs[0].rows if len(jobs) == 1 else [row for job in jobs for row in job.rows]
            if self._inline and self._size(rows) <= self._inline:
                self._settle(jobs, self._attempt(rows))
                if self._waiting:
                    # The next batch is one more turn away: these answers leave, and others are read, before.
                    self._schedule()
                return
            self._running += 1
            task = loop.run_in_executor(self._threads, self._attempt, rows)
            task.add_done_callback(lambda done, jobs=jobs: self._done(jobs, done.result()))  # type: ignore[misc]

    def _take(self) -> list[_Job]:
        jobs = [self._waiting.popleft()]
        room = (self._inline or BATCH_ROWS) - self._size(jobs[0].rows)
        while self._waiting and (size := self._size(self._waiting[0].rows)) <= room:
            jobs.append(self._waiting.popleft())
            room -= size
        self._waiting_rows -= sum(len(job.rows) for job in jobs)
        return jobs

    def _done(self, jobs: list[_Job], result: Predictions | ModelFailure) -> None:
        self._running -= 1
        self._settle(jobs, result)
        self._schedule()

    def _settle(self, jobs: list[_Job], result: Predictions | ModelFailure) -> None:
        if isinstance(result, ModelFailure):
            if len(jobs) > 1:
                self._alone(jobs)
                return
            self._fail(jobs[0], result)
            return
        self.counters.predicted(result)
        start = 0
        for job in jobs:
            end = start + len(job.rows)
            job.done(result[start:end])
            start = end

    def _alone(self, jobs: list[_Job]) -> None:
        """One request's rows may have broken the batch of all: predict each alone, in a thread."""
        loop = asyncio.get_running_loop()
        for job in jobs:
            self._running += 1
            task = loop.run_in_executor(self._threads, self._attempt, job.rows)
            task.add_done_callback(lambda done, job=job: self._done([job], done.result()))  # type: ignore[misc]

    def _fail(self, job: _Job, failure: ModelFailure) -> None:
        if (reason := str(failure)) != self._last_reason:
            # The same reason again would only fill the disk; the counters tell how often.
            self._last_reason = reason
            log.error("deployment %s (version %s) failed: %s", self.name, self.version, reason)
        job.done(failure)

    def _attempt(self, rows: Sequence[Row]) -> Predictions | ModelFailure:
        try:
            predictions = self.scorer.predict_rows(rows)
        except MlopsError as error:
            return ModelFailure(str(error))
        few = predictions.ndim == 1 and len(predictions) <= FEW
        if not (all(map(math.isfinite, predictions.tolist())) if few else np.isfinite(predictions).all()):
            return ModelFailure("the model answered with NaN or infinity")
        return predictions

    async def drained(self, timeout: float) -> bool:
        """Wait until no request is in flight; False when `timeout` seconds were not enough."""
        deadline = time.monotonic() + timeout
        while self.in_flight or self.mirroring or self._running:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    def close(self) -> None:
        """Let the threads end; a call that is still running finishes in the background."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _warm_up(scorer: Scorer, folder: Path) -> Pace:
    """Predict the artifact's sample and return what a call takes (the best of a few)."""
    body: Any = sample_rows(folder)
    if body is None:
        return Pace(0.0, INLINE_SECONDS)
    try:
        rows = RequestParser(scorer.schema).parse(msgspec.json.encode(body), "score")
    except RequestError as error:
        raise TargetError(f"{folder}: sample.json is no valid request: {error}") from None
    many = (rows * (PACE_ROWS // len(rows) + 1))[:PACE_ROWS]
    try:
        scorer.predict_rows(rows)
        if not scorer.steady:
            return Pace(1.0, 1.0)
        one = _best(scorer, rows[:1])
        if one > INLINE_SECONDS:
            return Pace(one, one)
        more = max(1, scorer.size(many) - scorer.size(rows[:1]))
        each = (_best(scorer, many) - one) / more
    except MlopsError as error:
        raise TargetError(f"the model cannot predict its own sample.json: {error}") from None
    return Pace(one, max(each, 0.0))


def _best(scorer: Scorer, rows: Sequence[Row]) -> float:
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        scorer.predict_rows(rows)
        best = min(best, time.perf_counter() - start)
    return best
