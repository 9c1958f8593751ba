"""MLflow Projects start the same verbs: a second definition of training would drift away from the first."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.spec.window import Window
from mlops.tracking import PipelineTracker, sqlite_uri
from tests.e2e.template_copy import Repository
from tests.json_http import JsonServer, Sent

ROOT = Path(__file__).parents[4]
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text(encoding="utf-8"))


def test_defaults_are_those_of_the_pipeline():
    pipeline = yaml.safe_load((ROOT / "pipelines/flights/training.yml").read_text(encoding="utf-8"))
    given = {k: v["default"] for k, v in PROJECT["entry_points"]["train"]["parameters"].items()}
    for name in ("window", "test_window"):
        assert str(Window.parse(str(given[name]))) == pipeline["inputs"][name]
    assert given["model"] == pipeline["inputs"]["model_name"]


def test_every_entry_point_is_a_verb():
    from typer.main import get_command

    from mlops.cli import _app, _verbs  # noqa: F401  registers the commands

    verbs = get_command(_app.app).commands  # type: ignore[attr-defined]
    for name, entry in PROJECT["entry_points"].items():
        program, verb = entry["command"].split()[:2]
        assert (program, verb) == ("mlops", name)
        options = {opt for parameter in verbs[verb].params for opt in parameter.opts}
        used = {word for word in entry["command"].split() if word.startswith("--")}
        assert used <= options, f"{name}: {used - options}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_mlflow_run_trains_a_version(raw_sample: Path, tmp_path: Path):
    repository = Repository.make(tmp_path, raw_sample)
    command = [sys.executable, "-m", "mlflow", "run", ".", "-e", "train", "--env-manager", "local"]
    env = {**repository.env, "PATH": f"{Path(sys.executable).parent}:{repository.env['PATH']}"}
    env["MLFLOW_TRACKING_URI"] = sqlite_uri(tmp_path / "projects.db")
    done = subprocess.run(
        [*command, "-P", "window=2013-01..2013-02", "-P", "test_window=2013-03"],
        cwd=repository.root,
        env=env,
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (version,) = repository.call("versions", "list", "--json").ok().json
    assert version["window"] == "2013-01..2013-02"
    runs = PipelineTracker(sqlite_uri(repository.root / ".mlops/mlflow.db")).children(
        repository.target.registry.get("flights", 1).run_id
    )
    assert {run.name for run in runs} == {"prep", "validate", "train", "evaluate", "explain", "register"}


class Databricks:
    """What MLflow asks of a workspace to run a project there: a run, a place for the code, a job."""

    _RUN = {"run_id": "a" * 32, "run_uuid": "a" * 32, "experiment_id": "7", "status": "RUNNING"}
    _STATE = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}
    _ANSWERS: Mapping[str, tuple[int, Any]] = {
        "GET /.well-known/databricks-config": (404, {"error_code": "ENDPOINT_NOT_FOUND", "message": "none"}),
        "POST /api/2.0/mlflow/runs/create": (200, {"run": {"info": _RUN, "data": {}}}),
        "POST /api/2.0/mlflow/runs/log-batch": (200, {}),
        "POST /api/2.0/mlflow/runs/set-tag": (200, {}),
        "GET /api/2.0/dbfs/get-status": (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}),
        "POST /dbfs": (200, {}),
        "POST /api/2.0/jobs/runs/submit": (200, {"run_id": 42}),
        "GET /api/2.0/jobs/runs/get": (200, {"run_page_url": "https://adb.example/42", "state": _STATE}),
    }

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.refused: list[str] = []

    def answer(self, sent: Sent) -> tuple[int, Any]:
        path = re.sub(r"^/dbfs/mlflow-experiments/7/.*", "/dbfs", sent.target.partition("?")[0])
        operation = f"{sent.method} {path}"
        known = "well-known" in path or sent.headers.get("authorization") == "Bearer token"
        if operation not in self._ANSWERS or not known:
            self.refused.append(operation)
            return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": operation}
        self.asked[operation] = sent.body
        return self._ANSWERS[operation]


@pytest.mark.timeout(120)
def test_the_cluster_of_the_page_is_what_databricks_is_asked_for(tmp_path: Path):
    """The project as it is in git, the entry point with its parameters, the page's cluster and wheel."""
    page = (ROOT / "docs/azure.md").read_text(encoding="utf-8")
    (spec,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "cluster.json").write_text(spec)
    repository = Repository.cloned(tmp_path)
    databricks = Databricks()
    server = JsonServer(databricks.answer)
    server.start()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mlflow", "run", ".", "-e", "train", "-b", "databricks",
             "--env-manager", "local", "--backend-config", str(tmp_path / "cluster.json"),
             "--experiment-id", "7", "-P", "window=2013-01..2013-02"],
            cwd=repository.root,
            env=repository.env
            | {
                "MLFLOW_TRACKING_URI": "databricks",
                "DATABRICKS_HOST": server.url,
                "DATABRICKS_TOKEN": "token",
                "NO_PROXY": "127.0.0.1",
            },
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )  # fmt: skip
    finally:
        server.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    assert databricks.refused == []
    job = databricks.asked["POST /api/2.0/jobs/runs/submit"]
    wanted = json.loads(spec)
    assert job["new_cluster"] == wanted["new_cluster"]
    assert job["libraries"][:-1] == wanted["libraries"]
    assert job["libraries"][-1]["pypi"]["package"].startswith("mlflow==")
    command = " ".join(job["shell_command_task"]["command"])
    assert "--entry-point train --env-manager local" in command
    assert "-P window=2013-01..2013-02" in command
    with tarfile.open(fileobj=io.BytesIO(databricks.asked["POST /dbfs"])) as code:
        names = {name.partition("/")[2] for name in code.getnames()}
    assert {
        "MLproject",
        "packages/runtime/src/mlops/errors.py",
        "pipelines/flights/training.yml",
        ".git/HEAD",
    } <= names
