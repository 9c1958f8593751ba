"""Sampled inputs and predictions, for monitoring: a bounded queue that no request ever waits for.

A request only appends a reference. One thread hands what waits to a sink: rolling Parquet files
(`capture_files`), or Azure ML's data collector (`collector`). When it cannot keep up, or the
sink fails, rows are dropped and counted, and no request notices.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mlops.serving.score.core import Predictions, Row
from mlops.spec.capture import SYNTHETIC, CaptureSettings
from mlops.spec.schema import ModelSchema

log = logging.getLogger("mlops.serving")

FOLDER = "capture"
"""Below an endpoint's state folder."""
SETTINGS = "MLOPS_CAPTURE"
"""Environment variable of a deployment: `CaptureSettings` as JSON."""
_COLLECTOR = ("AZUREML_MDC_ENABLED", "AZUREML_MDC_CONFIG_PATH")
"""What Azure ML sets in a deployment that has a `data_collector`."""
_SYNTHETIC = SYNTHETIC.encode()
_MEGABYTE = 1 << 20
_PAUSE = 0.2
_SLICE = 256
"""Rows handed over at a time: the writer must not hold the interpreter for longer than a request takes."""


class Origin(NamedTuple):
    """What answered."""

    schema: ModelSchema
    deployment: str
    version: int


class Record(NamedTuple):
    """One answered request."""

    origin: Origin
    request_id: str
    at: float
    """Seconds since 1970."""
    rows: Sequence[Row]
    predictions: Predictions


class Sink(ABC):
    """Where captured requests go. All methods are called by the writer thread; they may raise."""

    written = 0
    """Rows that have arrived for good."""
    dropped = 0
    """Rows that were taken over and are lost."""

    @abstractmethod
    def add(self, group: Sequence[Record]) -> None:
        """Take over a few requests of one origin."""

    @abstractmethod
    def flush(self, *, end: bool) -> None:
        """Called several times a second, and with `end` a last time."""


class Capture:
    """The queue and its writer thread. `record` is called by whoever answers, on any thread."""

    def __init__(self, sink: Sink, settings: CaptureSettings) -> None:
        self.settings = settings
        self._sink = sink
        self._refused = 0
        self._lost = 0
        self._queue: deque[tuple[int, Record]] = deque()
        self._waiting = 0
        self._room = int(settings.queue_megabytes * _MEGABYTE)
        self._failed = False
        self._end = threading.Event()
        self._writer = threading.Thread(target=self._run, name="capture", daemon=True)
        self._writer.start()

    @property
    def written(self) -> int:
        return self._sink.written

    @property
    def dropped(self) -> int:
        return self._refused + self._lost + self._sink.dropped

    def record(
        self, origin: Origin, request_id: bytes, rows: Sequence[Row], predictions: Predictions, size: int
    ) -> None:
        """Queue one answered request of a client, if it is sampled and there is room. Never blocks or raises.

        `size`: bytes of the request's body, by which the queue is bounded.
        """
        if request_id.startswith(_SYNTHETIC):
            return
        if random.random() >= self.settings.sample_rate:  # noqa: S311 - sampling, no secret
            return
        if self._waiting + size > self._room or self._end.is_set():
            self._refused += len(rows)
            return
        # The counter is only a bound: a lost update between two threads would not matter.
        self._waiting += size
        request = request_id.decode("latin-1")
        self._queue.append((size, Record(origin, request, time.time(), rows, predictions)))

    def close(self, timeout: float = 10.0) -> None:
        """Write what waits, and end the thread."""
        self._end.set()
        self._writer.join(timeout)

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._end.wait(_PAUSE)
            while self._queue:
                self._hand_over()
            try:
                self._sink.flush(end=ended)
            # As below: whatever a sink raises, the endpoint goes on.
            except Exception as error:  # noqa: BLE001
                self._say(error)

    def _hand_over(self) -> None:
        size, first = self._queue.popleft()
        group, rows = [first], len(first.rows)
        while self._queue and rows < _SLICE and self._queue[0][1].origin is first.origin:
            more, record = self._queue.popleft()
            group.append(record)
            size += more
            rows += len(record.rows)
        try:
            self._sink.add(group)
        # A thread that ends would end capture for good, and silently. A sink is a disk or a foreign client:
        # whatever it raises costs these rows and nothing else.
        except Exception as error:  # noqa: BLE001
            self._lost += rows
            self._say(error)
        else:
            self._failed = False
        self._waiting = max(0, self._waiting - size)

    def _say(self, error: Exception) -> None:
        if not self._failed:
            log.error("captured rows are lost: %s: %s", type(error).__name__, error)
        self._failed = True


def open_capture(
    folder: Path, settings: CaptureSettings | None, environment: Mapping[str, str] = os.environ
) -> Capture | None:
    """What the settings ask for; None when nothing is to be captured.

    In a deployment of Azure ML with a `data_collector` it goes there, otherwise to Parquet files in `folder`.
    """
    if settings is None or not settings.enabled:
        return None
    if collecting(environment):
        from mlops.serving.capture.collector import CollectorSink

        return Capture(CollectorSink(settings), settings)
    from mlops.serving.capture.capture_files import FileSink

    return Capture(FileSink(folder, settings), settings)


def collecting(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether Azure ML's data collector is on for this deployment."""
    enabled, config = (environment.get(name, "") for name in _COLLECTOR)
    return enabled.lower() == "true" or bool(config)


def settings_from(environment: Mapping[str, str] = os.environ) -> CaptureSettings | None:
    """`MLOPS_CAPTURE`; without it, all of what Azure ML's collector samples. Raises `InvalidInput`."""
    from pydantic import ValidationError

    from mlops.errors import InvalidInput, Problem

    text = environment.get(SETTINGS)
    if not text:
        return CaptureSettings(enabled=True) if collecting(environment) else None
    try:
        return CaptureSettings.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInput(
            [Problem(SETTINGS, e["msg"], ".".join(map(str, e["loc"]))) for e in error.errors()]
        ) from None
