"""`mlops tune`: what it may draw, what it must not look at, and that it changes a file's values only."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlops.errors import InvalidInput, StepFailed
from mlops.lifecycle.train import tune
from mlops.pipeline import load_pipeline
from mlops.pipeline.sweep.result import SweepResult, TrialResult
from mlops.spec.engine import export
from mlops.targets.base import Target

ROOT = Path(__file__).parents[5]
DRAWN = {
    "learning_rate": 0.0123456789,
    "max_iter": 400,
    "max_leaf_nodes": 36.0,
    "min_samples_leaf": 320.0,
    "l2_regularization": 5.0,
}


class Sweeps:
    """Answers with given trials."""

    def __init__(self, *trials: TrialResult) -> None:
        self.trials = trials
        self.asked: dict[str, str] = {}

    def run(self, sweep: Path, inputs: Mapping[str, str], tags: Mapping[str, str], **_: Any) -> SweepResult:
        self.asked = dict(inputs)
        return SweepResult("run", "roc_auc", "maximize", self.trials)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "pipelines/flights", tmp_path / "pipelines/flights")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *who, *command], cwd=tmp_path, check=True)
    return tmp_path


def _tune(root: Path, sweeps: Sweeps, inputs: Mapping[str, str] | None = None) -> tune.Tuned:
    target = cast("Target", SimpleNamespace(name="fake", sweeps=sweeps))
    silent: Callable[[TrialResult], None] = lambda _: None  # noqa: E731
    return tune.tune(root, target, "flights", inputs or {}, trials=None, workers=None, progress=silent)


def _trial(number: int, value: float | None, state: Any = "finished", **values: Any) -> TrialResult:
    return TrialResult(number, state, {**DRAWN, **values}, value)


def test_the_best_finished_trial_counts(repository: Path) -> None:
    found = _tune(
        repository,
        Sweeps(_trial(0, 0.6), _trial(1, 0.9, "stopped"), _trial(2, 0.7, max_iter=200), _trial(3, 0.7)),
    )
    assert found.best.number == 2, "the first of equals"
    assert found.parameters["max_iter"] == 200
    assert found.parameters["max_leaf_nodes"] == 36
    assert isinstance(found.parameters["max_leaf_nodes"], int), "the step declares a whole number"
    assert found.defaults["learning_rate"] == 0.05


def test_write_changes_values_and_nothing_else(repository: Path) -> None:
    path = repository / "pipelines/flights/training.yml"
    before = path.read_text()
    found = _tune(repository, Sweeps(_trial(0, 0.6)))
    assert tune.write(repository, found)
    after = path.read_text()
    changed = [(a, b) for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert [b.strip() for _, b in changed] == [
        "learning_rate: 0.0123457",
        "max_iter: 400",
        "max_leaf_nodes: 36",
        "min_samples_leaf: 320",
        "l2_regularization: 5.0",
    ]
    assert load_pipeline(path).job.inputs["max_leaf_nodes"].given == 36
    assert not tune.write(repository, found), "twice is once"


def test_months_that_the_pipeline_tests_on_are_refused(repository: Path) -> None:
    sweeps = Sweeps(_trial(0, 0.6))
    with pytest.raises(InvalidInput, match=r"sweep.yml:\d+: inputs.validation_window: .*2013-04 overlaps"):
        _tune(repository, sweeps, {"validation_window": "2013-03..2013-04"})


def test_what_the_pipeline_does_not_take_is_refused(repository: Path) -> None:
    path = repository / "pipelines/flights/sweep.yml"
    path.write_text(path.read_text().replace("max_iter", "max_depth"))
    with pytest.raises(InvalidInput, match=r"search_space.max_depth: .*hands no such input to a step"):
        _tune(repository, Sweeps(_trial(0, 0.6)))


def test_a_value_that_the_step_refuses_is_named(repository: Path) -> None:
    with pytest.raises(InvalidInput, match="max_leaf_nodes must be at most 255"):
        _tune(repository, Sweeps(_trial(0, 0.6, max_leaf_nodes=300.0)))


def test_no_finished_trial_is_an_error(repository: Path) -> None:
    with pytest.raises(StepFailed, match="no trial of 2"):
        _tune(repository, Sweeps(_trial(0, 0.9, "stopped"), _trial(1, None, "failed")))


def test_azure_ml_accepts_the_file(repository: Path) -> None:
    from azure.ai.ml import load_job

    export(repository)  # as `mlops lint` and each run do: a trial takes the engine along
    job = load_job(repository / "pipelines/flights/sweep.yml")
    assert job._to_rest_object().properties.objective.primary_metric == "roc_auc"
    assert set(job.search_space) == set(DRAWN)
    assert job.early_termination.type == "median_stopping"
