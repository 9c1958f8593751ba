"""A row of weight 3 is three rows, in every metric and comparison: what a model was fitted for is what it is
judged by."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from mlops.errors import InvalidInput
from mlops.metrics.intervals import intervals, paired_differences, paired_intervals
from mlops.metrics.resampling import MANY
from mlops.metrics.scores import About, Scores, asked
from mlops.steps.about import about
from mlops.steps.threshold import Rule, choose
from mlops.usecase import UseCase

RNG = np.random.default_rng(7)
ROWS = 240
WEIGHTS = RNG.integers(0, 4, ROWS).astype(float)
AGAIN = np.repeat(np.arange(ROWS), WEIGHTS.astype(int))
YES = (RNG.random(ROWS) < 0.4).astype(float)
SHARE = np.round(np.clip(0.4 + 0.2 * (YES - 0.4) + RNG.normal(0, 0.2, ROWS), 0, 1), 2)
VALUE = RNG.normal(size=ROWS)
CLASS = RNG.integers(0, 3, ROWS).astype(float)
CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "binary": (YES, SHARE, {}),
    "multiclass": (CLASS, RNG.dirichlet([1, 1, 1], ROWS), {}),
    "multilabel": (np.column_stack([YES, CLASS > 1]).astype(float), RNG.random((ROWS, 2)), {}),
    "regression": (VALUE, VALUE + RNG.normal(size=ROWS), {}),
    "quantiles": (VALUE, np.sort(RNG.normal(size=(ROWS, 2))), {"outputs": ("0.1", "0.9")}),
    "forecast": (VALUE, VALUE + RNG.normal(size=ROWS), {"baseline": RNG.normal(size=ROWS)}),
}


@pytest.mark.parametrize("task", CASES)
def test_every_metric_counts_a_row_as_often_as_its_weight_says(task: Any) -> None:
    truth, prediction, more = CASES[task]
    found = Scores(task, truth, prediction, about=About(weights=WEIGHTS, **more)).values()
    if "baseline" in more:
        more = {"baseline": more["baseline"][AGAIN]}
    written_out = Scores(task, truth[AGAIN], prediction[AGAIN], about=About(**more)).values()
    assert found == pytest.approx(written_out, rel=1e-9)
    assert found != pytest.approx(Scores(task, truth, prediction, about=About(**CASES[task][2])).values())


def test_a_query_counts_for_the_mean_weight_of_its_rows_whatever_the_model_ranks_first() -> None:
    groups = np.repeat(np.arange(ROWS // 6), 6)
    means = WEIGHTS.reshape(-1, 6).mean(axis=1)
    each = [
        Scores("ranking", CLASS[groups == g], SHARE[groups == g], about=About(groups=groups[groups == g]))
        for g in range(ROWS // 6)
    ]
    ndcg = np.array([one.value("ndcg") for one in each])
    known = np.isfinite(ndcg)
    found = Scores("ranking", CLASS, SHARE, about=About(groups=groups, weights=WEIGHTS)).value("ndcg")
    assert found == pytest.approx(np.average(ndcg[known], weights=means[known]))


@pytest.mark.parametrize("rows", [2_000, MANY])
def test_intervals_and_comparisons_weigh_the_rows_however_many_there_are(rows: int) -> None:
    """The rows of weight 0 are where one model fails: it is the better one all the same."""
    rng = np.random.default_rng(1)
    truth = (rng.random(rows) < 0.5).astype(float)
    weights = (np.arange(rows) % 2).astype(float)
    good = np.clip(0.5 + 0.4 * (truth - 0.5) + rng.normal(0, 0.3, rows), 0, 1)
    fair = np.clip(0.5 + 0.2 * (truth - 0.5) + rng.normal(0, 0.3, rows), 0, 1)
    one, other = (
        Scores("binary", truth, p, about=About(weights=weights))
        for p in (np.where(weights > 0, good, 1 - good), fair)
    )
    counted = weights > 0
    plain = intervals(Scores("binary", truth[counted], good[counted]), confidence=0.95, resamples=100, seed=1)
    found = intervals(one, confidence=0.95, resamples=100, seed=1)
    for name in ("roc_auc", "log_loss", "f1", "average_precision"):
        assert found[name].value == pytest.approx(plain[name].value)
        assert found[name].high - found[name].low == pytest.approx(
            plain[name].high - plain[name].low, rel=0.35
        )
    assert (paired_differences("roc_auc", one, other, resamples=100, seed=1) > 0).all()
    assert paired_intervals(one, other, confidence=0.95, resamples=100, seed=1)["roc_auc"].low > 0


def test_a_part_of_the_rows_keeps_their_weights() -> None:
    scores = Scores("regression", VALUE, VALUE + WEIGHTS, about=About(weights=WEIGHTS))
    part = scores.subset(WEIGHTS > 1)
    expected = np.average(WEIGHTS[WEIGHTS > 1], weights=WEIGHTS[WEIGHTS > 1])
    assert part.value("bias") == pytest.approx(expected)
    assert np.isnan(scores.subset(WEIGHTS == 0).value("mae"))


def test_comparing_two_models_draws_whole_groups() -> None:
    """Equal errors in a group are one observation: ten copies of a row must not make the difference surer."""
    groups = np.repeat(np.arange(30), 10)
    truth = np.repeat(RNG.normal(size=30), 10)
    errors = np.repeat(RNG.normal(size=30), 10)
    one, other = (
        Scores("regression", truth, truth + e, about=About(groups=groups)) for e in (errors, errors * 0.5)
    )
    grouped = paired_intervals(one, other, confidence=0.95, resamples=200, seed=1)["bias"]
    alone = [Scores("regression", truth, truth + e) for e in (errors, errors * 0.5)]
    apart = paired_intervals(*alone, confidence=0.95, resamples=200, seed=1)["bias"]
    assert grouped.high - grouped.low > 2 * (apart.high - apart.low)


class Weighed:
    """Of a use case, what metrics need."""

    name, task, time, weight = "toy", "regression", None, "exposure"

    def evaluate(self, truth: Any, prediction: Any) -> dict[str, float]:
        return {}


class Own(Weighed):
    def evaluate(self, truth: Any, prediction: Any, weights: Any = None) -> dict[str, float]:
        return {"share": float(np.average(prediction, weights=weights))}


class Unaware(Weighed):
    def evaluate(self, truth: Any, prediction: Any) -> dict[str, float]:
        return {"share": float(prediction.mean())}


FRAME = pd.DataFrame({"a": VALUE, "exposure": WEIGHTS})


def test_metrics_of_the_use_case_get_the_weights() -> None:
    told = about(cast("UseCase", Own()), FRAME)
    scores = Scores("regression", VALUE, VALUE, about=told)
    assert scores.value("share") == pytest.approx(np.average(VALUE, weights=WEIGHTS))
    assert np.isfinite(scores.draws(20, 1)["share"]).all()


def test_metrics_of_the_use_case_that_take_no_weights_are_refused() -> None:
    told = about(cast("UseCase", Unaware()), FRAME)
    with pytest.raises(InvalidInput, match="weights=None"):
        Scores("regression", VALUE, VALUE, about=told)


def test_metrics_that_take_no_weights_are_asked_through_others_that_do() -> None:
    """The monitor imports the use case late, by a function that passes weights on; here no row has one."""

    def late(truth: Any, prediction: Any, weights: Any = None) -> Any:
        return asked(Unaware().evaluate, truth, prediction, weights)

    scores = Scores("regression", VALUE, VALUE, about=About(extra=late))
    assert scores.value("share") == pytest.approx(VALUE.mean())


@pytest.mark.parametrize("worth", [-1.0, np.nan, np.inf, "many", None, 0.0], ids=str)
def test_test_rows_whose_weights_say_nothing_are_refused(worth: Any) -> None:
    with pytest.raises(InvalidInput, match="'exposure' weighs the rows"):
        about(cast("UseCase", Weighed()), FRAME.assign(exposure=worth))


@pytest.mark.parametrize("text", ["cost:5", "f:1", "rate:0.2"])
def test_where_yes_begins_is_chosen_by_weighed_rows(text: str) -> None:
    rule = Rule.parse(text)
    assert choose(rule, YES, SHARE, WEIGHTS) == choose(rule, YES[AGAIN], SHARE[AGAIN])
