"""Whether a newer commit than this one has been applied already: an old run that is run again would take its
changes back. Pulumi writes the commit of each update into the stack's history."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlops.errors import TargetError

_SECONDS = 120


def newer_applied(root: Path, stack: str) -> str | None:
    """The commit of the last update of `stack`, when this checkout's commit is an ancestor of it; else None.

    A commit that the checkout does not have, such as one that was never pushed, is no reason to stop. Raises
    `TargetError` when Pulumi or git cannot say.
    """
    applied = last_applied(_history(root, stack))
    head = _git(root, "rev-parse", "HEAD")
    if head.returncode:
        raise TargetError(f"git cannot say which commit {root} is at: {head.stderr.strip()}")
    if applied is None or applied == head.stdout.strip():
        return None
    older = _git(root, "merge-base", "--is-ancestor", "HEAD", applied)
    return applied if older.returncode == 0 else None


def last_applied(history: Iterable[Mapping[str, Any]]) -> str | None:
    """The commit of the newest update in what `pulumi stack history --json` prints, newest first."""
    for update in history:
        if update.get("kind") in {"update", "destroy"}:
            commit = (update.get("environment") or {}).get("git.head")
            return str(commit) if commit else None
    return None


def _history(root: Path, stack: str) -> list[dict[str, Any]]:
    command = [
        "pulumi",
        "stack",
        "history",
        "--stack",
        stack,
        "--json",
        "--page-size",
        "20",
        "--non-interactive",
    ]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError:
        raise TargetError(
            "the commits that were applied are in Pulumi's state, and the command pulumi is not on PATH; "
            "install it with: make pulumi"
        ) from None
    except subprocess.TimeoutExpired:
        raise TargetError(f"pulumi stack history did not answer within {_SECONDS} seconds") from None
    if done.returncode:
        raise TargetError(f"pulumi stack history failed: {done.stderr.strip() or done.stdout.strip()}")
    try:
        updates = json.loads(done.stdout or "[]")
    except json.JSONDecodeError:
        raise TargetError(f"pulumi stack history --json printed no list: {done.stdout[:200]!r}") from None
    return list(updates or [])


def _git(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(root), *args], capture_output=True, text=True, check=False, timeout=_SECONDS
    )
