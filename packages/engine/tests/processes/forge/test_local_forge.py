"""Jobs of several models open and merge pull requests at the same time: none is lost, none undoes another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlops.errors import Blocked
from mlops.forge.git import Git
from mlops.forge.local import LocalForge

MODELS = ("cars", "planes", "ships", "trains")


@pytest.fixture
def bare(tmp_path: Path) -> Git:
    """A repository with one commit, and a branch that adds a file of its own for each model."""
    git = Git(tmp_path / "origin.git")
    git.root.mkdir()
    git.run("init", "--quiet", "--bare", "--initial-branch", "main")
    first = git.run("commit-tree", git.run("mktree", text=""), "-m", "Start", env=git._identity())
    git.run("update-ref", "refs/heads/main", first)
    for model in MODELS:
        made = git.commit(first, {f"releases/{model}/1.yaml": f"model: {model}\n"}, f"Release {model}")
        git.run("update-ref", f"refs/heads/release/{model}", made)
    return git


def test_four_at_once_get_their_numbers_and_are_all_merged(bare: Git) -> None:
    start = threading.Barrier(len(MODELS))

    def release(model: str) -> int:
        forge = LocalForge(bare.root)
        start.wait()
        number = forge.open_or_update(f"release/{model}", "main", model, "").number
        forge.auto_merge(number)
        return number

    with ThreadPoolExecutor(len(MODELS)) as pool:
        numbers = list(pool.map(release, MODELS))
    assert sorted(numbers) == [1, 2, 3, 4]
    assert LocalForge(bare.root).list_open() == []
    assert bare.files("main", "releases/") == [f"releases/{model}/1.yaml" for model in MODELS]


def test_what_is_pushed_while_it_merges_is_built_upon(bare: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    forge = LocalForge(bare.root)
    number = forge.open_or_update("release/cars", "main", "cars", "").number
    merge, pushed = forge.git.merge, []

    def meanwhile(base: str, head: str, message: str) -> str:
        made = merge(base, head, message)
        if not pushed:
            pushed.append(bare.commit(base, {"README.md": "words\n"}, "Somebody else"))
            bare.run("update-ref", "refs/heads/main", pushed[0])
        return made

    monkeypatch.setattr(forge.git, "merge", meanwhile)
    forge.merge(number)
    assert bare.files("main") == ["README.md", "releases/cars/1.yaml"]
    assert bare.is_ancestor(pushed[0], "main")


def test_two_who_merge_the_same_one(bare: Git) -> None:
    forge = LocalForge(bare.root)
    number = forge.open_or_update("release/cars", "main", "cars", "").number
    forge.merge(number)
    with pytest.raises(Blocked, match=f"pull request {number} is merged"):
        forge.merge(number)
