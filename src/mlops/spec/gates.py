"""What a gate said: shared by releases, reports and pull requests."""

from __future__ import annotations

from typing import Literal

from mlops.spec._base import Spec

Verdict = Literal["pass", "blocked", "skipped", "bypassed"]


class GateResult(Spec):
    """One gate's verdict. `observed` and `limit` are for people: text with units."""

    name: str
    verdict: Verdict
    observed: str
    limit: str
    detail: str = ""


class Interval(Spec):
    """A metric with its bootstrap confidence interval, and the champion's on the same rows."""

    value: float
    low: float
    high: float
    champion: float | None = None
