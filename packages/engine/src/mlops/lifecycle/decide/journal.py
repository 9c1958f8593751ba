"""What the journal of an environment says, folded into the few facts that decisions need. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from mlops.targets.base import JournalEntry


class Kind(StrEnum):
    """What an entry is about; the grammar of `JournalEntry.kind`."""

    STARTED = "apply.started"
    FINISHED = "apply.finished"
    STEP = "step.started"
    STEP_DONE = "step.done"
    PASSED = "analysis.passed"
    FAILED = "analysis.failed"
    INCONCLUSIVE = "analysis.inconclusive"
    CLEARED = "hold.cleared"


@dataclass(frozen=True)
class Served:
    """A release that took over completely, and by what."""

    release: int
    at: datetime
    actor: str
    commit: str


@dataclass(frozen=True)
class Held:
    """An analysis said no to a release as requested by one commit of its desired-state file."""

    release: int
    reason: str
    at: datetime
    file_commit: str
    """The last commit of the desired-state file then; a later one is a person's new decision."""


@dataclass(frozen=True)
class Facts:
    """The journal of one model in one environment. `served` is oldest first."""

    commit: str = ""
    """Of the last apply that changed something."""
    served: tuple[Served, ...] = ()
    held: Mapping[int, Held] = field(default_factory=dict)
    smoked: bool = False
    """Whether the deployment created last has passed its smoke test."""
    passed: frozenset[int] = frozenset()
    """Canary percentages that the deployment created last has passed."""
    baseline: Mapping[str, Any] | None = None
    """What the live deployment did in the window that was passed last (`analysis.Window` as plain data)."""

    @property
    def current(self) -> Served | None:
        """The last release that took over completely."""
        return self.served[-1] if self.served else None

    @property
    def verified(self) -> frozenset[int]:
        """Releases that have once passed everything here and were not found wanting since."""
        return frozenset(s.release for s in self.served) - frozenset(self.held)

    def hold_on(self, release: int, file_commit: str) -> Held | None:
        """The hold that forbids `release` as requested by this commit of its file, if there is one."""
        held = self.held.get(release)
        return held if held is not None and held.file_commit == file_commit else None


def read(entries: Iterable[JournalEntry]) -> Facts:
    """Fold the entries of one model, oldest first."""
    facts = Facts()
    for entry in entries:
        facts = after(facts, entry)
    return facts


def after(facts: Facts, entry: JournalEntry) -> Facts:
    """The facts when one more entry of the model is known."""
    if entry.release is None or not (changes := _changes(facts, entry, entry.release)):
        return facts
    return replace(facts, **changes)


def _changes(facts: Facts, entry: JournalEntry, release: int) -> dict[str, Any]:
    """The fields that one entry changes."""
    others = {r: h for r, h in facts.held.items() if r != release}
    nothing_passed: dict[str, Any] = {"passed": frozenset(), "baseline": None}
    change: dict[str, Any] = {}
    match entry.kind, entry.data.get("step"):
        case Kind.STARTED, _:
            change = {"commit": entry.commit}
        case Kind.STEP, "create":
            change = {"smoked": False, **nothing_passed}
        case Kind.STEP_DONE, "smoke":
            change = {"smoked": True}
        case Kind.PASSED, _:
            passed = facts.passed | {int(entry.data["percent"])}
            change = {"passed": passed, "baseline": entry.data.get("live") or facts.baseline}
        case Kind.FAILED, _:
            held = Held(release, str(entry.data["reason"]), entry.at, str(entry.data["file_commit"]))
            change = {"held": {**others, release: held}, **nothing_passed}
        case Kind.CLEARED, _:
            change = {"held": others}
        case Kind.FINISHED, _:
            done = Served(release, entry.at, entry.actor, entry.commit)
            change = {"served": (*facts.served, done), "held": others, **nothing_passed}
    return change
