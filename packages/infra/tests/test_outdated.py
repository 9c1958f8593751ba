"""An old run that is run again must not take back what a newer commit made: Pulumi's history has the
commit of the last update."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphs import ROOT
from mlops.cli import _infra  # noqa: F401  registers the commands
from mlops.cli._app import app
from mlops.errors import TargetError
from mlops.infra.outdated import last_applied, newer_applied


def _git(folder: Path, *args: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    done = subprocess.run(["git", "-C", str(folder), *who, *args], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def commits(tmp_path: Path) -> list[str]:
    """Three commits of main, oldest first, in `repository`."""
    folder = tmp_path / "repository"
    _git(tmp_path, "init", "--quiet", "--initial-branch", "main", str(folder))
    shutil.copy(ROOT / "mlops.toml", folder)
    for number in range(3):
        _git(folder, "commit", "--quiet", "--allow-empty", "--message", str(number))
    return _git(folder, "rev-list", "--reverse", "main").split()


def _pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: object, code: int = 0) -> Path:
    """A command of that name which prints this history; the repository to ask in."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "history").write_text(json.dumps(history))
    command = tmp_path / "bin/pulumi"
    command.write_text(f"#!/bin/sh\ncat {tmp_path}/history\nexit {code}\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "repository"


def _update(commit: str, kind: str = "update") -> dict[str, object]:
    return {"kind": kind, "result": "succeeded", "environment": {"git.head": commit, "git.dirty": "false"}}


@pytest.mark.parametrize(("at", "applied"), [(0, 2), (2, 2), (2, 0)])
def test_an_older_commit_than_the_applied_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: list[str], at: int, applied: int
) -> None:
    root, stopped = (
        _pulumi(tmp_path, monkeypatch, [_update(commits[applied]), _update(commits[1])]),
        at < applied,
    )
    _git(root, "checkout", "--quiet", commits[at])
    assert newer_applied(root, "dev") == (commits[applied] if stopped else None)
    answer = CliRunner().invoke(app, ["-C", str(root), "infra", "outdated", "--stack", "dev"])
    assert answer.exit_code == (3 if stopped else 0), answer.output
    assert not stopped or f"commit {commits[applied][:12]} is newer than this one" in answer.stderr


def test_a_commit_that_nobody_pushed_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: list[str]
) -> None:
    root = _pulumi(tmp_path, monkeypatch, [_update("0" * 40)])
    assert newer_applied(root, "dev") is None


def test_only_what_changes_a_stack_counts() -> None:
    assert last_applied([_update("a", "preview"), _update("b", "refresh"), _update("c"), _update("d")]) == "c"
    assert last_applied([{"kind": "update", "environment": {}}]) is None
    assert last_applied([]) is None


def test_what_pulumi_cannot_say_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: list[str]
) -> None:
    root = _pulumi(tmp_path, monkeypatch, [], code=1)
    with pytest.raises(TargetError, match="pulumi stack history failed"):
        newer_applied(root, "dev")
