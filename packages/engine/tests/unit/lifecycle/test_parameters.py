"""A hyper-parameter is written once, in model.py; every other file follows from it or is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.lifecycle.desired import parameters
from mlops.lint import lint

ROOT = Path(__file__).parents[5]


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """As much of this repository as hyper-parameters are written in."""
    shutil.copytree(ROOT / "pipelines" / "flights", tmp_path / "pipelines" / "flights")
    shutil.copytree(ROOT / "src" / "flights", tmp_path / "src" / "flights")
    (tmp_path / ".gitignore").write_text(".mlops/\n")  # where the engine's copy will be
    (tmp_path / "mlops.toml").write_text('[project]\nname = "names"\n[models.flights]\nusecase = "flights"\n')
    assert parameters.problems(tmp_path, "flights") == []
    return tmp_path


def edit(fork: Path, name: str, old: str, new: str) -> None:
    path = fork / name
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


MODEL = "src/flights/model.py"
TRAINING = "pipelines/flights/training.yml"
COMPONENT = "pipelines/flights/components/train.yml"


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        (
            MODEL,
            '    "max_iter": 200,\n',
            '    "max_iter": 300,\n',
            "the default of max_iter is 300, it says 200",
        ),
        (
            MODEL,
            '    "seed"',
            '    "max_bins": 99,\n    "seed"',
            "the default of max_bins is 99, it says nothing",
        ),
        (MODEL, '    "max_iter": 200,\n', "", "max_iter is passed on, and no hyper-parameter"),
        (COMPONENT, "  --param max_iter=${{inputs.max_iter}}\n", "", "the command does not pass on max_iter"),
        (TRAINING, "  max_iter: 200\n", "", "there is no input max_iter"),
        (
            TRAINING,
            "      max_iter: ${{parent.inputs.max_iter}}\n",
            "",
            "the step train does not get max_iter",
        ),
    ],
)
def test_every_place_that_does_not_follow_is_found_and_written(
    fork: Path, file: str, old: str, new: str, sentence: str
) -> None:
    edit(fork, file, old, new)
    found = [str(problem) for problem in parameters.problems(fork, "flights")]
    assert any(sentence in line and "mlops params" in line for line in found), found
    written = parameters.write(fork, "flights")
    assert written and set(written) <= {TRAINING, COMPONENT}
    assert parameters.problems(fork, "flights") == [] == parameters.write(fork, "flights")
    assert not lint(fork / TRAINING), "what is written is a pipeline that Azure ML takes"


def test_a_new_one_is_one_line_of_one_file(fork: Path) -> None:
    edit(fork, MODEL, '    "seed"', '    "max_bins": 99,\n    "seed"')
    assert parameters.write(fork, "flights") == [TRAINING, COMPONENT]
    assert "  max_bins: 99\n" in (fork / TRAINING).read_text()
    text = (fork / COMPONENT).read_text()
    assert "  max_bins: {type: integer, default: 99}\n" in text
    assert "  --param max_bins=${{inputs.max_bins}}\n  --param seed=${{inputs.seed}}\n" in text


def test_what_a_person_wrote_stays(fork: Path) -> None:
    """Limits, comments, and a value of training.yml that a sweep has found."""
    edit(fork, TRAINING, "  max_iter: 200\n", "  max_iter: 450\n")
    edit(fork, MODEL, '"learning_rate": 0.05', '"learning_rate": 0.07')
    parameters.write(fork, "flights")
    assert "  max_iter: 450\n" in (fork / TRAINING).read_text()
    assert "  learning_rate: 0.07\n" in (fork / TRAINING).read_text(), "one that followed goes on to follow"
    assert (
        "learning_rate: {type: number, default: 0.07, min: 0.001, max: 1.0}" in (fork / COMPONENT).read_text()
    )
    assert "# What is served is compared on these rows too" in (fork / COMPONENT).read_text()


def test_a_table_that_is_computed_is_nobodys(fork: Path) -> None:
    (fork / MODEL).write_text("DEFAULTS = dict(rate=1)\n")
    assert parameters.problems(fork, "flights") == []
    with pytest.raises(InvalidInput, match=r"src/flights/model.py: no hyper-parameters are found there"):
        parameters.write(fork, "flights")
