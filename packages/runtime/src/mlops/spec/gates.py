"""What a gate said: shared by releases, reports and pull requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from pydantic import Field, FiniteFloat

from mlops.spec._base import Digest, ModelName, Spec, Version

Verdict = Literal["pass", "blocked", "skipped", "bypassed"]


class GateResult(Spec):
    """One gate's verdict. `observed` and `limit` are for people: text with units."""

    name: str
    """What was judged."""
    verdict: Verdict
    """What came of it."""
    observed: str
    """What was found."""
    limit: str
    """What was asked."""
    detail: str = ""
    """Why, and what to do; empty when there is nothing to add."""


def blocking(gates: Iterable[GateResult], skipped: Collection[str] = ()) -> list[GateResult]:
    """The gates that block, in order, but for those that a bypass skips."""
    return [gate for gate in gates if gate.verdict == "blocked" and gate.name not in skipped]


class Interval(Spec):
    """A metric with its bootstrap confidence interval, and the champion's on the same rows.

    A metric that is not defined (NaN) has no interval: it is left out, and a gate that needs it blocks.
    """

    value: FiniteFloat
    """On the test rows."""
    low: FiniteFloat
    """Lower end of the interval."""
    high: FiniteFloat
    """Upper end of the interval."""
    champion: FiniteFloat | None = None
    """The champion's value on the same rows."""


class GateReport(Spec):
    """The verdict on one version, with what a reviewer needs to understand it."""

    model: ModelName
    version: Version
    champion: Version | None
    """The version that it was compared with; None when nothing is live in the last environment."""
    rows: int = Field(ge=0)
    """Test rows that both were judged on."""
    confidence: float
    """Of the intervals of `metrics`."""
    metrics: dict[str, Interval]
    gates: list[GateResult] = Field(min_length=1)
    gates_digest: Digest | None = None
    """Of the file of gates."""

    @property
    def passed(self) -> bool:
        """Whether no gate blocks."""
        return not self.blocking

    @property
    def blocking(self) -> list[GateResult]:
        """The gates that block, in order."""
        return blocking(self.gates)
