"""Batch scoring: a folder of Parquet or CSV files in, a Parquet file of predictions for each out.

A file's predictions appear as a whole or not at all, and an entry in `_manifest/` follows them. A run that
was killed is run again: files with an entry are skipped, the one that was in the making is made anew, and
no row can come twice. A file that breaks the contract is quarantined with its reason, and the others go on.

`init()` and `run(mini_batch)` make this module the entry script of an Azure ML parallel job.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mlops.errors import InvalidInput, MlopsError, Problem, TargetError
from mlops.serving.core import Scorer, load, verify
from mlops.serving.table import check_table
from mlops.spec.digest import tree_digest
from mlops.spec.schema import ModelSchema

SUFFIXES = (".parquet", ".csv")
MANIFEST = "_manifest"
ROWS = 50_000
"""Rows in memory at a time."""


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
    size: int
    modified: int
    """Size and modification time (ns) of the source: another file under the same name is scored anew."""


@dataclass(frozen=True)
class BatchJob:
    """What all files of a run share."""

    model: Path
    digest: str
    source: Path
    destination: Path
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchReport:
    """All files of a run, sorted by name."""

    files: tuple[FileResult, ...]
    skipped: int
    """Files that an earlier run had finished."""

    @property
    def rows(self) -> int:
        return sum(f.rows for f in self.files if f.state == "done")

    @property
    def quarantined(self) -> tuple[FileResult, ...]:
        return tuple(f for f in self.files if f.state == "quarantined")


def score_folder(
    model: Path,
    source: Path,
    destination: Path,
    *,
    digest: str | None = None,
    keep: Sequence[str] = (),
    workers: int | None = None,
    progress: Callable[[FileResult, int, int], None] = lambda result, done, total: None,
) -> BatchReport:
    """Score every file below `source`; `<name>.predictions.parquet` below `destination` for each.

    `keep` names columns to copy beside `_row` and `_prediction`. `progress` gets each result with the
    number of files done and their total. Raises `InvalidInput` when there is nothing to score,
    `IntegrityError` for a wrong digest, and `TargetError` when a worker dies; then run it again.
    """
    files = sorted(p.relative_to(source) for p in source.rglob("*") if p.suffix in SUFFIXES and p.is_file())
    if not files:
        raise InvalidInput(Problem(str(source), f"holds no file that ends in {' or '.join(SUFFIXES)}"))
    if digest is not None:
        verify(model, digest)
    job = BatchJob(model, digest or tree_digest(model), source, destination, tuple(keep))
    finished = {name: _finished(job, name) for name in files}
    results = {name: result for name, result in finished.items() if result is not None}
    skipped = len(results)
    todo = [name for name in files if name not in results]
    for result in _score_all(job, todo, min(workers or os.cpu_count() or 1, len(todo))):
        results[Path(result.source)] = result
        progress(result, len(results), len(files))
    return BatchReport(tuple(results[name] for name in files), skipped)


def _score_all(job: BatchJob, todo: list[Path], workers: int) -> Iterator[FileResult]:
    if workers == 0:
        return
    if workers == 1:
        scorer = load(job.model, digest=job.digest)
        yield from (score_file(scorer, job, name) for name in todo)
        return
    # Spawned, not forked: a process that holds threads of ONNX Runtime must not be copied.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (job,))
    try:
        futures = [pool.submit(_work, job, name) for name in todo]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise TargetError(
            "a worker of the batch died (killed, or out of memory); finished files are kept: run it again"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: Scorer | None = None


def _start_worker(job: BatchJob) -> None:
    global _worker  # noqa: PLW0603 - a process pool's initializer has no other place
    _worker = load(job.model, digest=job.digest)


def _work(job: BatchJob, name: Path) -> FileResult:
    assert _worker is not None  # noqa: S101 - the initializer has run
    return score_file(_worker, job, name)


def score_file(scorer: Scorer, job: BatchJob, name: Path) -> FileResult:
    """Score one file below `job.source`. What is wrong with the file ends in its result; what is wrong
    with this machine is raised."""
    import pyarrow as pa

    stat = (job.source / name).stat()

    def result(state: Literal["done", "quarantined"], rows: int, reason: str) -> FileResult:
        return FileResult(name.as_posix(), state, rows, reason, job.digest, stat.st_size, stat.st_mtime_ns)

    output = job.destination / f"{name}.predictions.parquet"
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        rows = _write(scorer, job.source / name, temporary, job.keep)
        temporary.replace(output)
        made = result("done", rows, "")
    except (MlopsError, pa.ArrowException, UnicodeDecodeError) as error:
        # Of an earlier version of this file; it must not pass for this one's predictions.
        output.unlink(missing_ok=True)
        made = result("quarantined", 0, str(error))
    finally:
        temporary.unlink(missing_ok=True)
    _note(job.destination, name, made)
    return made


def _write(scorer: Scorer, source: Path, output: Path, keep: Sequence[str]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = pa.list_(pa.float64()) if scorer.schema.task == "multiclass" else pa.float64()
    writer, start = None, 0
    try:
        for batch in _batches(scorer.schema, source, keep):
            check_table(scorer.schema, batch, start)
            predictions = scorer.predict_frame(batch)
            if not np.isfinite(predictions).all():
                raise TargetError("the model answered with NaN or infinity")
            columns = {name: batch[name] for name in keep}
            columns["_row"] = pa.array(range(start, start + batch.num_rows), pa.int64())
            columns["_prediction"] = pa.array(predictions.astype(np.float64).tolist(), number)
            table = pa.Table.from_pydict(columns)
            writer = writer or pq.ParquetWriter(output, table.schema)
            writer.write_table(table)
            start += batch.num_rows
        if writer is None:
            raise InvalidInput("holds no rows")
    finally:
        if writer is not None:
            writer.close()
    return start


def _batches(schema: ModelSchema, path: Path, keep: Sequence[str]) -> Iterator[Any]:
    import pyarrow.parquet as pq

    wanted = [c.name for c in schema.columns] + [k for k in keep if k not in {c.name for c in schema.columns}]
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if missing := [name for name in wanted if name not in names]:
                raise InvalidInput(f"lacks the columns {', '.join(missing)}; it has {', '.join(names)}")
            yield from (b for b in file.iter_batches(ROWS, columns=wanted) if b.num_rows)
        return
    yield from (b for b in _csv(schema, path) if b.num_rows)


def _csv(schema: ModelSchema, path: Path) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv

    types = {"string": pa.string(), "boolean": pa.bool_()}
    convert = csv.ConvertOptions(
        column_types={c.name: types.get(c.type, pa.float64()) for c in schema.columns},
        # Only an empty field is null: "NA" and "nan" are texts, and some of them are real codes.
        null_values=[""],
        strings_can_be_null=True,
    )
    with csv.open_csv(
        path, read_options=csv.ReadOptions(block_size=8 << 20), convert_options=convert
    ) as reader:
        yield from reader


def _entry(destination: Path, name: Path) -> Path:
    return destination / MANIFEST / f"{name}.json"


def _finished(job: BatchJob, name: Path) -> FileResult | None:
    try:
        noted = FileResult(**json.loads(_entry(job.destination, name).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    stat = (job.source / name).stat()
    same = (noted.model, noted.size, noted.modified) == (job.digest, stat.st_size, stat.st_mtime_ns)
    there = noted.state == "quarantined" or (job.destination / f"{name}.predictions.parquet").exists()
    return noted if same and there else None


def _note(destination: Path, name: Path, result: FileResult) -> None:
    path = _entry(destination, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(asdict(result)), encoding="utf-8")
    temporary.replace(path)


# --- Azure ML parallel job ---------------------------------------------------------------------------


_parallel: tuple[Scorer, BatchJob] | None = None


def init() -> None:
    """Load the model once a worker; `--model` and `--output` come from the job's program arguments."""
    global _parallel  # noqa: PLW0603 - Azure's interface is two functions of a module
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=os.environ.get("AZUREML_MODEL_DIR"))
    parser.add_argument("--output", type=Path, default=os.environ.get("AZUREML_BI_OUTPUT_PATH"))
    options, _ = parser.parse_known_args()
    if options.model is None or options.output is None:
        raise InvalidInput("the parallel job must give --model and --output in its program arguments")
    digest = os.environ.get("MLOPS_MODEL_DIGEST") or None
    scorer = load(options.model, digest=digest)
    _parallel = (
        scorer,
        BatchJob(options.model, digest or tree_digest(options.model), Path(), options.output),
    )


def run(mini_batch: Sequence[str]) -> list[str]:
    """One line a file that was scored. A quarantined file is missing from it, so that Azure counts it
    against the job's `mini_batch_error_threshold`."""
    if _parallel is None:
        raise TargetError("init() was not called")
    scorer, job = _parallel
    lines = []
    for path in map(Path, mini_batch):
        made = score_file(scorer, replace(job, source=path.parent), Path(path.name))
        if made.state == "done":
            lines.append(f"{made.source} {made.rows}")
        else:
            print(f"quarantined {made.source}: {made.reason}", flush=True)  # noqa: T201 - the job's log
    return lines
