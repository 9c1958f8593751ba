"""mlops.toml names the use case and the model; a pipeline file that still names another one must not win."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.errors import InvalidInput, NotFound, TargetError
from mlops.lifecycle.train import training as module
from mlops.lifecycle.train.lineage import Checkout, Lineage
from mlops.lifecycle.train.training import Trial, train
from mlops.pipeline import JobResult, Selection, StepEvent

ROOT = Path(__file__).parents[5]


class Jobs:
    """Runs nothing and keeps what it was given."""

    def __init__(self) -> None:
        self.inputs: dict[str, str] = {}
        self.tags: dict[str, str] = {}

    def again(self, *_: Any) -> JobResult | None:
        return None

    def run(
        self, pipeline: Path, inputs: dict[str, str], tags: Any, progress: Any, selection: Any
    ) -> JobResult:
        self.inputs, self.tags = dict(inputs), dict(tags)
        return JobResult("r", (), {})


class Target:
    """As much of a target as training needs."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.registry = self

    def versions(self, model: str) -> list[Any]:
        return []


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    checkout = Checkout("c" * 40, "main", False, "Ada")
    monkeypatch.setattr(module, "lineage", lambda *_: Lineage(checkout, "", "", ""))
    monkeypatch.setattr(module, "work_tree", lambda *_: "t" * 40)
    shutil.copytree(ROOT / "pipelines" / "flights", tmp_path / "pipelines" / "trains")
    (tmp_path / "mlops.toml").write_text('[project]\nname = "names"\n[models.trains]\nusecase = "flights"\n')
    return tmp_path


def run(root: Path, inputs: dict[str, str]) -> dict[str, str]:
    target: Any = Target()
    with pytest.raises(TargetError, match="says no version"):
        train(root, target, "trains", inputs, lambda _: None)
    return target.jobs.inputs  # type: ignore[no-any-return]


def test_the_run_says_what_it_is(root: Path) -> None:
    target: Any = Target()
    for trial, tag in (
        (Trial(), None),
        (Trial(tries=True, note="a thought"), "true"),
        (Trial(selection=Selection(here=True)), "true"),
        (Trial(selection=Selection(start=("train",))), None),
    ):
        made = None
        with contextlib.suppress(TargetError):
            made = train(root, target, "trains", {}, lambda _: None, trial=trial)
        assert target.jobs.tags.get("mlops.try") == tag
        assert target.jobs.tags.get("mlflow.note.content", "") == trial.note
        assert target.jobs.tags["mlops.tree"] == "t" * 40
        assert made is None or made.version is None


def test_the_pipeline_gets_the_names_of_the_settings(root: Path) -> None:
    assert run(root, {}) == {"usecase": "flights", "model_name": "trains"}


def test_a_person_may_still_say_otherwise(root: Path) -> None:
    assert run(root, {"model_name": "trial", "seed": "1"})["model_name"] == "trial"


def test_a_pipeline_without_these_inputs_gets_none(root: Path) -> None:
    (root / "pipelines" / "trains" / "training.yml").write_text("type: pipeline\njobs: {}\n")
    assert run(root, {"window": "2013-01"}) == {"window": "2013-01"}


def test_a_use_case_that_is_not_there_starts_nothing(root: Path) -> None:
    text = (root / "mlops.toml").read_text()
    (root / "mlops.toml").write_text(text.replace('"flights"', '"no_such_package"'))
    target: Any = Target()
    with pytest.raises(InvalidInput, match=r"the use case 'no_such_package' cannot be imported"):
        train(root, target, "trains", {}, lambda _: None)
    assert target.jobs.inputs == {}


def test_an_unchanged_run_counts_while_the_registry_has_what_it_made(root: Path, tmp_path: Path) -> None:
    target: Any = Target()
    answer = tmp_path / "version.json"
    answer.write_text('{"model": "trains", "version": 3, "digest": "d", "run_id": "r"}')
    step = StepEvent("register", "reused", 0.0)
    target.jobs.again = lambda *_: JobResult("r", (step,), {"register.registered": answer})
    target.registry.get = lambda *_: SimpleNamespace(run_id="r")
    heard: list[Any] = []
    made = train(root, target, "trains", {}, heard.append)
    assert (made.version, made.new, heard, target.jobs.inputs) == (3, False, [step], {})

    def gone(*_: Any) -> None:
        raise NotFound("deleted")

    target.registry.get = gone
    with pytest.raises(TargetError, match="says no version"):
        train(root, target, "trains", {}, heard.append)
    assert target.jobs.inputs, "a version that was deleted is made again"


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (
            {"test_window": "2013-03"},
            "the test window 2013-03 starts before the training window 2013-01..2013-03",
        ),
        ({"window": "2013-01..2013-06"}, "starts before the training window 2013-01..2013-06 has ended"),
        ({"window": "soon"}, "--window: a window is written"),
    ],
)
def test_windows_are_judged_before_anything_is_started(
    root: Path, inputs: dict[str, str], sentence: str
) -> None:
    target: Any = Target()
    with pytest.raises(InvalidInput, match=sentence):
        train(root, target, "trains", inputs, lambda _: None)
    assert target.jobs.inputs == {}


def test_a_run_that_registered_nothing_itself_is_not_stood_in_for(root: Path) -> None:
    """A pipeline that somebody brings ends without `register`: its model is registered after the run."""
    target: Any = Target()
    target.jobs.again = lambda *_: JobResult("r", (), {"fit.model": root})
    with pytest.raises(TargetError, match="says no version"):
        train(root, target, "trains", {}, lambda _: None)
    assert target.jobs.inputs, "the pipeline was asked"
