"""Where yes begins follows from the stated rule, on rows that the model has not seen, and travels with it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mlops.errors import InvalidInput
from mlops.steps.threshold import Rule, choose, decide

RNG = np.random.default_rng(3)
PROBABILITY = np.round(RNG.random(500), 2)  # with ties
TRUTH = (RNG.random(500) < PROBABILITY * 0.6).astype(float)


def counts(cut: float) -> tuple[float, float, float]:
    """Hits, misses, false alarms."""
    called = cut <= PROBABILITY
    return float(TRUTH[called].sum()), float(TRUTH[~called].sum()), float((1 - TRUTH)[called].sum())


def goodness(rule: Rule, cut: float) -> float:
    hits, missed, alarms = counts(cut)
    if rule.kind == "cost":
        return -(rule.value * missed + alarms)
    if rule.kind == "rate":
        return -abs(float((cut <= PROBABILITY).mean()) - rule.value)
    beta = rule.value**2
    return (1 + beta) * hits / ((1 + beta) * hits + beta * missed + alarms)


@pytest.mark.parametrize(
    "text", ["cost:1", "cost:5", "cost:0.2", "f:1", "f:2", "f:0.5", "rate:0.1", "rate:0.37"]
)
def test_no_other_threshold_is_better_by_the_rule(text: str) -> None:
    rule = Rule.parse(text)
    chosen = choose(rule, TRUTH, PROBABILITY)
    best = max(goodness(rule, cut) for cut in np.unique(PROBABILITY))
    assert goodness(rule, chosen) == pytest.approx(best)


def test_what_misses_cost_moves_the_threshold_down() -> None:
    cuts = [choose(Rule.parse(f"cost:{cost}"), TRUTH, PROBABILITY) for cost in (0.5, 2, 8)]
    assert cuts == sorted(cuts, reverse=True) and cuts[0] > cuts[-1]


@pytest.mark.parametrize("text", ["", "f1", "cost:0", "rate:1", "rate:-1", "f:x", "half"])
def test_a_rule_that_is_none_is_a_sentence(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"`decision` of the use case is .*; write `cost:5`"):
        Rule.parse(text)


def test_the_newest_rows_choose_and_the_model_has_not_seen_them() -> None:
    seen: list[int] = []

    def fitted(rows: np.ndarray) -> SimpleNamespace:
        seen.extend(rows)
        return SimpleNamespace(predict_proba=lambda part: np.c_[1 - part["p"], part["p"]])

    cut = decide("f:1", fitted, pd.DataFrame({"p": PROBABILITY}), TRUTH)
    assert seen == list(range(400))
    assert cut == choose(Rule("f", 1), TRUTH[400:], PROBABILITY[400:])


def test_one_class_only_is_a_sentence() -> None:
    truth = np.r_[TRUTH[:400], np.zeros(100)]
    with pytest.raises(InvalidInput, match="needs both classes in the newest 20%"):
        decide("f:1", lambda _: None, pd.DataFrame({"p": PROBABILITY}), truth)
