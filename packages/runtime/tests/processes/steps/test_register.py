"""The version carries its whole provenance, exists once for each artifact, and never half: what a killed or
repeated registration leaves behind would otherwise be released."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlops.spec.digest import tree_digest
from mlops.steps import register
from mlops.tracking import ModelStore, PipelineTracker, sqlite_uri

DIGEST = f"sha256:{'d' * 64}"
LINEAGE = {"mlops.commit": "c" * 40, "mlops.actor": "Ada", "mlops.environment.digest": f"sha256:{'e' * 64}"}
EVALUATION = {
    "task": "binary",
    "rows": 100,
    "confidence": 0.95,
    "resamples": 200,
    "seed": 1,
    "metrics": {"roc_auc": {"value": 0.7, "low": 0.65, "high": 0.75}},
    "onnx": {"max_abs_difference": 1e-6, "label_flips": 0, "rows": 100},
    "artifact_bytes": 5,
    "latency": {"seconds": 0.001, "repeats": 10, "reference_seconds": 0.0001},
}
DIE = """
import os, signal, sys
from mlops.steps import register
from mlops.tracking import ModelStore
ModelStore.register = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
register.main(sys.argv[1:])
"""


class Pipeline:
    """A parent run with a train step, and the outputs that `register` gets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracker = PipelineTracker(sqlite_uri(folder / "mlflow.db"), folder / "artifacts")
        self.store = ModelStore(self.tracker.uri)
        self.write("model/MLmodel", "flavors: {}\n")
        self.write("report/evaluation.json", json.dumps(EVALUATION))
        self.write("explanation/importance.json", "{}")
        for name, window in (("train", "2013-01..2013-03"), ("test", "2013-04")):
            facts = {"name": "nycflights", "version": "1", "digest": DIGEST, "window": window, "rows": 100}
            self.write(f"{name}/manifest.json", json.dumps(facts))
            self.write(f"{name}/data.parquet", f"rows of {window}")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def start(self) -> tuple[str, dict[str, str]]:
        """A new parent, and the environment of its step `register`."""
        parent = self.tracker.create_parent("flights", "training", {**LINEAGE, "mlops.pid": "host:1"})
        train = self.tracker.create_child(parent, "train", {"mlops.step": "train"})
        self.tracker.log(train, {"max_iter": 200, "window": "2013-01..2013-03"})
        own = self.tracker.create_child(parent, "register", {"mlops.step": "register"})
        return parent, {**self.tracker.env(), "MLFLOW_RUN_ID": own}

    def options(self) -> list[str]:
        names = ("model", "train", "test", "report", "explanation")
        inputs = [part for name in names for part in (f"--{name}", str(self.folder / name))]
        return [*inputs, "--model-name", "flights", "--registered", str(self.folder / "out" / "version.json")]

    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "out" / "version.json").read_text())
        return found


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


def run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    parent, env = pipeline.start()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return parent, register.main(pipeline.options())


def test_the_version_carries_its_provenance(pipeline, monkeypatch, tmp_path):
    parent, code = run(pipeline, monkeypatch)
    digest = tree_digest(tmp_path / "model")
    assert code == 0
    assert pipeline.answer() == {"model": "flights", "version": 1, "digest": digest, "run_id": parent}
    tags = dict(pipeline.store.get("flights", 1).tags)
    assert json.loads(tags.pop("mlops.params")) == {"max_iter": "200", "window": "2013-01..2013-03"}
    assert tags == {
        **LINEAGE,
        "mlops.digest": digest,
        "mlops.data.name": "nycflights",
        "mlops.data.version": "1",
        "mlops.data.digest": DIGEST,
        "mlops.data.window": "2013-01..2013-03",
        "mlops.data.test_window": "2013-04",
    }
    found = pipeline.tracker.get(parent)
    assert (found.metrics["roc_auc"], found.metrics["roc_auc_low"], found.params["max_iter"]) == (
        0.7,
        0.65,
        "200",
    )
    logged = tmp_path / "artifacts" / "flights" / parent / "artifacts"
    assert sorted(p.relative_to(logged).as_posix() for p in logged.rglob("*.*")) == [
        "evaluation/test.parquet",
        "explanation/importance.json",
        "report/evaluation.json",
    ]
    assert (logged / "evaluation" / "test.parquet").read_text() == "rows of 2013-04"
    assert tree_digest(logged / "model") == digest


