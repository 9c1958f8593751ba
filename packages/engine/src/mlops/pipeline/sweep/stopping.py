"""Early termination: whether a trial goes on, from what it and the others have reported.

Pure functions with the semantics of Azure ML
(https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters#early-termination).
A report is one value of the primary metric; the n-th one is interval n. A policy is applied at every
multiple of `evaluation_interval` that is at least `delay_evaluation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Annotated, Literal

from pydantic import Field

from mlops.pipeline.models import Yaml

Goal = Literal["maximize", "minimize"]


class _Policy(Yaml):
    evaluation_interval: int = Field(1, ge=0)
    """Apply at every n-th report; 0 counts as 1."""
    delay_evaluation: int = Field(0, ge=0)
    """Do not apply before this many reports."""


class Bandit(_Policy):
    """End a trial whose best report is not within the slack of the best trial's at the same interval."""

    type: Literal["bandit"]
    slack_factor: float | None = Field(None, gt=0)
    slack_amount: float | None = Field(None, gt=0)


class MedianStopping(_Policy):
    """End a trial whose best report is worse than the median of all trials' running averages."""

    type: Literal["median_stopping"]


class TruncationSelection(_Policy):
    """End the worst share of the trials at each interval."""

    type: Literal["truncation_selection"]
    truncation_percentage: int = Field(ge=1, le=99)
    exclude_finished_jobs: bool = False


Termination = Annotated[Bandit | MedianStopping | TruncationSelection, Field(discriminator="type")]

POLICIES: dict[str, type[_Policy]] = {
    "bandit": Bandit,
    "median_stopping": MedianStopping,
    "truncation_selection": TruncationSelection,
}


def reason_to_stop(
    policy: Bandit | MedianStopping | TruncationSelection,
    goal: Goal,
    reports: Sequence[float],
    others: Iterable[tuple[Sequence[float], bool]],
) -> str:
    """Why the trial with `reports` (oldest first) ends now, as a sentence; empty when it goes on.

    `others`: reports of every other trial, and whether it has ended.
    """
    interval = len(reports)
    every = max(policy.evaluation_interval, 1)
    if interval == 0 or interval < policy.delay_evaluation or interval % every:
        return ""
    # Larger is better from here on; what is not a number is worse than everything.
    sign = 1.0 if goal == "maximize" else -1.0
    own = [_comparable(sign * value) for value in reports]
    rest = [([_comparable(sign * v) for v in row], ended) for row, ended in others if row]
    if isinstance(policy, Bandit):
        return _bandit(policy, sign, own, [row for row, _ in rest])
    if isinstance(policy, MedianStopping):
        return _median(sign, own, [row for row, _ in rest])
    if policy.exclude_finished_jobs:
        rest = [(row, ended) for row, ended in rest if not ended]
    return _truncation(policy, own, [row for row, _ in rest])


def _bandit(policy: Bandit, sign: float, own: list[float], others: list[list[float]]) -> str:
    interval = len(own)
    best = max([max(row[:interval]) for row in [own, *others] if len(row) >= interval])
    if policy.slack_amount is not None:
        limit = best - policy.slack_amount
    else:
        # Below zero a worse value is further from it: so is every one that is minimised, by its sign.
        factor = 1 + (policy.slack_factor or 0.0)
        limit = best / factor if best > 0 else best * factor
    if max(own) >= limit:
        return ""
    return f"its best, {sign * max(own):.6g}, is beyond {sign * limit:.6g}, the slack of {sign * best:.6g}"


def _median(sign: float, own: list[float], others: list[list[float]]) -> str:
    interval = len(own)
    averages = [fmean(row[:interval]) for row in [own, *others]]
    middle = median(averages)
    if max(own) >= middle:
        return ""
    return f"its best, {sign * max(own):.6g}, is worse than {sign * middle:.6g}, the median of the averages"


def _truncation(policy: TruncationSelection, own: list[float], others: list[list[float]]) -> str:
    interval = len(own)
    peers = [row[interval - 1] for row in others if len(row) >= interval]
    better = sum(value > own[-1] for value in peers)
    worst = math.floor((len(peers) + 1) * policy.truncation_percentage / 100)
    if worst == 0 or len(peers) + 1 - better > worst:
        return ""
    return f"it is among the worst {policy.truncation_percentage} % of {len(peers) + 1} trials"


def _comparable(value: float) -> float:
    return value if math.isfinite(value) else -math.inf
