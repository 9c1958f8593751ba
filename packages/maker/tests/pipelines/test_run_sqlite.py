"""The runner on the laptop's real tracking store: runs, tags and metrics are where MLflow's UI looks."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tiny_pipeline import write_project

from mlops.targets.local.jobs import LocalJobs
from mlops.tracking import PipelineTracker

METRIC = """
import mlflow
with mlflow.start_run() as run:
    mlflow.log_metric("rows", 7)
    mlflow.log_param("step", a.name)
"""


class Data:
    """Assets below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def resolve(self, name: str, version: str) -> str:
        return str(self.root / "assets" / name / version)


@pytest.mark.slow
def test_metrics_of_a_reused_step_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTER", str(tmp_path / "counter"))
    write_project(tmp_path)
    steps = tmp_path / "src" / "steps.py"
    steps.write_text(steps.read_text() + METRIC)
    database = tmp_path / "mlflow.db"
    tracker = PipelineTracker(f"sqlite:///{database}", tmp_path / "artifacts")
    jobs = LocalJobs(tracker, tmp_path / "state", Data(tmp_path), tmp_path)

    first = jobs.run(tmp_path / "pipeline.yml", {}, {"mlops.commit": "abc"}, lambda _: None)
    second = jobs.run(tmp_path / "pipeline.yml", {}, {}, lambda _: None)

    assert [e.state for e in second.steps] == ["reused", "reused", "reused", "finished"]
    assert tracker.get(first.run_id).tags["mlops.commit"] == "abc"
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "select r.name, r.status, m.value, p.value from runs r join tags t on t.run_uuid = r.run_uuid "
            "left join latest_metrics m on m.run_uuid = r.run_uuid "
            "left join params p on p.run_uuid = r.run_uuid "
            "where t.key = 'mlflow.parentRunId' and t.value = ? order by r.name",
            (second.run_id,),
        ).fetchall()
    assert rows == [(n, "FINISHED", 7.0, n) for n in ("join", "left", "prep", "right")]
