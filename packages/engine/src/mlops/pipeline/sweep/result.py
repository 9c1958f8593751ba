"""What a sweep tells its caller; `mlops.targets.base` shows these types to the verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mlops.pipeline.sweep.space import Literal_
    from mlops.pipeline.sweep.stopping import Goal

TrialState = Literal["running", "finished", "stopped", "failed", "killed"]
"""`stopped`: ended early by the policy; `killed`: interrupted, and drawn again when the sweep goes on."""


@dataclass(frozen=True)
class TrialResult:
    """One trial. `value` is the last report of the primary metric."""

    number: int
    state: TrialState
    values: Mapping[str, Literal_]
    """What was drawn, by name of the search space."""
    value: float | None = None
    run_id: str = ""
    detail: str = ""
    """Why it was stopped or failed."""


@dataclass(frozen=True)
class SweepResult:
    """A sweep that has ended, with the trials of all its runs."""

    run_id: str
    metric: str
    goal: Goal
    trials: tuple[TrialResult, ...]
    url: str = ""

    @property
    def best(self) -> TrialResult | None:
        """The finished trial with the best last report; the first of equals. None when none finished."""
        sign = 1 if self.goal == "maximize" else -1
        finished = [t for t in self.trials if t.state == "finished" and t.value is not None]
        return max(finished, key=lambda t: (sign * (t.value or 0.0), -t.number), default=None)


Progress = Callable[[TrialResult], None]
