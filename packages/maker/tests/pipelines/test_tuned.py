"""The best trial of a sweep becomes a version by the pipeline and the gates that every commit goes through.
A winner that is only a line of output is typed by hand into a file, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mlops.tracking import PipelineTracker, sqlite_uri
from tests.e2e.template_copy import Repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_best_trial_is_trained_and_judged(raw_sample: Path, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path, raw_sample)
    repository.seconds = 600
    tuned = repository.spawn("tune", "--trials", "2", "--workers", "1", "--write", "--json").ok().json
    written = yaml.safe_load((repository.root / "pipelines/flights/training.yml").read_text())["inputs"]
    chosen = {name: written[name] for name in tuned["parameters"]}
    assert chosen == tuned["parameters"]
    assert repository.git("status", "--porcelain") == "M pipelines/flights/training.yml", "and nothing else"

    commit = repository.commit("Take over the best trial")
    repository.spawn("train").ok()
    assert repository.call("gate", "--json").ok().json["passed"]
    version = repository.target.registry.get("flights", 1)
    assert version.tags["mlops.commit"] == commit
    tracker = PipelineTracker(sqlite_uri(repository.root / ".mlops/mlflow.db"))
    (step,) = [run for run in tracker.children(version.run_id) if run.name == "train"]
    assert {name: float(step.params[name]) for name in chosen} == {n: float(v) for n, v in chosen.items()}
