"""`environments/<env>/<model>.yaml`: what is served, how it gets there, and whether automation may act."""

from __future__ import annotations

import itertools
import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from mlops.spec._base import Spec, Version

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 36500 * 86400.0


def _seconds(value: Any) -> Any:
    """Text like `90s`, `24h`, `7d` as seconds."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value)
        if not match:
            raise ValueError("must be a duration such as 500ms, 60s, 15m, 24h or 7d")
        return float(match[1]) * _UNITS[match[2]]
    return value


def _bounded(value: float) -> float:
    """No clock counts what is longer, and infinity is no time."""
    if not value <= _LONGEST:
        raise ValueError("must be at most 36500d, a hundred years")
    return value


Seconds = Annotated[
    float,
    BeforeValidator(_seconds),
    AfterValidator(_bounded),
    Field(ge=0, json_schema_extra={"type": ["string", "number"]}),
]


class Strategy(Spec):
    """How a new release takes over, and what makes the rollout turn back."""

    canary: list[int] = [10, 50, 100]
    """Percent of traffic on the new release at each step; the last is 100."""
    analysis: Seconds = 60.0
    """How long each step is watched."""
    min_requests: int = Field(default=50, ge=1)
    """Fewer in a window give no verdict."""
    max_error_rate: float = Field(default=0.01, ge=0, le=1)
    """Share of requests of a step that the new release may fail."""
    max_latency_p99_ratio: float = Field(default=1.5, gt=0)
    """New against live, in the same window."""
    max_prediction_shift: float = Field(default=0.2, gt=0)
    """Population stability index of the predictions, new against live."""
    detectable_shift: float | None = Field(default=None, gt=0)
    """No pass without as many predictions as find a shift of this index in 39 of 40 windows. Empty: a pass
    says which it would have found."""
    cool_down: Seconds = 0.0
    """How long the old deployment stays warm at zero traffic after the last step."""

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Strategy:
        if self.detectable_shift is not None and self.detectable_shift <= self.max_prediction_shift:
            raise ValueError(
                f"detectable_shift must be above max_prediction_shift ({self.max_prediction_shift:g}): what "
                "is allowed is never found to be too much"
            )
        return self

    @field_validator("canary")
    @classmethod
    def _rising(cls, steps: list[int]) -> list[int]:
        if not steps or steps[-1] != 100 or any(b <= a for a, b in itertools.pairwise(steps)) or steps[0] < 1:
            raise ValueError("must rise from 1 or more to 100, for example [10, 50, 100]")
        return steps


class Hold(Spec):
    """Automation stays off until a person removes this."""

    reason: str = Field(min_length=1)
    """Why."""
    since: datetime
    """When it was set."""
    by: str
    """Who set it."""


class Bypass(Spec):
    """A hotfix: which checks it skips, why, and who answers for it. Provenance is never skipped."""

    gates: list[str] = Field(min_length=1)
    """Names of rules: order, soak, or a gate that the release records as blocked."""
    reason: str = Field(min_length=10)
    """Why waiting would do more harm."""
    approver: str = Field(min_length=1)
    """Who answers for it."""


class DesiredState(Spec):
    """One model in one environment."""

    release: Version
    """The release to serve."""
    replaces: Version | None = None
    """Compare-and-set: refused when another release is what is served."""
    strategy: Strategy = Strategy()
    """How it takes over."""
    hold: Hold | None = None
    """Set by a rollback."""
    bypass: Bypass | None = None
    """Set by a hotfix."""

    @model_validator(mode="after")
    def _moves(self) -> DesiredState:
        if self.replaces == self.release:
            raise ValueError(f"release and replaces are both {self.release}; a change must change something")
        return self
