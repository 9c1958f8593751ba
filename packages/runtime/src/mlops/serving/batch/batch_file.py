"""One file of rows in, one Parquet file of predictions out, in constant memory.

Predictions of a file appear as a whole or not at all. What is wrong with the file is told apart from what is
wrong with this machine: the first is a result, the second an error.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mlops.errors import InvalidInput, MlopsError, TargetError
from mlops.serving.score.core import Predictions, Scorer
from mlops.serving.score.rows import READERS, Unreadable, batches
from mlops.serving.score.table import check_table
from mlops.spec import writing

SUFFIXES = tuple(READERS)
OUTPUT = ".predictions.parquet"
"""Appended to the name of the file that was read."""
ROW = "_row"
"""Position in the file that was read, from 0."""
PREDICTION = "_prediction"
"""Probability of the last class, value, or a list with one probability a class."""

LABEL = "_label"
"""The class that the model's threshold makes of the probability; absent where a model has none."""


@dataclass(frozen=True)
class BatchJob:
    """What all files of a run share."""

    model: Path
    digest: str
    source: Path
    destination: Path
    keep: tuple[str, ...] = ()
    """Columns to copy beside the predictions."""
    threads: int = 1
    """Model calls at a time within a file."""


@dataclass(frozen=True)
class FileResult:
    """What became of one file; this is what the manifest holds."""

    source: str
    """Path below the input folder."""
    state: Literal["done", "quarantined"]
    rows: int
    reason: str
    model: str
    """Digest of the model that scored it."""
    keep: list[str]
    size: int
    modified: int
    """Size and modification time (ns) of the source: another file under the same name is scored anew."""


def score_file(scorer: Scorer, job: BatchJob, name: Path, *, durable: bool = True) -> FileResult:
    """Score one file below `job.source`; its predictions are durable before this returns, unless the caller
    makes those of many files durable at once.

    Raises `OSError` when the output cannot be written.
    """
    source = job.source / name
    stat = source.stat()
    output = job.destination / f"{name}{OUTPUT}"
    rows, reason = 0, ""
    try:
        with writing.replacing(output, durable=durable) as draft:
            rows = _write(scorer, job, source, draft)
    except (MlopsError, Unreadable) as error:
        reason = str(error) or type(error).__name__
        # Of an earlier version of this file; it must not pass for this one's predictions.
        output.unlink(missing_ok=True)
    return result_of(job, name, stat, rows, reason)


def result_of(
    job: BatchJob,
    name: Path,
    stat: os.stat_result,
    rows: int,
    quarantined: str = "",
) -> FileResult:
    """What became of a file that was as `stat` says when it was opened; `quarantined` says why it was."""
    state: Literal["done", "quarantined"] = "quarantined" if quarantined else "done"
    return FileResult(
        name.as_posix(), state, rows, quarantined, job.digest, list(job.keep), stat.st_size, stat.st_mtime_ns
    )


def answers(scorer: Scorer, job: BatchJob, batch: Any, predictions: Predictions, start: int = 0) -> Any:
    """The table of the predictions of `batch`, the first of whose rows is row `start` of its file."""
    import pyarrow as pa

    listed = scorer.schema.listed
    values = predictions.astype(np.float64)
    columns = {name: batch[name] for name in job.keep}
    columns[ROW] = pa.array(np.arange(start, start + batch.num_rows))
    columns[PREDICTION] = pa.array(
        values.tolist() if values.ndim > 1 else values, pa.list_(pa.float64()) if listed else pa.float64()
    )
    labels = None if LABEL in job.keep else scorer.labels(values.tolist())
    if labels is not None:
        columns[LABEL] = pa.array(labels, pa.string())
    about = {"mlops.model": scorer.schema.model, "mlops.digest": job.digest}
    return pa.Table.from_pydict(columns, metadata=about)


def writer_of(to: Any, table: Any) -> Any:
    """A writer of tables like `table` to a path or a stream."""
    import pyarrow.parquet as pq

    return pq.ParquetWriter(to, table.schema, write_page_checksum=True)


def predicted(scorer: Scorer, batch: Any, start: int = 0) -> Predictions:
    """The predictions of a batch. Raises `InvalidInput` for a value that breaks the contract."""
    check_table(scorer.schema, batch, start)
    predictions = scorer.predict_frame(batch)
    if not np.isfinite(predictions).all():
        raise TargetError("the model answered with NaN or infinity")
    return predictions


def _write(scorer: Scorer, job: BatchJob, source: Path, output: Path) -> int:
    writer, start = None, 0
    try:
        for batch, predictions in _predicted(scorer, batches(scorer.schema, source, job.keep), job.threads):
            table = answers(scorer, job, batch, predictions, start)
            if writer is None:
                writer = writer_of(output, table)
            writer.write_table(table)
            start += batch.num_rows
        if writer is None:
            raise InvalidInput("holds no rows")
    finally:
        if writer is not None:
            writer.close()
    return start


def _predicted(scorer: Scorer, batches: Iterator[Any], threads: int) -> Iterator[tuple[Any, Predictions]]:
    """Each batch with its predictions, in order; a few of them are computed at a time."""

    def predict(batch: Any, start: int) -> tuple[Any, Predictions]:
        return batch, predicted(scorer, batch, start)

    start = 0
    if threads == 1:
        for batch in batches:
            yield predict(batch, start)
            start += batch.num_rows
        return
    with ThreadPoolExecutor(threads, "batch") as pool:
        running: deque[Future[tuple[Any, Predictions]]] = deque()
        try:
            for batch in batches:
                running.append(pool.submit(predict, batch, start))
                start += batch.num_rows
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
