"""Early termination ends the trials that Azure ML would end: a wrong end costs the best model."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from mlops.pipeline.sweep.stopping import Goal, Termination, reason_to_stop


def _stops(
    policy: dict[str, Any],
    own: list[float],
    others: list[list[float]],
    goal: Goal = "maximize",
    ended: bool = False,
) -> bool:
    made: Any = TypeAdapter(Termination).validate_python(policy)
    return bool(reason_to_stop(made, goal, own, [(row, ended) for row in others]))


@pytest.mark.parametrize(("value", "stops"), [(0.66, True), (0.67, False), (0.9, False)])
def test_bandit_factor_as_documented(value: float, stops: bool) -> None:
    """Microsoft's example: best 0.8, slack_factor 0.2, so less than 0.8 / 1.2 = 0.6667 ends."""
    assert _stops({"type": "bandit", "slack_factor": 0.2}, [value], [[0.8]]) is stops


def test_bandit_factor_when_minimised() -> None:
    policy = {"type": "bandit", "slack_factor": 0.2}
    assert _stops(policy, [0.97], [[0.8]], "minimize")
    assert not _stops(policy, [0.95], [[0.8]], "minimize")


def test_bandit_amount() -> None:
    policy = {"type": "bandit", "slack_amount": 0.1}
    assert _stops(policy, [0.69], [[0.8]])
    assert not _stops(policy, [0.71], [[0.8]])


def test_bandit_of_negative_values_never_ends_the_best() -> None:
    policy = {"type": "bandit", "slack_factor": 0.2}
    assert not _stops(policy, [-1.0], [[-2.0]])
    assert _stops(policy, [-1.3], [[-1.0]])
    assert not _stops(policy, [-1.1], [[-1.0]])


def test_bandit_compares_at_the_same_interval() -> None:
    """A trial is not ended because another one has come further."""
    assert not _stops({"type": "bandit", "slack_factor": 0.1}, [0.5], [[0.5, 0.9]])


def test_the_best_report_counts_not_the_last() -> None:
    assert not _stops({"type": "bandit", "slack_factor": 0.1}, [0.8, 0.2], [[0.7, 0.8]])


def test_median() -> None:
    policy = {"type": "median_stopping"}
    others = [[0.5, 0.7], [0.6, 0.8], [0.7, 0.9]]  # averages 0.6, 0.7, 0.8
    assert _stops(policy, [0.5, 0.6], others)
    assert not _stops(policy, [0.5, 0.75], others)


def test_truncation() -> None:
    policy = {"type": "truncation_selection", "truncation_percentage": 20}
    others = [[0.6], [0.7], [0.8], [0.9]]
    assert _stops(policy, [0.5], others)
    assert not _stops(policy, [0.65], others)
    assert not _stops(policy, [0.5], others[:3]), "a fifth of four trials is none"
    alone = policy | {"exclude_finished_jobs": True}
    assert not _stops(alone, [0.5], others, ended=True)


def test_interval_and_delay() -> None:
    policy = {"type": "bandit", "slack_amount": 0.1, "evaluation_interval": 2, "delay_evaluation": 3}
    others = [[0.9] * 5]
    ends = [n for n in range(1, 6) if _stops(policy, [0.1] * n, others)]
    assert ends == [4]


def test_what_is_no_number_is_worse_than_all() -> None:
    assert _stops({"type": "bandit", "slack_factor": 0.2}, [float("nan")], [[0.8]])
