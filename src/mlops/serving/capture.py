"""Sampled inputs and predictions, to rolling Parquet files: what monitoring compares with training.

A request only appends a reference to a bounded queue. One thread turns what waits there into files; when
it cannot keep up, or the disk is full, rows are dropped and counted, and no request notices. A kill loses
at most the rows of the last `seconds`.

Columns of a file: `_request_id`, `_time` (UTC), `_deployment`, `_version`, `_row` (within the request),
`_prediction`, and the model's inputs under their own names but for those left out. A file holds rows of
one version.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from mlops.serving.core import Predictions, Row
from mlops.spec._base import Spec
from mlops.spec.schema import ModelSchema

log = logging.getLogger("mlops.serving")

FOLDER = "capture"
_PAUSE = 0.2
_SLICE = 256
"""Rows converted at a time: the writer must not hold the interpreter for longer than a request takes."""


class CaptureSettings(Spec):
    """What is captured and how much room it may take."""

    fraction: float = Field(default=1.0, ge=0, le=1)
    """Share of the requests."""
    exclude: list[str] = []
    """Input columns that are personal data; they never leave the request."""
    seconds: float = Field(default=10.0, gt=0)
    """A file is closed after this time, or when it has `rows`."""
    rows: int = Field(default=50_000, ge=1)
    disk: int = Field(default=256 << 20, ge=1)
    """Bytes of all files; the oldest go first."""
    queue: int = Field(default=10_000, ge=1)
    """Rows that may wait for the writer."""


class Origin(NamedTuple):
    """What answered."""

    schema: ModelSchema
    deployment: str
    version: int


class _Record(NamedTuple):
    origin: Origin
    request_id: str
    at: float
    rows: Sequence[Row]
    predictions: Predictions


class Capture:
    """The queue and its writer thread. `record` is called on the event loop, everything else anywhere."""

    def __init__(self, folder: Path, settings: CaptureSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.written = 0
        self.dropped = 0
        self._queue: deque[_Record] = deque()
        self._waiting = 0
        self._failed = False
        self._open: dict[tuple[str, int], list[Any]] = {}
        self._open_rows = 0
        self._number = 0
        self._end = threading.Event()
        self._writer = threading.Thread(target=self._run, name="capture", daemon=True)
        self._writer.start()

    def record(
        self, origin: Origin, request_id: bytes, rows: Sequence[Row], predictions: Predictions
    ) -> None:
        """Queue one answered request, if it is sampled and there is room. Never blocks, never raises."""
        if random.random() >= self.settings.fraction:  # noqa: S311 - sampling, no secret
            return
        if self._waiting + len(rows) > self.settings.queue:
            self.dropped += len(rows)
            return
        # The counter is only a bound: a lost update between the two threads would not matter.
        self._waiting += len(rows)
        self._queue.append(_Record(origin, request_id.decode(), time.time(), rows, predictions))

    def close(self, timeout: float = 10.0) -> None:
        """Write what waits, and end the thread."""
        self._end.set()
        self._writer.join(timeout)

    def _run(self) -> None:
        due = time.monotonic() + self.settings.seconds
        while True:
            ended = self._end.wait(_PAUSE)
            self._drain()
            if ended or self._open_rows >= self.settings.rows or time.monotonic() >= due:
                self._roll()
                due = time.monotonic() + self.settings.seconds
            if ended:
                return

    def _drain(self) -> None:
        while self._queue:
            first = self._queue.popleft()
            group, count = [first], len(first.rows)
            while self._queue and count < _SLICE and self._queue[0].origin is first.origin:
                group.append(self._queue.popleft())
                count += len(group[-1].rows)
            self._waiting -= count
            batch = _batch(group, self.settings.exclude)
            self._open.setdefault((first.origin.deployment, first.origin.version), []).append(batch)
            self._open_rows += count

    def _roll(self) -> None:
        groups, self._open, self._open_rows = self._open, {}, 0
        for (deployment, version), batches in groups.items():
            rows = sum(batch.num_rows for batch in batches)
            try:
                self._write(deployment, version, batches)
                self._trim()
            except OSError as error:
                self.dropped += rows
                if not self._failed:
                    log.error("captured rows are lost: %s: %s", self.folder, error.strerror or error)  # noqa: TRY400
                self._failed = True
            else:
                self.written += rows
                self._failed = False

    def _write(self, deployment: str, version: int, batches: list[Any]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path = self.folder / f"{stamp}-{self._number:06d}-{deployment}-v{version}.parquet"
        temporary = path.with_suffix(".tmp")
        try:
            pq.write_table(pa.Table.from_batches(batches), temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _trim(self) -> None:
        files = sorted(self.folder.glob("*.parquet"))
        sizes = {path: path.stat().st_size for path in files}
        total = sum(sizes.values())
        # The newest file stays even if it alone is over the bound.
        for path in files[:-1]:
            if total <= self.settings.disk:
                return
            path.unlink(missing_ok=True)
            total -= sizes[path]


def _batch(group: list[_Record], exclude: Sequence[str]) -> Any:
    import pyarrow as pa

    schema = group[0].origin.schema
    many = schema.task == "multiclass"
    per_row = [record for record in group for _ in record.rows]
    columns: dict[str, Any] = {
        "_request_id": pa.array([r.request_id for r in per_row], pa.string()),
        "_time": pa.array([int(r.at * 1e6) for r in per_row], pa.timestamp("us", "UTC")),
        "_deployment": pa.array([r.origin.deployment for r in per_row], pa.string()),
        "_version": pa.array([r.origin.version for r in per_row], pa.int64()),
        "_row": pa.array([i for r in group for i in range(len(r.rows))], pa.int32()),
        "_prediction": pa.array(
            [p for r in group for p in r.predictions.tolist()],
            pa.list_(pa.float64()) if many else pa.float64(),
        ),
    }
    types = {"string": pa.string(), "boolean": pa.bool_()}
    inputs = list(zip(*(row for r in group for row in r.rows), strict=True))
    for column, values in zip(schema.columns, inputs, strict=True):
        if column.name not in exclude:
            columns[column.name] = pa.array(values, types.get(column.type, pa.float64()))
    return pa.RecordBatch.from_pydict(columns)
