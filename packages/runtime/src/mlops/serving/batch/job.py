"""Batch scoring: a folder of Parquet or CSV files in, a Parquet file of predictions for each out.

A file's predictions appear as a whole or not at all, and an entry in `_manifest/` follows them. A run that
was killed is run again: files with an entry are skipped, the one that was in the making is made anew, and
no row can come twice. A file that breaks the contract is quarantined with its reason, and the others go on.

`mlops.serving.azure.batch` drives the same core as an Azure ML parallel job.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

from mlops.errors import InvalidInput, Locked, Problem, TargetError
from mlops.serving.batch.batch_file import (
    OUTPUT,
    PREDICTION,
    ROW,
    SUFFIXES,
    BatchJob,
    FileResult,
    score_file,
)
from mlops.serving.batch.small import groups, score_files
from mlops.serving.score.core import Scorer, load, verify
from mlops.spec import writing
from mlops.spec.digest import tree_digest

_TOGETHER = 0.25
"""Seconds of work that a kill may cost, at most."""
_FEW = 8
"""Files that are forced to the disk one by one."""
MANIFEST = "_manifest"
"""Folder below the output: `<name>.json` for each file of the input, a `FileResult`."""


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

    `keep` names columns to copy beside `_row` and `_prediction`. `workers` (default: the CPUs that this
    process may use) is how many model calls run at a time: a process a file, and threads within a file when
    there are fewer files. `progress` gets each result with the number of files done and their total.

    Raises `InvalidInput` when there is nothing to score or the folders overlap, `IntegrityError` for a wrong
    digest, `Locked` when another run writes there, and `TargetError` when a worker dies; then run it again.
    """
    files = _files(source, destination)
    if clash := {ROW, PREDICTION} & set(keep):
        raise InvalidInput(f"the column {clash.pop()!r} cannot be kept: predictions have one of that name")
    if digest is not None:
        verify(model, digest)
    job = BatchJob(model, digest or tree_digest(model), source, destination, tuple(keep))
    with _alone(destination):
        known = {name: finished(job, name) for name in files}
        results = {name: result for name, result in known.items() if result is not None}
        skipped = len(results)
        todo = [name for name in files if name not in results]
        with _Notes(destination) as notes:
            for result in _score_all(job, todo, workers or _cpus()):
                notes.add(result)
                results[Path(result.source)] = result
                progress(result, len(results), len(files))
    return BatchReport(tuple(results[name] for name in files), skipped)


def _files(source: Path, destination: Path) -> list[Path]:
    if not source.is_dir():
        raise InvalidInput(Problem(str(source), "is no folder; name one that holds Parquet or CSV files"))
    if destination.resolve().is_relative_to(source.resolve()):
        raise InvalidInput(
            Problem(str(destination), f"lies in the input {source}, so the next run would score predictions")
        )
    if destination.exists() and not destination.is_dir():
        raise InvalidInput(Problem(str(destination), "is a file; predictions go to a folder"))
    files = sorted(
        p.relative_to(source) for p in source.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
    )
    if not files:
        raise InvalidInput(Problem(str(source), f"holds no file that ends in {' or '.join(SUFFIXES)}"))
    return files


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _alone(destination: Path) -> Iterator[None]:
    """One run at a time for an output; what killed runs left half written goes."""
    (destination / MANIFEST).mkdir(parents=True, exist_ok=True)
    with (destination / MANIFEST / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"another run writes to {destination}; wait for it, or choose another") from None
        for half in destination.rglob(".*.tmp"):
            half.unlink(missing_ok=True)
        yield


def _score_all(job: BatchJob, todo: list[Path], workers: int) -> Iterator[FileResult]:
    processes = min(workers, len(todo))
    if processes == 0:
        return
    job = replace(job, threads=max(1, workers // processes))
    if processes == 1:
        scorer = load(job.model, digest=job.digest)
        for group in groups(job, todo, 1):
            yield from score_files(scorer, job, group)
        return
    # Spawned, not forked: a process that holds threads of ONNX Runtime must not be copied.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _start_worker, (job,))
    try:
        futures = [pool.submit(_work, job, group) for group in groups(job, todo, processes)]
        for future in as_completed(futures):
            yield from future.result()
    except (BrokenProcessPool, MemoryError):
        raise TargetError(
            "a worker of the batch died (killed, or out of memory); finished files are kept: run it again, "
            "with fewer --workers if memory is short"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: Scorer | None = None


def _start_worker(job: BatchJob) -> None:
    global _worker  # noqa: PLW0603 - a process pool's initializer has no other place
    # Control-C goes to the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = load(job.model, digest=job.digest)


def _end_with_parent() -> None:
    """A pool's workers wait for ever when their parent was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _work(job: BatchJob, names: Sequence[Path]) -> list[FileResult]:
    assert _worker is not None  # noqa: S101 - the initializer has run
    return list(score_files(_worker, job, names))


class _Notes:
    """Entries of the manifest: written when the predictions that they speak of are on the disk.

    To force one file there takes longer than to score a small one. So they are forced together, several
    times a second. A run that is killed before then scores these files again; their predictions take the
    same place.
    """

    def __init__(self, destination: Path) -> None:
        self._destination = destination
        self._waiting: list[FileResult] = []
        self._since = time.monotonic()

    def __enter__(self) -> _Notes:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def add(self, result: FileResult) -> None:
        """Note it, at once or with those that follow."""
        self._waiting.append(result)
        if time.monotonic() - self._since >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Whatever was added is noted when this returns."""
        waiting, self._waiting = self._waiting, []
        made = [self._destination / f"{r.source}{OUTPUT}" for r in waiting if r.state == "done"]
        if len(made) > _FEW:
            os.sync()
        else:
            for path in (*made, *{path.parent for path in made}):
                writing.sync(path)
        for result in waiting:
            _note(self._destination, Path(result.source), result)
        self._since = time.monotonic()


def score(scorer: Scorer, job: BatchJob, name: Path) -> FileResult:
    """Score one file and note it in the manifest; what is wrong with the file ends in the result."""
    result = score_file(scorer, job, name)
    _note(job.destination, name, result)
    return result


def _note(destination: Path, name: Path, result: FileResult) -> None:
    # One that is lost costs scoring a file again; the predictions themselves are durable by now.
    writing.write(destination / MANIFEST / f"{name}.json", json.dumps(asdict(result)), durable=False)


def finished(job: BatchJob, name: Path) -> FileResult | None:
    """What an earlier run noted of this very file, model and choice of columns."""
    try:
        text = (job.destination / MANIFEST / f"{name}.json").read_text(encoding="utf-8")
        noted = FileResult(**json.loads(text))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    stat = (job.source / name).stat()
    same = (noted.model, noted.keep, noted.size, noted.modified) == (
        job.digest, list(job.keep), stat.st_size, stat.st_mtime_ns,
    )  # fmt: skip
    there = noted.state == "quarantined" or (job.destination / f"{name}{OUTPUT}").exists()
    return noted if same and there else None
