"""Sweep jobs in the training workspace: the file that `mlops tune` runs on a laptop, as it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mlops.errors import InvalidInput, StepFailed, TargetError
from mlops.pipeline import lint
from mlops.pipeline.run.values import job_inputs
from mlops.pipeline.sweep.models import SweepFile, read_sweep
from mlops.pipeline.sweep.result import TrialState
from mlops.spec.digest import data_digest, file_digest
from mlops.targets.azure.connect import Connection, silent
from mlops.targets.azure.jobs import ENDED, described, job_of, steps_of, url_of
from mlops.targets.base import DataAssets, SweepResult, TrialResult
from mlops.tracking import PipelineTracker, Run
from mlops.tracking.azure_errors import azure_sentences

KEY = "mlops.sweep.key"
"""Tag of a sweep's run: what it was asked to do, so that asking again follows it."""
_STATES: Mapping[str, TrialState] = {
    "Completed": "finished",
    "Failed": "failed",
    "NotResponding": "failed",
    "Canceled": "stopped",
    "Running": "running",
}
_WAIT = 2.0


class AzureSweeps:
    """Implements `mlops.targets.base.Sweeps`. Trials say their values and their metric to MLflow."""

    def __init__(self, connection: Connection, data: DataAssets) -> None:
        self._connection = connection
        self._data = data

    def run(
        self,
        sweep: Path,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        *,
        trials: int | None,
        workers: int | None,
        progress: Callable[[TrialResult], None],
    ) -> SweepResult:
        """See `mlops.targets.base.Sweeps.run`; an interruption leaves the job, asking again follows it."""
        if problems := lint(sweep):
            raise InvalidInput(problems)
        file = read_sweep(sweep)
        job_inputs(file.document, sweep, file.job.inputs, inputs, self._data.resolve, here=False)
        key = data_digest([file_digest(sweep), sorted(inputs.items()), trials, workers, sorted(tags.items())])
        name = self._running(file, key) or self._submit(sweep, inputs, {**tags, KEY: key}, trials, workers)
        told: dict[int, TrialResult] = {}
        while True:
            job = job_of(self._connection, name)
            for trial in self._trials(file, name):
                if told.get(trial.number) != trial:
                    told[trial.number] = trial
                    progress(trial)
            if job.status in ENDED:
                break
            time.sleep(_WAIT)
        url = url_of(self._connection, name)
        if job.status == "Canceled":
            raise TargetError(f"the sweep {name} was cancelled; {url} says by whom")
        if job.status != "Completed":
            raise StepFailed(f"the sweep {name} failed; {url} says why")
        results = tuple(told[number] for number in sorted(told))
        objective = file.job.objective
        return SweepResult(name, objective.primary_metric, objective.goal, results, url)

    def _submit(
        self,
        sweep: Path,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        trials: int | None,
        workers: int | None,
    ) -> str:
        client = self._connection.client()
        with azure_sentences(f"submit {sweep.name} to {client.workspace_name}"), silent():
            job = described(sweep, inputs, tags)
            if trials is not None:
                job.limits.max_total_trials = trials
            if workers is not None:
                job.limits.max_concurrent_trials = workers
            return str(client.jobs.create_or_update(job).name)

    def _running(self, file: SweepFile, key: str) -> str | None:
        """The job that was asked to do the same and has not ended."""
        experiment = file.job.experiment_name or file.job.name or ""
        runs = self._tracker.find_runs(experiment, {KEY: key}, "RUNNING") if experiment else []
        return runs[0].run_id if runs else None

    def _trials(self, file: SweepFile, name: str) -> list[TrialResult]:
        results = []
        for number, step in enumerate(steps_of(self._connection, name)):
            if (state := _STATES.get(step.status)) is None:
                continue
            run = self._tracker.get(step.name)
            value = run.metrics.get(file.job.objective.primary_metric)
            values = _values(run, file.job.search_space)
            results.append(TrialResult(number, state, values, value, run.run_id))
        return results

    @property
    def _tracker(self) -> PipelineTracker:
        return PipelineTracker(self._connection.tracking_uri())


def _values(run: Run, space: Mapping[str, Any]) -> dict[str, Any]:
    """What was drawn: Azure ML's own record where it has one, else what the trial logged."""
    drawn = json.loads(run.tags.get("hyperparameters") or "{}")
    texts = {**run.params, **{str(k): str(v) for k, v in drawn.items()}}
    return {name: yaml.safe_load(texts[name]) for name in space if name in texts}
