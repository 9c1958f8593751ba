"""`mlops pipeline run`: a job of no model in particular."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mlops.errors import InvalidInput
from mlops.lifecycle.train.lineage import checkout
from mlops.pipeline import Selection
from mlops.targets.base import JobResult, Jobs, StepEvent


def run_job(
    root: Path,
    jobs: Jobs,
    path: Path,
    *,
    inputs: Mapping[str, str],
    selection: Selection,
    progress: Callable[[StepEvent], None],
) -> JobResult:
    """Run the job of the file `path` to its end. Raises what `Jobs.run` raises, and `InvalidInput`."""
    return jobs.run(path, inputs, {**_source(root), "mlops.job": path.name}, progress, selection)


def _source(root: Path) -> dict[str, str]:
    """The commit, where there is one: a job that registers nothing may run without."""
    try:
        return checkout(root).as_tags()
    except InvalidInput:
        return {}
