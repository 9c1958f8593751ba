"""Which releases count as edited: told by git's history of each file, and by what no commit holds yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.lifecycle.desired.tree import _Reader

NAME, OTHER = "releases/freight/1.yaml", "releases/freight/2.yaml"
WRITTEN = ("c1" * 20, "100644", "b1" * 20)
ANOTHER = ("c2" * 20, "100644", "b2" * 20)
LINK = ("c3" * 20, "120000", "b3" * 20)
GONE = ("c4" * 20, "000000", "0" * 40)


@dataclass
class History:
    """What git knows of files below `releases`."""

    rows: dict[str, list[tuple[str, str, str]]]
    pending: list[str] = field(default_factory=list)
    commits: bool = True

    def has(self, rev: str) -> bool:
        return self.commits

    def changes(self, path: str) -> dict[str, list[tuple[str, str, str]]]:
        return self.rows

    def uncommitted(self, path: str) -> list[str]:
        return self.pending


def edited(root: Path, git: History, *asked: int) -> tuple[list[str], set[str]]:
    wanted: list[Any] = [SimpleNamespace(model="freight", state=SimpleNamespace(release=n)) for n in asked]
    wrong, right = _Reader.edited(SimpleNamespace(git=git, root=root), wanted)  # type: ignore[arg-type]
    return sorted(wrong), right


@pytest.mark.parametrize(
    ("rows", "asked", "wrong", "right"),
    [
        ([WRITTEN], (), False, True),
        ([ANOTHER, WRITTEN], (), True, False),
        ([WRITTEN, ANOTHER, WRITTEN], (), False, True),
        ([LINK, WRITTEN], (), True, False),
        # A release that is gone is missed where a file asks for it.
        ([GONE, WRITTEN], (), False, False),
        ([GONE, WRITTEN], (1,), True, False),
        ([GONE, WRITTEN], (2,), False, False),
        # One that came back counts, whoever asks for it.
        ([WRITTEN, GONE, WRITTEN], (), False, True),
        ([ANOTHER, GONE, WRITTEN], (), True, False),
    ],
)
def test_the_history_of_a_release(
    tmp_path: Path, rows: list[tuple[str, str, str]], asked: tuple[int, ...], wrong: bool, right: bool
) -> None:
    found = edited(tmp_path, History({NAME: rows}), *asked)
    assert found == ([NAME] if wrong else [], {NAME} if right else set())


def test_what_is_no_release_is_not_looked_at(tmp_path: Path) -> None:
    assert edited(tmp_path, History({"releases/README.md": [ANOTHER, WRITTEN]})) == ([], set())


def test_without_a_commit_nothing_was_edited(tmp_path: Path) -> None:
    assert edited(tmp_path, History({NAME: [ANOTHER, WRITTEN]}, commits=False), 1) == ([], set())


def test_what_no_commit_holds_yet_counts_too(tmp_path: Path) -> None:
    git = History({NAME: [WRITTEN], OTHER: [WRITTEN]}, pending=[NAME, "releases/freight/3.yaml"])
    assert edited(tmp_path, git) == ([NAME], {OTHER}), "it is deleted in the checkout"
    (tmp_path / NAME).parent.mkdir(parents=True)
    (tmp_path / NAME).write_text("x")
    assert edited(tmp_path, git) == ([NAME], {OTHER}), "it is changed in the checkout"
