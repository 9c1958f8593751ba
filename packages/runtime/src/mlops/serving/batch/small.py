"""Many small files: read one by one, held to the contract and scored together, written one by one.

To check and to score a hundred rows costs as much as thousands of them. What comes of a file is what it would
be alone: only a graph is asked about the rows of several files at once, as it sees each row by itself. Where
anything is wrong with one of them, each is scored alone and its own reason is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mlops.errors import MlopsError
from mlops.serving.batch.batch_file import (
    OUTPUT,
    BatchJob,
    FileResult,
    answers,
    predicted,
    result_of,
    score_file,
    writer_of,
)
from mlops.serving.score.core import Scorer
from mlops.serving.score.rows import ROWS, Unreadable, batches
from mlops.spec import writing

BYTES = 1 << 18
"""A file of more is scored alone."""
TOGETHER = 1 << 20
"""Bytes of the files of a group: what a kill may cost."""
FILES = 64
"""Files of a group, at most."""


@dataclass(frozen=True)
class _Read:
    name: Path
    stat: os.stat_result
    batch: Any


def groups(job: BatchJob, names: Sequence[Path], processes: int) -> Iterator[list[Path]]:
    """`names` in their order, small files of one group beside each other; enough groups for all processes."""
    most = max(1, min(FILES, len(names) // (4 * processes)))
    group: list[Path] = []
    held = 0
    for name in names:
        size = (job.source / name).stat().st_size
        if group and (len(group) == most or held + size > TOGETHER):
            yield group
            group, held = [], 0
        group.append(name)
        held += size
    if group:
        yield group


def score_files(scorer: Scorer, job: BatchJob, names: Sequence[Path]) -> Iterator[FileResult]:
    """What `score_file` makes of each file; whoever notes the results makes the predictions durable."""
    waiting: list[_Read] = []
    for name in names:
        read = _read(scorer, job, name)
        if read is None:
            yield score_file(scorer, job, name, durable=False)
            continue
        rows = sum(one.batch.num_rows for one in waiting) + read.batch.num_rows
        if waiting and (rows > ROWS or waiting[0].batch.schema != read.batch.schema):
            yield from _scored(scorer, job, waiting)
            waiting = []
        waiting.append(read)
    yield from _scored(scorer, job, waiting)


def _read(scorer: Scorer, job: BatchJob, name: Path) -> _Read | None:
    """A file of one batch; None when it is to be scored alone, or when it cannot be read."""
    if scorer.schema.onnx is None:
        return None
    stat = (job.source / name).stat()
    if stat.st_size > BYTES:
        return None
    try:
        parts = list(islice(batches(scorer.schema, job.source / name, job.keep), 2))
    except (MlopsError, Unreadable):
        return None
    return _Read(name, stat, parts[0]) if len(parts) == 1 and parts[0].num_rows else None


def _scored(scorer: Scorer, job: BatchJob, group: Sequence[_Read]) -> Iterator[FileResult]:
    if not group:
        return
    import pyarrow as pa

    whole = pa.Table.from_batches([one.batch for one in group]).combine_chunks().to_batches()
    try:
        predictions = predicted(scorer, whole[0]) if len(whole) == 1 else None
    except MlopsError:
        predictions = None
    if predictions is None:
        yield from (score_file(scorer, job, one.name, durable=False) for one in group)
        return
    start = 0
    for one in group:
        rows = one.batch.num_rows
        table = answers(scorer, job, one.batch, predictions[start : start + rows])
        stream = pa.BufferOutputStream()
        with writer_of(stream, table) as writer:
            writer.write_table(table)
        output = job.destination / f"{one.name}{OUTPUT}"
        writing.write(output, stream.getvalue().to_pybytes(), durable=False)
        yield result_of(job, one.name, one.stat, rows)
        start += rows
