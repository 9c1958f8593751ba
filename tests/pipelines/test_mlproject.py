"""MLflow Projects start the same verbs: a second definition of training would drift away from the first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.e2e.template_copy import Repository

from mlops.spec.window import Window
from mlops.tracking import PipelineTracker, sqlite_uri

ROOT = Path(__file__).parents[2]
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
@pytest.mark.processes
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
