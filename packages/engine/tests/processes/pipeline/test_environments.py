"""With `--environment` a step runs with what its conda file asks for, made once; without, the difference is
said. A step that runs with other versions than on Azure ML proves nothing about Azure ML."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from as_on_azure import shows
from step_world import World

from mlops.errors import InvalidInput, TargetError
from mlops.pipeline import Selection
from mlops.pipeline.run.environments import Wanted, read_conda

ASKED = Selection(environment=True)
SHOW = "python -c 'import tiny_package; print(tiny_package.WORD)' > ${{outputs.o}}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "a b")


def wheel(folder: Path, word: str) -> Path:
    """A package that is nowhere else, as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_package-1.0-py3-none-any.whl"
    info = "tiny_package-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_package.py", f"WORD = {word!r}\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def pipeline(world: World, requirement: str) -> str:
    world.write("conda.yml", f"dependencies: [pip, libgomp, {{pip: ['{requirement}']}}]\n")
    world.write("environment.yml", "name: e\nversion: '1'\nimage: example.io/x:1\nconda_file: conda.yml\n")
    return f"""
    jobs:
      one:
        command: {SHOW}
        environment: file:environment.yml
        outputs: {{o: {{type: uri_file}}}}
      other:
        command: python --version > ${{{{outputs.o}}}}
        environment: azureml:curated:1
        outputs: {{o: {{type: uri_file}}}}
    """


@shows(
    "`environment`",
    azure="an image",
    here="this virtual environment; with `--environment` one made of the conda file",
)
def test_a_step_runs_with_what_its_conda_file_asks_for(world: World) -> None:
    text = pipeline(world, f"tiny-package @ {wheel(world.root / 'wheels', 'own').as_uri()}")
    result = world.run(text, selection=ASKED)
    assert result.outputs["one.o"].read_text() == "own\n"
    notes = {event.step: event.note for event in world.events if event.note}
    assert notes["one"] == "not installed, for only conda has them: libgomp"
    assert notes["other"] == "no conda file: this virtual environment stands in for its image"
    made = [path for path in (world.root / "state/environments").iterdir() if path.is_dir()]
    world.events.clear()
    world.run(text, selection=ASKED)
    assert not [event for event in world.events if not event.step], "it is made once"
    assert made == [path for path in (world.root / "state/environments").iterdir() if path.is_dir()]


@shows("`environment`")
def test_an_environment_that_cannot_be_made_is_told_before_anything_starts(world: World) -> None:
    text = pipeline(world, "tiny-package @ file:///nowhere/tiny_package-1.0-py3-none-any.whl")
    with pytest.raises(TargetError, match="the environment of one cannot be made here; uv says:"):
        world.run(text, selection=ASKED)
    assert not world.tracker.runs


def test_a_conda_file_is_read_as_pip_and_the_rest(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("b==2\n")
    content = {
        "dependencies": [
            "python=3.11",
            "pip=23",
            "conda-forge::cudatoolkit=11",
            {"pip": ["a>=1", "-r more.txt"]},
        ]
    }
    more = tmp_path / "more.txt"
    assert read_conda(content, tmp_path, "conda.yml") == Wanted(
        ("a>=1", f"-r {more}"), "3.11", ("cudatoolkit",), (more,)
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x", "has no list of dependencies"),
        ({"dependencies": [{"pip": ["-r gone.txt"]}]}, "names 'gone.txt', which does not exist"),
    ],
)
def test_a_conda_file_that_is_none_is_refused(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_conda(content, tmp_path, "conda.yml")
