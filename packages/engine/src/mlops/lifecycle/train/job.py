"""`mlops pipeline run`: a job of no model in particular."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mlops.errors import InvalidInput
from mlops.lifecycle.train.lineage import checkout
from mlops.pipeline import Selection
from mlops.targets.base import JobResult, StepEvent, Target


def run_job(
    root: Path,
    target: Target,
    path: Path,
    *,
    inputs: Mapping[str, str],
    selection: Selection,
    progress: Callable[[StepEvent], None],
) -> JobResult:
    """Run the job of the file `path` to its end. Raises what `Jobs.run` raises, and `InvalidInput`."""
    if not path.is_file():
        raise InvalidInput(f"{path} does not exist; name the file of a pipeline or of a job")
    return target.jobs.run(
        path, inputs, {**checkout(root).as_tags(), "mlops.job": path.name}, progress, selection
    )
