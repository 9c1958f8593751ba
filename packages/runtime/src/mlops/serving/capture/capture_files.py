"""Captured requests as rolling Parquet files: `<UTC time>-<number>-<deployment>-v<version>.parquet`.

Columns of a file: `_request_id`, `_time` (UTC, microseconds), `_deployment`, `_version`, `_row` (position
within the request), `_prediction` (as the answer has it: probability of the last class, value, or a list
with one probability a class), and the model's inputs under their own names but for those left out: text,
boolean, int64 (uint64), or float64. A file holds rows of one deployment and version, in the order of their
answers, and it appears as a whole. Sorted names are the order in time.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops.serving.capture.recorder import Record, Sink
from mlops.spec import writing
from mlops.spec.admits import cell_array
from mlops.spec.capture import CaptureSettings

log = logging.getLogger("mlops.serving")

_MEGABYTE = 1 << 20


class FileSink(Sink):
    """Files in `folder`, closed by time or size, the oldest removed at the disk's bound."""

    def __init__(self, folder: Path, settings: CaptureSettings) -> None:
        # Now and not with the first request, whose neighbours would wait for the import.
        import pyarrow.parquet  # noqa: F401

        self.folder = folder
        self.settings = settings
        self._open: dict[tuple[str, int], list[Any]] = {}
        self._bytes = 0
        self._number = 0
        self._due = time.monotonic() + settings.file_seconds
        self._files: deque[tuple[Path, int]] | None = None
        self._used = 0
        self._failed = False

    def add(self, group: Sequence[Record]) -> None:
        """Keep as Arrow until the file is due, or is large enough."""
        batch = _batch(group, self.settings.exclude)
        origin = group[0].origin
        self._open.setdefault((origin.deployment, origin.version), []).append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= self.settings.file_megabytes * _MEGABYTE:
            self._roll()

    def flush(self, *, end: bool) -> None:
        """Write when it is time."""
        if end or time.monotonic() >= self._due:
            self._roll()

    def _roll(self) -> None:
        self._due = time.monotonic() + self.settings.file_seconds
        groups, self._open, self._bytes = self._open, {}, 0
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

        if self._files is None:
            self._look()
        self._number += 1
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path = self.folder / f"{stamp}-{self._number:06d}-{deployment}-v{version}.parquet"
        with writing.replacing(path, durable=False) as draft:
            pq.write_table(pa.Table.from_batches(batches), draft)
            size = draft.stat().st_size
        assert self._files is not None  # noqa: S101 - `_look` has set it
        self._files.append((path, size))
        self._used += size

    def _look(self) -> None:
        """What earlier servers left: files count, and half a file of a killed one goes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for half in self.folder.glob("*.tmp"):
            half.unlink(missing_ok=True)
        left = deque((path, path.stat().st_size) for path in sorted(self.folder.glob("*.parquet")))
        self._used = sum(size for _, size in left)
        self._files = left

    def _trim(self) -> None:
        # The newest file stays even if it alone is over the bound.
        while self._files and len(self._files) > 1 and self._used > self.settings.disk_megabytes * _MEGABYTE:
            path, size = self._files.popleft()
            path.unlink(missing_ok=True)
            self._used -= size


def _batch(group: Sequence[Record], exclude: Sequence[str]) -> Any:
    import pyarrow as pa

    schema = group[0].origin.schema
    many = bool(schema.listed)
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
    inputs = list(zip(*(row for r in group for row in r.rows), strict=True))
    for column, values in zip(schema.columns, inputs, strict=True):
        if column.name not in exclude:
            columns[column.name] = cell_array(column, values)
    return pa.RecordBatch.from_pydict(columns)
