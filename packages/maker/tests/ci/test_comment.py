"""The plan of a pull request becomes one comment, where GitHub says and not where the plan's author says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ci_model import ROOT

SCRIPT = ROOT / ".github/scripts/comment"
pytestmark = pytest.mark.skipif(
    shutil.which("jq") is None, reason="jq is not on PATH; GitHub's runners have it"
)
GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$CALLS"
for word in "$@"; do
  case "$word" in
    body=@*) cp "${word#body=@}" "$SENT" ;;
    repos/o/r/pulls) cat "$PULLS" ;;
    repos/o/r/issues/7/comments) [[ "$*" == *POST* ]] || cat "$COMMENTS" ;;
  esac
done
"""
BOT = {"login": "github-actions[bot]"}
MARK = "<!-- infrastructure plan -->"


def _comment(folder: Path, plan: str, pulls: list[Any], comments: list[Any]) -> tuple[list[str], str]:
    """(writing calls of `gh`, body that was sent)."""
    gh = folder / "bin/gh"
    gh.parent.mkdir()
    gh.write_text(GH, encoding="utf-8")
    gh.chmod(0o755)
    for name, value in {"pulls": pulls, "comments": comments}.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    (folder / "plan.md").write_text(plan, encoding="utf-8")
    env = os.environ | {
        "PATH": f"{gh.parent}:{os.environ['PATH']}",
        "GITHUB_REPOSITORY": "o/r",
        **{name.upper(): str(folder / name) for name in ("calls", "sent", "pulls", "comments")},
    }
    subprocess.run([str(SCRIPT), "fork:branch", "abc", str(folder / "plan.md")], env=env, check=True)
    calls = (folder / "calls").read_text(encoding="utf-8").splitlines()
    sent = folder / "sent"
    return [c for c in calls if "PATCH" in c or "POST" in c], sent.read_text("utf-8") if sent.exists() else ""


def _pull(number: int, commit: str) -> dict[str, Any]:
    return {"number": number, "head": {"sha": commit}}


def test_the_first_plan_is_a_new_comment(tmp_path: Path) -> None:
    other = {"id": 1, "user": {"login": "somebody"}, "body": f"{MARK} mine"}
    calls, sent = _comment(tmp_path, "# Plan\n", [_pull(6, "old"), _pull(7, "abc")], [other])
    assert ["POST" in c and "issues/7/comments" in c for c in calls] == [True]
    assert sent == f"{MARK}\n# Plan\n"


def test_the_next_plan_replaces_it(tmp_path: Path) -> None:
    ours = {"id": 5, "user": BOT, "body": f"{MARK}\n# Old"}
    calls, _ = _comment(tmp_path, "# Plan\n", [_pull(7, "abc")], [ours])
    assert ["PATCH" in c and "issues/comments/5" in c for c in calls] == [True]


def test_a_branch_that_moved_on_gets_no_old_plan(tmp_path: Path) -> None:
    assert _comment(tmp_path, "# Plan\n", [_pull(7, "newer")], []) == ([], "")


def test_a_long_plan_is_cut_where_github_would_refuse_it(tmp_path: Path) -> None:
    _, sent = _comment(tmp_path, "ä" * 60000, [_pull(7, "abc")], [])
    assert len(sent) < 65536
    assert "… cut" in sent
