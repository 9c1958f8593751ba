"""Paths that a verb lists: a folder in which they are many is one line."""

from __future__ import annotations

from mlops.cli._template import _folded


def test_few_paths_are_listed_whole() -> None:
    assert _folded(("README.md", "src/prices/data.py", "src/prices/model.py")) == [
        "README.md",
        "src/prices/data.py",
        "src/prices/model.py",
    ]


def test_a_folder_of_many_is_one_line_beside_its_neighbours() -> None:
    many = tuple(f"src/prices/{n}.py" for n in range(5))
    assert _folded(("docs/a.md", *many)) == ["docs/a.md", "src/prices/ (5 files)"]


def test_a_folder_of_many_folders_is_one_line() -> None:
    paths = tuple(f"packages/p{package}/src/{n}.py" for package in range(5) for n in range(9))
    assert _folded(paths) == ["packages/ (45 files)"]


def test_the_top_level_is_never_folded() -> None:
    paths = tuple(f"{n}.toml" for n in range(9))
    assert _folded(paths) == list(paths)
