"""`mlops history`: what was served when, by which commit, and who approved it; from git and the journal."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from mlops.forge.git import Commit, Git, request_number
from mlops.lifecycle.decide.journal import Kind
from mlops.spec.files import desired_path
from mlops.targets.base import JournalEntry, Target

APPROVED = "Approved-by"
"""The trailer by which a forge writes into the merge who approved it."""
_TRAILER = re.compile(r"[A-Z][A-Za-z]*(-[A-Za-z]+)+: |This reverts commit [0-9a-f]+\b")
Outcome = Literal["served", "failed", "no verdict", "hold cleared"]
_OUTCOMES: dict[str, Outcome] = {
    Kind.FINISHED: "served",
    Kind.FAILED: "failed",
    Kind.INCONCLUSIVE: "no verdict",
    Kind.CLEARED: "hold cleared",
}


@dataclass(frozen=True)
class Approval:
    """One person's yes."""

    by: str
    rule: str
    """What asked for it: the pull request, the forge's environment, a hotfix, the rule about weaker gates."""
    at: str = ""
    """UTC, to the minute; empty where nobody wrote it down."""
    why: str = ""

    @property
    def text(self) -> str:
        """For a person, in one line."""
        when = f", {self.at}" if self.at else ""
        return f"{self.by} ({self.rule}{when})" + (f": {self.why}" if self.why else "")


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
    """Who asked for it: wrote the change, whoever merged it."""
    why: str = ""
    """What the commit's message says below its subject."""
    approvals: tuple[Approval, ...] = ()
    """Everybody who said yes."""
    detail: str = ""

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Each name with the rule that asked, for a person."""
        return tuple(one.text for one in self.approvals)


def history(root: Path, target: Target, env: str, model: str) -> list[Row]:
    """All of it, newest first."""
    git = Git(root)
    commits = {c.id: c for c in git.log(desired_path(env, model))}
    # A merge is committed by whoever merged; who asked wrote what it brought.
    brought = {c.id: c.parents[1] for c in commits.values() if len(c.parents) > 1}
    wrote = git.wrote(list(brought.values()))
    asked = {i: wrote.get(brought.get(i, ""), c.author) for i, c in commits.items()}
    entries = [e for e in target.store.entries(env, model) if e.kind in _OUTCOMES and e.release is not None]
    finished = sorted(e.at for e in entries if e.kind == Kind.FINISHED)
    rows = []
    for entry in entries:
        after = bisect_right(finished, entry.at) if entry.kind == Kind.FINISHED else len(finished)
        later = finished[after] if after < len(finished) else None
        rows.append(_row(entry, later, commits, asked))
    return rows[::-1]


def _approvals(entry: JournalEntry, commit: Commit | None) -> tuple[Approval, ...]:
    """From the commit that asked, from who let the job in, and from a hotfix that skips gates."""
    found: list[Approval] = []
    if commit is not None:
        number = request_number(commit.subject)
        rule = f"pull request {number}" if number else "pull request"
        found += [Approval(name, rule, _minute(commit.at)) for name in commit.trailer(APPROVED)]
    said = entry.data.get("approved")
    for one in said if isinstance(said, list) else ():
        if isinstance(one, Mapping):
            by, rule, at, why = (str(one.get(key, "")) for key in ("by", "rule", "at", "why"))
            found.append(Approval(by, rule, _minute(at), why))
    bypass = entry.data.get("bypass")
    if isinstance(bypass, Mapping):
        skips = f"hotfix, skips {', '.join(map(str, bypass.get('gates', ())))}"
        found.append(Approval(str(bypass.get("approver", "")), skips, "", str(bypass.get("reason", ""))))
    return tuple(dict.fromkeys(found))


def _minute(at: str | datetime) -> str:
    """`2026-11-30 07:29`; what is no time stays as somebody wrote it."""
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    except ValueError:
        return str(at)
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _why(commit: Commit | None) -> str:
    """The first paragraph below a commit's subject that is no trailer and not git's own line of a revert."""
    for part in (commit.body if commit else "").split("\n\n"):
        lines = [line for line in part.splitlines() if not _TRAILER.match(line)]
        if text := " ".join(" ".join(lines).split()):
            return text
    return ""


def _row(
    entry: JournalEntry, until: datetime | None, commits: Mapping[str, Commit], asked: Mapping[str, str]
) -> Row:
    file_commit = str(entry.data.get("file_commit") or entry.commit)
    commit = commits.get(file_commit)
    return Row(
        release=entry.release or 0,
        outcome=_OUTCOMES[entry.kind],
        at=entry.at,
        until=until,
        actor=entry.actor,
        commit=file_commit,
        subject=commit.subject if commit else "",
        author=asked.get(file_commit, ""),
        why=_why(commit),
        approvals=_approvals(entry, commit),
        detail=str(entry.data.get("reason", "")),
    )
