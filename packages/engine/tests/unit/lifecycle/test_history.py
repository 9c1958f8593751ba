"""What was served, when, and by whose decision: from a journal and a history that may both be long."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine_world import MODEL, START, World
from memory_git import MemoryGit
from typer.testing import CliRunner

from mlops.cli import _app, _verbs  # noqa: F401 (registers the commands)
from mlops.lifecycle.desired import history as module
from mlops.lifecycle.desired.history import Row, history
from mlops.spec.files import desired_path
from mlops.targets.base import JournalEntry

FILE = desired_path("prod", MODEL)


@pytest.fixture
def git(monkeypatch: pytest.MonkeyPatch) -> MemoryGit:
    made = MemoryGit()
    monkeypatch.setattr(module, "Git", lambda _: made)
    return made


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def rows(world: World) -> list[Row]:
    return history(Path(), world.target, "prod", MODEL)


def happened(
    world: World, kind: str, release: int | None, minute: int, commit: str = "", **data: Any
) -> None:
    at = START + timedelta(minutes=minute)
    world.store.append("prod", JournalEntry(at, kind, MODEL, release, "bot", commit, data))


def test_what_is_served_lasts_until_the_next_and_what_failed_is_no_state(git: MemoryGit, world: World):
    git.commit({FILE: "1"})
    happened(world, "apply.started", 1, 0)
    happened(world, "apply.finished", 1, 1)
    happened(world, "analysis.failed", 2, 2, reason="slow")
    happened(world, "apply.finished", 3, 3)
    happened(world, "apply.finished", 4, 3)
    happened(world, "analysis.passed", 4, 4, percent=10)
    happened(world, "hold.cleared", 2, 5, reason="fixed")
    happened(world, "apply.finished", None, 6)
    found = rows(world)
    assert [(row.release, row.outcome) for row in found] == [
        (2, "hold cleared"),
        (4, "served"),
        (3, "served"),
        (2, "failed"),
        (1, "served"),
    ]
    until = {(row.release, row.outcome): row.until for row in found}
    assert until[1, "served"] == START + timedelta(minutes=3)
    assert until[3, "served"] is until[4, "served"] is None
    assert until[2, "failed"] is until[2, "hold cleared"] is None
    assert [row.detail for row in found if row.release == 2] == ["fixed", "slow"]


def shown(git: MemoryGit, world: World, folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr(_app.State, "target", world.target)
    monkeypatch.setattr(_app.State, "policy", world.policy)
    (folder / "mlops.toml").write_text(
        f'[project]\nname = "freight-mlops"\n[models.{MODEL}]\nusecase = "freight"\n'
    )
    return CliRunner().invoke(_app.app, ["-C", str(folder), "history", "prod", *words]).stdout


def test_fifty_rows_are_shown_and_that_there_are_more(
    git: MemoryGit, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    git.commit({FILE: "1"})
    for number in range(1, 2001):
        happened(world, "apply.finished", number, number)
    assert [row.release for row in rows(world)] == list(range(2000, 0, -1))
    text = shown(git, world, tmp_path, monkeypatch)
    assert text.count("release ") == 50
    assert "1950 older; --limit 2000 shows them" in text
    assert shown(git, world, tmp_path, monkeypatch, "--limit", "2").count("release ") == 2
    assert len(json.loads(shown(git, world, tmp_path, monkeypatch, "--json"))) == 2000


def test_each_row_knows_the_commit_of_its_file_however_old(git: MemoryGit, world: World):
    """Five hundred commits were looked at once; the subject of what came before was lost."""
    first = git.commit({FILE: "0"})
    for number in range(1, 520):
        git.commit({FILE: str(number)})
    happened(world, "apply.finished", 1, 1, commit="f" * 40, file_commit=first)
    happened(world, "apply.finished", 2, 2, commit=git.head())
    happened(world, "apply.finished", 3, 3, commit="f" * 40)
    newest, second, oldest = rows(world)
    assert (oldest.commit, oldest.subject, oldest.author) == (first, "subject", "Ada")
    assert (second.commit, second.subject) == (git.head(), "subject")
    assert (newest.commit, newest.subject, newest.author, newest.approved_by) == ("f" * 40, "", "", ())


def test_everybody_who_said_yes_is_named_with_the_rule_that_asked(git: MemoryGit, world: World):
    """A revert has no pull request; who let its job in is in the journal."""
    asked = git.commit({FILE: "1"}, "Approved-by: bea\nApproved-by: cy\n")
    at = "2026-01-02T10:15:30+02:00"
    let_in = [
        {"by": "dan", "rule": "environment prod-promote", "at": at, "why": "seen"},
        {"by": "eve", "rule": "environment prod-promote"},
    ]
    happened(world, "apply.finished", 1, 1, asked, approved=let_in)
    revert = git.commit({FILE: "2"})
    happened(world, "apply.finished", 2, 2, revert, approved=let_in[:1])
    happened(world, "apply.finished", 3, 3, bypass={"approver": "fay", "gates": ["latency"], "reason": "x"})
    assert [row.approved_by for row in rows(world)] == [
        ("fay (hotfix, skips latency): x",),
        ("dan (environment prod-promote, 2026-01-02 08:15): seen",),
        (
            "bea (pull request, 2026-01-01 00:00)",
            "cy (pull request, 2026-01-01 00:00)",
            "dan (environment prod-promote, 2026-01-02 08:15): seen",
            "eve (environment prod-promote)",
        ),
    ]


def test_one_yes_that_is_told_twice_is_one(git: MemoryGit, world: World):
    git.commit({FILE: "1"})
    yes = {"by": "dan", "rule": "environment prod-promote", "at": "2026-01-02T08:15:00+00:00"}
    happened(world, "apply.finished", 1, 1, git.head(), approved=[yes, yes])
    (row,) = rows(world)
    assert [one.by for one in row.approvals] == ["dan"]


def test_who_asked_wrote_what_a_merge_brought(git: MemoryGit, world: World, monkeypatch: pytest.MonkeyPatch):
    """The first parent of a merge is what it was merged into."""
    merge = git.commit({FILE: "1"})
    merged = replace(git.log(FILE)[0], parents=("into", "brought"))
    monkeypatch.setattr(git, "log", lambda _: [merged])
    monkeypatch.setattr(git, "wrote", lambda ids: {i: f"writer of {i}" for i in ids})
    happened(world, "apply.finished", 1, 1, merge)
    assert [row.author for row in rows(world)] == ["writer of brought"]
