"""The outcome of planning, before anybody reads it."""

from __future__ import annotations

from dataclasses import dataclass

from mlops.infra.cost.api import Costs

from ..model import Captured, Finding
from .diff import Change


@dataclass(frozen=True)
class StackPlan:
    """One stack. `changes` is None when no base was compared."""

    captured: Captured
    changes: list[Change] | None = None


@dataclass(frozen=True)
class Plan:
    """All planned stacks and the verdict of every check."""

    stacks: tuple[StackPlan, ...]
    violations: tuple[Finding, ...] = ()
    accepted: tuple[tuple[Finding, str], ...] = ()
    against: str = ""
    costs: Costs | None = None
    notes: tuple[str, ...] = ()
    """Sentences that a person must read and that block nothing."""
