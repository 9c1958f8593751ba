"""Spark deals rows by time only: whoever asks for more is told before a cluster starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.lifecycle.desired import rows
from mlops.lifecycle.train.training import REGISTERS, _asked

ROOT = Path(__file__).parents[5]
TRAINING, COMPONENT = "pipelines/flights/training.yml", "pipelines/flights/components/prep_spark.yml"
SPLIT = "random:test=0.2,seed=7"


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """The example, with its rows made by Spark as docs/scaling.md says."""
    shutil.copytree(ROOT / "pipelines" / "flights", tmp_path / "pipelines" / "flights")
    shutil.copytree(ROOT / "src" / "flights", tmp_path / "src" / "flights")
    (tmp_path / "mlops.toml").write_text('[project]\nname = "names"\n[models.flights]\nusecase = "flights"\n')
    edit(
        tmp_path,
        TRAINING,
        "type: command\n    component: components/prep.yml",
        "type: spark\n    component: components/prep_spark.yml",
    )
    assert rows.problems(tmp_path, "flights") == []
    return tmp_path


def edit(fork: Path, name: str, old: str, new: str) -> None:
    path = fork / name
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def passed(fork: Path) -> None:
    """The step is given a split, as a component that takes one passes it on."""
    edit(fork, TRAINING, "      test_window: ${{parent.inputs.test_window}}\n", f"      split: {SPLIT}\n")


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("--engine spark", "$[[--split ${{inputs.split}}]]"),
        ("--engine=spark", "--split ${{inputs.split}}"),
        ("--engine ${{inputs.engine}}", "$[[--split ${{inputs.split}}]]"),
    ],
)
def test_a_split_on_spark_is_refused_before_anything_runs(fork: Path, engine: str, words: str) -> None:
    edit(fork, COMPONENT, "--test-window ${{inputs.test_window}}", words)
    edit(fork, COMPONENT, "--engine spark", engine)
    edit(fork, COMPONENT, "  test_window: {type: string}", "  engine: {type: string, default: spark}")
    passed(fork)
    (problem,) = rows.problems(fork, "flights")
    assert (problem.where, problem.field) == (TRAINING, "jobs.prep")
    assert "give it window and test_window" in problem.message
    with pytest.raises(InvalidInput, match="Spark splits rows by time only"):
        _asked(fork, "flights", {}, REGISTERS)


def test_a_split_on_one_machine_is_none_of_sparks_business(fork: Path) -> None:
    edit(fork, COMPONENT, "--test-window ${{inputs.test_window}}", "$[[--split ${{inputs.split}}]]")
    assert rows.problems(fork, "flights") == [], "nobody gives one"
    passed(fork)
    assert len(rows.problems(fork, "flights")) == 1
    edit(fork, COMPONENT, "--engine spark", "--engine embedded")
    assert rows.problems(fork, "flights") == []
