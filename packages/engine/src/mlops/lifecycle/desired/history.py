"""`mlops history`: what was served when, by which commit, and who approved it; from git and the journal."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from mlops.forge.git import Commit, Git
from mlops.lifecycle.decide.journal import Kind
from mlops.spec.files import desired_path
from mlops.targets.base import JournalEntry, Target

Outcome = Literal["served", "failed", "no verdict", "hold cleared"]
_OUTCOMES: dict[str, Outcome] = {
    Kind.FINISHED: "served",
    Kind.FAILED: "failed",
    Kind.INCONCLUSIVE: "no verdict",
    Kind.CLEARED: "hold cleared",
}


@dataclass(frozen=True)
class Row:
    """One thing that happened. `until` is None for what is served now and for what is not a state."""

    release: int
    outcome: Outcome
    at: datetime
    until: datetime | None
    actor: str
    """Who ran the apply."""
    commit: str
    """The commit of the desired-state file that asked for it."""
    subject: str = ""
    author: str = ""
    approved_by: tuple[str, ...] = ()
    """Everybody who said yes, each with the rule that asked: `Bea (pull request)`."""
    detail: str = ""


def history(root: Path, target: Target, env: str, model: str) -> list[Row]:
    """All of it, newest first."""
    git = Git(root)
    commits = {c.id: c for c in git.log(desired_path(env, model))}
    entries = [e for e in target.store.entries(env, model) if e.kind in _OUTCOMES and e.release is not None]
    finished = sorted(e.at for e in entries if e.kind == Kind.FINISHED)
    rows = []
    for entry in entries:
        after = bisect_right(finished, entry.at) if entry.kind == Kind.FINISHED else len(finished)
        later = finished[after] if after < len(finished) else None
        rows.append(_row(entry, later, commits))
    return rows[::-1]


def _approved(entry: JournalEntry, commit: Commit | None) -> tuple[str, ...]:
    """From the commit that asked, from who let the job in, and from a hotfix that skips gates."""
    approvals = [f"{name} (pull request)" for name in (commit.trailer("Approved-by") if commit else ())]
    said = entry.data.get("approved")
    for one in said if isinstance(said, list) else ():
        if isinstance(one, Mapping):
            approvals.append(f"{one.get('by', '')} ({one.get('rule', '')})")
    bypass = entry.data.get("bypass")
    if isinstance(bypass, Mapping):
        approvals.append(f"{bypass.get('approver', '')} (hotfix)")
    return tuple(dict.fromkeys(approvals))


def _row(entry: JournalEntry, until: datetime | None, commits: dict[str, Commit]) -> Row:
    asked = str(entry.data.get("file_commit") or entry.commit)
    commit = commits.get(asked)
    return Row(
        release=entry.release or 0,
        outcome=_OUTCOMES[entry.kind],
        at=entry.at,
        until=until,
        actor=entry.actor,
        commit=asked,
        subject=commit.subject if commit else "",
        author=commit.author if commit else "",
        approved_by=_approved(entry, commit),
        detail=str(entry.data.get("reason", "")),
    )
