"""MLflow's page shows runs of a model, with who made them, of what and from which commit."""

from __future__ import annotations

from pathlib import Path

from mlops.tracking import PipelineTracker, sqlite_uri
from mlops.tracking._connection import client

TAGS = {"mlops.actor": "Ada", "mlops.pipeline": "pipelines/flights/training.yml", "mlops.commit": "c" * 40}


def test_the_page_of_a_run_says_who_and_what_and_the_experiment_is_no_chat(tmp_path: Path) -> None:
    tracker = PipelineTracker(sqlite_uri(tmp_path / "mlflow.db"), tmp_path / "artifacts")
    run = tracker.get(tracker.create_parent("flights", "training", TAGS))
    assert (run.tags["mlflow.user"], run.tags["mlflow.source.name"]) == ("Ada", TAGS["mlops.pipeline"])
    assert run.tags["mlflow.source.git.commit"] == "c" * 40
    kind = client(tracker.uri).get_experiment(run.experiment_id).tags["mlflow.experimentKind"]
    assert kind == "custom_model_development"