def test_the_same_artifact_again_is_the_same_version(pipeline, monkeypatch):
    first, _ = run(pipeline, monkeypatch)
    second, code = run(pipeline, monkeypatch)
    assert (code, pipeline.answer()["version"], pipeline.answer()["run_id"]) == (0, 1, first)
    assert len(pipeline.store.versions("flights")) == 1
    assert pipeline.tracker.get(second).tags["mlops.version"] == "1"
    names = [pipeline.tracker.get(run_id).name for run_id in (first, second)]
    assert names == ["training: version 1", f"training: version 1 ({second[:8]})"]


def test_a_try_registers_nothing_and_keeps_what_it_was(pipeline, monkeypatch):
    parent, env = pipeline.start()
    pipeline.tracker.set_tags(parent, {"mlops.try": "true"})
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert register.main(pipeline.options()) == 0
    assert pipeline.answer()["version"] is None and pipeline.store.versions("flights") == []
    kept = pipeline.tracker.get(parent)
    assert kept.params == {"max_iter": "200", "window": "2013-01..2013-03"}
    assert kept.name == f"training: try ({parent[:8]})"
    assert kept.metrics["roc_auc_low"] == 0.65 and "mlops.version" not in kept.tags
    assert pipeline.tracker.download(parent, "report/evaluation.json", pipeline.folder).is_file()
    _, code = run(pipeline, monkeypatch)
    (version,) = pipeline.store.versions("flights")
    assert code == 0 and "mlops.try" not in version.tags, "what was tried may be registered afterwards"


CLEAN = {**LINEAGE, "mlops.dirty": "false"}
EDITED = {**LINEAGE, "mlops.commit": "a" * 40, "mlops.dirty": "true"}
OTHER = {**CLEAN, "mlops.commit": "b" * 40, "mlops.actor": "Bea"}


@pytest.mark.parametrize(
    ("first", "second", "commit", "dirty"),
    [
        (EDITED, OTHER, "b", "false"),
        (CLEAN, OTHER, "c", "false"),
        (CLEAN, EDITED, "c", "false"),
        (EDITED, {**EDITED, "mlops.commit": "b" * 40}, "a", "true"),
        (EDITED, {"mlops.dirty": "false"}, "a", "true"),
        (EDITED, {"mlops.commit": "b" * 40}, "a", "true"),
    ],
)
def test_a_version_made_before_its_code_was_committed_gets_the_commit_that_makes_it_again(
    pipeline, monkeypatch, *, first, second, commit, dirty
):
    for lineage in (first, second):
        parent, env = pipeline.start()
        for name in LINEAGE:
            pipeline.tracker.set_tags(parent, {name: lineage.get(name, "")})
        pipeline.tracker.set_tags(parent, {"mlops.dirty": lineage.get("mlops.dirty", "")})
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        assert register.main(pipeline.options()) == 0
    (version,) = pipeline.store.versions("flights")
    assert (version.tags["mlops.commit"][0], version.tags["mlops.dirty"]) == (commit, dirty)


def test_a_kill_before_the_version_leaves_none_and_a_retry_makes_one(pipeline, monkeypatch, tmp_path):
    parent, env = pipeline.start()
    command = [sys.executable, "-c", DIE, *pipeline.options()]
    killed = subprocess.run(command, env={**os.environ, **env}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "artifacts" / "flights" / parent / "artifacts" / "model" / "MLmodel").is_file()
    assert pipeline.store.versions("flights") == []
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert register.main(pipeline.options()) == 0
    assert [v.run_id for v in pipeline.store.versions("flights")] == [parent]


def test_a_model_tested_on_other_data_is_refused(pipeline, monkeypatch, capsys):
    facts = {"name": "nycflights", "version": "2", "digest": DIGEST, "window": "2013-04", "rows": 1}
    pipeline.write("test/manifest.json", json.dumps(facts))
    _, code = run(pipeline, monkeypatch)
    assert code == 7
    assert "trained on nycflights:1" in capsys.readouterr().err
    assert pipeline.store.versions("flights") == []


def test_without_a_run_it_says_what_to_do(pipeline, capsys):
    assert register.main(pipeline.options()) == 5
    assert "mlops train" in capsys.readouterr().err


def test_a_store_that_is_gone_is_a_sentence(pipeline, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    assert register.main(pipeline.options()) == 6
    assert "does not answer" in capsys.readouterr().err
