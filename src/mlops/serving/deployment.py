"""One loaded deployment: its parser, its counters, and zero-wait micro-batching of its requests.

Nothing ever waits for a batch to fill. Requests that arrive while the model is busy, or in the same turn
of the event loop, are predicted together by one call, which costs little more than one row alone.
A model that was measured fast runs on the event loop itself; any other runs in its own threads, so that
it cannot delay its neighbours or the health probes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlops.errors import MlopsError, TargetError
from mlops.serving.capture import Origin
from mlops.serving.core import OnnxScorer, Predictions, Row, Scorer, load, sample_rows
from mlops.serving.metrics import Counters
from mlops.serving.request import Limits, RequestError, RequestParser

log = logging.getLogger("mlops.serving")

INLINE_SECONDS = 0.002
"""Longest time that one model call may keep the event loop busy."""
THREADS = 2
BATCH_ROWS = 512
QUEUE = 256
"""Requests that may wait for one deployment; beyond it a client is told to come back (429)."""


class QueueFull(Exception):
    """More requests wait than may."""


class ModelFailure(MlopsError):
    """The model raised, or answered with what is no prediction: a 5xx and never the client's fault."""


@dataclass(slots=True)
class _Job:
    rows: Sequence[Row]
    answer: asyncio.Future[Predictions]


class Loaded:
    """A deployment in memory. All methods but `load` belong to the event loop's thread."""

    def __init__(self, name: str, version: int, scorer: Scorer, row_seconds: float, limits: Limits) -> None:
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
        self._inline = isinstance(scorer, OnnxScorer) and row_seconds < INLINE_SECONDS
        self._inline_rows = int(INLINE_SECONDS / max(row_seconds, 1e-6)) if self._inline else 0
        self._waiting: deque[_Job] = deque()
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

    async def predict(self, rows: Sequence[Row]) -> Predictions:
        """Predict validated rows. Raises `QueueFull` or `ModelFailure`."""
        if len(self._waiting) >= QUEUE:
            raise QueueFull
        loop = asyncio.get_running_loop()
        job = _Job(rows, loop.create_future())
        self._waiting.append(job)
        self._schedule(loop)
        return await job.answer

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._scheduled and self._running < THREADS:
            self._scheduled = True
            # One turn of the loop later, all requests that arrived in this turn wait in the queue.
            loop.call_soon(self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        while self._waiting and self._running < THREADS:
            jobs = self._take()
            rows = jobs[0].rows if len(jobs) == 1 else [row for job in jobs for row in job.rows]
            if self._inline and len(rows) <= self._inline_rows:
                self._settle(jobs, self._attempt(rows))
                continue
            self._running += 1
            task = loop.run_in_executor(self._threads, self._attempt, rows)
            task.add_done_callback(lambda done, jobs=jobs: self._done(loop, jobs, done.result()))  # type: ignore[misc]

    def _take(self) -> list[_Job]:
        jobs = [self._waiting.popleft()]
        room = (self._inline_rows or BATCH_ROWS) - len(jobs[0].rows)
        while self._waiting and len(self._waiting[0].rows) <= room:
            jobs.append(self._waiting.popleft())
            room -= len(jobs[-1].rows)
        return jobs

    def _done(
        self, loop: asyncio.AbstractEventLoop, jobs: list[_Job], result: Predictions | ModelFailure
    ) -> None:
        self._running -= 1
        self._settle(jobs, result)
        self._schedule(loop)

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
            if not job.answer.done():
                job.answer.set_result(result[start:end])
            start = end

    def _alone(self, jobs: list[_Job]) -> None:
        """One request's rows may have broken the batch of all: predict each alone, in a thread."""
        loop = asyncio.get_running_loop()
        for job in jobs:
            self._running += 1
            task = loop.run_in_executor(self._threads, self._attempt, job.rows)
            task.add_done_callback(lambda done, job=job: self._done(loop, [job], done.result()))  # type: ignore[misc]

    def _fail(self, job: _Job, failure: ModelFailure) -> None:
        if (reason := str(failure)) != self._last_reason:
            # The same reason again would only fill the disk; the counters tell how often.
            self._last_reason = reason
            log.error("deployment %s (version %s) failed: %s", self.name, self.version, reason)
        if not job.answer.done():
            job.answer.set_exception(failure)

    def _attempt(self, rows: Sequence[Row]) -> Predictions | ModelFailure:
        try:
            predictions = self.scorer.predict_rows(rows)
        except MlopsError as error:
            return ModelFailure(str(error))
        if not np.isfinite(predictions).all():
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


def _warm_up(scorer: Scorer, folder: Path) -> float:
    """Predict the artifact's sample and return the seconds that one row takes (the best of a few)."""
    body: Any = sample_rows(folder)
    if body is None:
        return 0.0 if isinstance(scorer, OnnxScorer) else 1.0
    try:
        rows = RequestParser(scorer.schema).parse(msgspec.json.encode(body), "score")
    except RequestError as error:
        raise TargetError(f"{folder}: sample.json is no valid request: {error}") from None
    try:
        scorer.predict_rows(rows)
        best = 1e9
        for _ in range(3 if isinstance(scorer, OnnxScorer) else 0):
            start = time.perf_counter()
            scorer.predict_rows(rows[:1])
            best = min(best, time.perf_counter() - start)
    except MlopsError as error:
        raise TargetError(f"the model cannot predict its own sample.json: {error}") from None
    return best
