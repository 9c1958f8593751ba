"""What a model's code imports is in the environment of its job, or somebody is told before Azure says so."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.errors import InvalidInput, TargetError
from mlops.lifecycle.desired import dependencies

ROOT = Path(__file__).parents[5]


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "pipelines" / "flights", tmp_path / "pipelines" / "flights")
    shutil.copytree(ROOT / "src" / "flights", tmp_path / "src" / "flights")
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / "mlops.toml").write_text('[project]\nname = "names"\n[models.flights]\nusecase = "flights"\n')
    return tmp_path


def test_what_the_example_imports_is_in_its_environment(fork: Path) -> None:
    assert dependencies.problems(fork, "flights") == []


def write(fork: Path, name: str, text: str) -> None:
    path = fork / "src" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.read_text() + text if path.exists() else text)


@pytest.mark.parametrize(
    "text",
    [
        "import lightgbm\n",
        "def build():\n    from lightgbm import LGBMClassifier\n",
        "try:\n    import lightgbm.sklearn\nexcept ImportError:\n    pass\n",
    ],
)
def test_an_import_that_the_job_lacks_is_found_where_it_stands(fork: Path, text: str) -> None:
    write(fork, "flights/model.py", text)
    (problem,) = dependencies.problems(fork, "flights")
    assert problem.where.startswith("src/flights/model.py:")
    assert "pipelines/flights/environment/conda.yml has no lightgbm" in problem.message
    assert problem.message.endswith("mlops add lightgbm --model flights")


def test_a_module_beside_the_model_counts_too(fork: Path) -> None:
    write(fork, "flights/features.py", "from flights.more import holidays\nfrom shared import tools\n")
    write(fork, "flights/more.py", "import no_such_package\n")
    write(fork, "shared/__init__.py", "")
    write(fork, "shared/tools.py", "from . import deep\n")
    write(fork, "shared/deep.py", "import another_one\n")
    found = {problem.where.partition(":")[0] for problem in dependencies.problems(fork, "flights")}
    assert found == {"src/flights/more.py", "src/shared/deep.py"}


@pytest.mark.parametrize(
    "text",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lightgbm\n",
        "class Other:\n    def load(self, folder):\n        import lightgbm\n",
        "import json, os.path\n",
        "import numpy.linalg\nimport yaml\n",
        "import joblib\n",  # comes along with scikit-learn
    ],
)
def test_what_is_there_or_never_runs_in_a_job_is_no_problem(fork: Path, text: str) -> None:
    write(fork, "flights/model.py", text)
    assert dependencies.problems(fork, "flights") == []


def _uv(fork: Path, code: int = 0) -> Any:
    """What `uv add` leaves behind, without an index."""

    def run(command: list[str], **_: Any) -> Any:
        assert command[1:4] == ["add", "--group", "flights"]
        if code:
            return SimpleNamespace(returncode=code, stderr="  x No solution found:\n  because\n")
        project, lock = fork / "pyproject.toml", fork / "uv.lock"
        text = project.read_text()
        project.write_text(
            text.replace("[dependency-groups]\n", '[dependency-groups]\nflights = ["holidays>=1"]\n')
        )
        lock.write_text(lock.read_text() + '\n[[package]]\nname = "holidays"\nversion = "0.99"\n')
        return SimpleNamespace(returncode=0, stderr="")

    return run


def test_one_list_writes_the_lock_and_every_environment(fork: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(fork, "flights/features.py", "import holidays\n")
    assert dependencies.problems(fork, "flights")
    monkeypatch.setattr(subprocess, "run", _uv(fork))
    written = dependencies.add(fork, "flights", ["holidays"])
    environments = {Path(name).name for name in written if "/environment/" in name}
    assert {"conda.yml", "environment.yml", "serving-conda.yml", "serving.yml"} <= environments
    assert "monitor-conda.yml" not in environments, "nothing of the model is loaded there"
    folder = fork / "pipelines" / "flights" / "environment"
    assert "      - holidays==0.99\n      - matplotlib" in (folder / "conda.yml").read_text()
    before = (ROOT / "pipelines/flights/environment/environment.yml").read_text()
    number = int(before.partition('version: "')[2].partition('"')[0])
    assert f'version: "{number + 1}"' in (folder / "environment.yml").read_text(), (
        "Azure ML keeps the old one"
    )
    serving = [(folder / name).read_text() for name in ("serving.yml", "serving-conda.yml")]
    assert all("name: mlops-serving-flights\n" in text for text in serving), "another model's stays its own"
    project = tomllib.loads((fork / "pyproject.toml").read_text())
    assert "flights" in project["tool"]["uv"]["default-groups"], "a laptop installs it too"
    assert dependencies.problems(fork, "flights") == []
    assert dependencies.add(fork, "flights", []) == []


def test_what_cannot_be_added_is_a_sentence(fork: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", _uv(fork, 1))
    with pytest.raises(TargetError, match="uv cannot add holidays: x No solution found: because"):
        dependencies.add(fork, "flights", ["holidays"])
    with pytest.raises(
        InvalidInput, match=r"has no dependency group 'flights'; begin it with: mlops add PACKAGE"
    ):
        dependencies.add(fork, "flights", [])
