"""Entry script of an Azure ML parallel job: `init()` once a worker, `run(mini_batch)` for each mini-batch.

It drives the core of `mlops.serving.batch.job`, and the manifest is the same, so that a job that is started
again on the same output goes on where it was. Program arguments: `--model`, `--output`, and `--input` for
the folder that mini-batches are files of; `--digest` (`none`: only formats that cannot run code), `--keep`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mlops.errors import InvalidInput, TargetError
from mlops.serving.batch.batch_file import BatchJob
from mlops.serving.batch.job import finished, score
from mlops.serving.score.core import Scorer, find_artifact, load
from mlops.serving.score.signing import signed_from, verify_apart
from mlops.spec.digest import tree_digest

UNNAMED = "none"
"""A job's input cannot be empty."""


class _Parallel(NamedTuple):
    scorer: Scorer
    job: BatchJob


_parallel: _Parallel | None = None


def init() -> None:
    """Load the model once a worker. Raises `InvalidInput` and what loading raises: the job then fails."""
    global _parallel  # noqa: PLW0603 - Azure's interface is two functions of a module
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", type=Path, default=os.environ.get("AZUREML_MODEL_DIR"))
    parser.add_argument("--input", type=Path)
    parser.add_argument("--output", type=Path, default=os.environ.get("AZUREML_BI_OUTPUT_PATH"))
    parser.add_argument("--digest", default=os.environ.get("MLOPS_MODEL_DIGEST"))
    parser.add_argument("--keep", default="", help="columns to copy, separated by commas")
    options, _ = parser.parse_known_args()
    if options.model is None or options.output is None:
        raise InvalidInput("the parallel job must give --model and --output in its program arguments")
    folder = find_artifact(Path(options.model))
    named = None if options.digest in (None, "", UNNAMED) else str(options.digest)
    digest = named or tree_digest(folder)
    keep = tuple(name for name in options.keep.split(",") if name)
    if (signed := signed_from()) is not None:
        verify_apart(folder, signed)
    # Workers share the node's cores already: one thread each.
    job = BatchJob(folder, digest, options.input or Path(), Path(options.output), keep)
    _parallel = _Parallel(load(folder, digest=named), job)


def run(mini_batch: Sequence[str]) -> list[str]:
    """One line a file that was scored, now or by an earlier attempt. A quarantined file is missing from it,
    so that Azure counts it against the job's `mini_batch_error_threshold`."""
    if _parallel is None:
        raise TargetError("init() was not called")
    lines = []
    for path in map(Path, mini_batch):
        job, name = _place(_parallel.job, path)
        result = finished(job, name) or score(_parallel.scorer, job, name)
        if result.state == "done":
            lines.append(f"{result.source} {result.rows}")
        else:
            print(f"quarantined {result.source}: {result.reason}", flush=True)  # noqa: T201 - the job's log
    return lines


def _place(job: BatchJob, path: Path) -> tuple[BatchJob, Path]:
    """Where a file's predictions go: as its place below `--input`, or else below a name of its folder, so
    that files of the same name in two folders do not meet."""
    if path.is_relative_to(job.source):
        return job, path.relative_to(job.source)
    of_folder = hashlib.sha256(path.parent.as_posix().encode()).hexdigest()[:12]
    return replace(job, source=path.parent, destination=job.destination / of_folder), Path(path.name)
