"""The code of a run is kept by content, committed or not, so that two runs can be told apart."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlops.lifecycle.train.scope import scope
from mlops.lifecycle.train.source import CodeDiff, work_tree
from mlops.lifecycle.train.source import code_diff as diff_of


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in {"src/model.py": "rate = 1\n", "pipelines/p.yml": "a: 1\n", "README.md": "x\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    for command in ("init -q", "add .", "-c user.name=Ada -c user.email=a@b.c commit -qm one"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    return tmp_path


def code_diff(root: Path, before: str, after: str) -> CodeDiff:
    return diff_of(root, before, after, scope(root, "model"))


def test_what_was_not_committed_is_told_apart_and_git_keeps_it(repository: Path) -> None:
    clean = work_tree(repository, dirty=False)
    (repository / "src" / "model.py").write_text("rate = 2\n")
    (repository / "src" / "new.py").write_text("x = 1\n")
    (repository / "README.md").write_text("changed\n")
    dirty = work_tree(repository, dirty=True)
    found = code_diff(repository, clean, dirty)
    assert found.files == ("src/model.py (+1 -1)", "src/new.py (+1 -0)")
    assert "+rate = 2" in found.text and "README" not in found.text
    status = subprocess.run(
        ["git", "status", "--short"], cwd=repository, capture_output=True, text=True, check=True
    )
    assert "?? src/new.py" in status.stdout, "the index of the user is as it was"
    subprocess.run(["git", "gc", "-q", "--prune=now"], cwd=repository, check=True)
    assert code_diff(repository, clean, dirty) == found
    assert work_tree(repository, dirty=True) == dirty


def test_code_that_is_elsewhere_is_a_sentence(repository: Path) -> None:
    clean = work_tree(repository, dirty=False)
    assert "the code of dddddddd is not in this repository" in code_diff(repository, "d" * 40, clean).unknown
    assert "a run does not name its code" in code_diff(repository, "", clean).unknown
