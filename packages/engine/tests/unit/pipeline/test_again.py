"""A run is answered from before only when nothing that it depends on has changed, and all of it is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mlops.pipeline import JobResult, StepEvent
from mlops.pipeline.run import again
from mlops.pipeline.run.again import key_of, recall, remember

ROOT = Path(__file__).parents[5]


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "pipelines" / "flights", tmp_path / "pipelines" / "flights")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.parquet").write_text("rows")
    return tmp_path


def key(fork: Path, installed: str = "3.11", tags: dict[str, str] | None = None, **inputs: str) -> str:
    path = fork / "pipelines" / "flights" / "training.yml"
    return key_of(path, inputs, tags or {}, installed, lambda *_: str(fork / "raw"))


def edit(fork: Path, name: str, old: str, new: str) -> None:
    text = (fork / name).read_text()
    assert text.count(old) == 1, name
    (fork / name).write_text(text.replace(old, new))


def test_the_same_is_the_same(fork: Path) -> None:
    assert key(fork) == key(fork) != ""


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("src/flights/model.py", '"max_iter": 200', '"max_iter": 201'),
        ("src/flights/columns.py", "WIND_LIMIT = 200.0", "WIND_LIMIT = 199.0"),
        ("pipelines/flights/training.yml", "max_iter: 200", "max_iter: 201"),
        ("pipelines/flights/components/evaluate.yml", "description:", "description: x"),
        ("pipelines/flights/environment/conda.yml", "pandas==", "pandas==0"),
        ("raw/a.parquet", "rows", "other"),
    ],
)
def test_whatever_is_edited_is_another_run(fork: Path, name: str, old: str, new: str) -> None:
    before = key(fork)
    edit(fork, name, old, new)
    assert key(fork) != before


def test_other_inputs_commits_and_libraries_are_another_run(fork: Path) -> None:
    keys = {
        key(fork),
        key(fork, max_iter="201"),
        key(fork, tags={"mlops.commit": "a"}),
        key(fork, tags={"mlops.try": "true"}),
        key(fork, installed="3.12"),
    }
    assert len(keys) == 5


def test_an_edited_lifecycle_is_another_run(fork: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (fork / "own").mkdir()
    (fork / "own" / "a.py").write_text("x")
    monkeypatch.setattr(again.mlops, "__path__", [str(fork / "own")])
    before = key(fork)
    (fork / "own" / "a.py").write_text("xy")
    assert key(fork) != before


def test_a_step_that_answers_otherwise_each_time_is_never_stood_in_for(fork: Path) -> None:
    edit(
        fork,
        "pipelines/flights/components/evaluate.yml",
        "type: command",
        "type: command\nis_deterministic: false",
    )
    assert key(fork) == ""


def test_what_was_made_must_be_there(tmp_path: Path) -> None:
    made = tmp_path / "version.json"
    made.write_text("{}")
    remember(tmp_path / "whole", "k", JobResult("r", (StepEvent("prep", "finished", 3.0),), {"x.y": made}))
    assert recall(tmp_path / "whole", "k") == JobResult(
        "r", (StepEvent("prep", "reused", 0.0),), {"x.y": made}
    )
    assert recall(tmp_path / "whole", "other") is None
    made.unlink()
    assert recall(tmp_path / "whole", "k") is None
    for text in ("", "[]", json.dumps({"run_id": 1})):
        (tmp_path / "whole" / "k.json").write_text(text)
        assert recall(tmp_path / "whole", "k") is None
