"""Pictures of two runs: each line says what the library of record says, and no text becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mlops.board.beside import Plot, page, plots
from mlops.lifecycle.train.compare import Comparison, MetricRow
from mlops.lifecycle.train.runs import Made
from mlops.lifecycle.train.source import CodeDiff
from mlops.metrics.scores import Scores
from mlops.spec.gates import Interval
from mlops.targets.base import TrainingRun

ROWS = 400
TEXT = '<script>alert("x")</script>'


def binary(seed: int) -> Scores:
    chance = np.random.default_rng(seed)
    truth = chance.integers(0, 2, ROWS)
    return Scores("binary", truth, np.round(np.clip(chance.normal(0.3 + truth * 0.2, 0.2), 0, 1), 2))


def numbers(off: float) -> Scores:
    truth = np.linspace(0, 9, ROWS)
    return Scores("regression", truth, truth + off * np.linspace(-1, 1, ROWS))


def by_title(found: list[Plot]) -> dict[str, Plot]:
    return {plot.title: plot for plot in found}


def test_the_area_below_the_roc_is_that_of_scikit_learn() -> None:
    runs = {"one": binary(1), "other": binary(2)}
    found = by_title(plots(list(runs.items())))
    assert list(found) == ["ROC", "Precision and recall", "Calibration"]
    for curve in found["ROC"].curves:
        x, y = np.array(curve.points).T
        scores = runs[curve.name]
        assert float(np.trapezoid(y, x)) == pytest.approx(roc_auc_score(scores.truth, scores.prediction))
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)


def test_precision_at_the_end_is_the_base_rate() -> None:
    scores = binary(1)
    (curve,) = by_title(plots([("one", scores)]))["Precision and recall"].curves
    assert curve.points[-1] == (1, pytest.approx(scores.truth.mean()))


def test_a_model_that_says_what_happens_lies_on_the_diagonal() -> None:
    probability = np.repeat([0.2, 0.8], 100)
    truth = np.r_[[1] * 20, [0] * 80, [1] * 80, [0] * 20]
    (curve,) = by_title(plots([("one", Scores("binary", truth, probability))]))["Calibration"].curves
    assert curve.points == [pytest.approx((0.2, 0.2)), pytest.approx((0.8, 0.8))]


def test_of_one_class_alone_no_curve_is_drawn_that_has_none() -> None:
    scores = Scores("binary", np.zeros(50), np.linspace(0, 1, 50))
    assert [plot.title for plot in plots([("one", scores)])] == ["Calibration"]


def test_smaller_errors_are_further_up() -> None:
    (found,) = plots([("good", numbers(0.1)), ("bad", numbers(1.0))])
    good, bad = (dict(c.points) for c in found.curves)
    assert max(good) == pytest.approx(0.1 / 0.99, rel=0.02) and max(good.values()) == 1
    half = min(bad, key=lambda x: abs(x - 0.5))
    assert bad[half] == pytest.approx(0.5, abs=0.02)


def test_of_several_classes_it_is_drawn_how_often_the_surest_is_right() -> None:
    sure = np.tile([0.9, 0.06, 0.04], (100, 1))
    truth = np.r_[np.zeros(70), np.ones(30)]
    (found,) = plots([("one", Scores("multiclass", truth, sure))])
    assert found.curves[0].points == [pytest.approx((0.9, 0.7))]


@pytest.mark.parametrize(
    "given", [numbers(0.0), Scores("multilabel", np.zeros((9, 2)), np.full((9, 2), 0.5))]
)
def test_what_no_line_shows_has_no_picture(given: Any) -> None:
    assert plots([("one", given)]) == []


def test_two_tasks_are_not_drawn_into_one() -> None:
    assert plots([("one", binary(1)), ("other", numbers(1.0))]) == []


def comparison(**changes: Any) -> Comparison:
    def run(name: str) -> Made:
        at = datetime(2026, 11, 29, tzinfo=UTC)
        return Made.of(TrainingRun(name * 4, at, {}, {}, {}))

    half = Interval(value=0.5, low=0.4, high=0.6)
    row = MetricRow("roc_auc", half, half, Interval(value=0.1, low=0.05, high=0.15), "better")
    code = CodeDiff(files=(TEXT,), text="", unknown="")
    made = Comparison(run("aaaa"), run("bbbb"), (row,), "", {"max_iter": ("1", TEXT)}, {}, code)
    return replace(made, **changes)


def test_the_page_loads_nothing_and_no_text_becomes_markup() -> None:
    text = page("prices", comparison(), plots([(TEXT, binary(1)), ("other", binary(2))]))
    assert TEXT not in text and "&lt;script&gt;" in text
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert text.count('role="img"') == 3
    assert "0.1000 (0.0500 to 0.1500)" in text and "<td>better</td>" in text


def test_the_page_says_why_nothing_is_compared_or_drawn() -> None:
    text = page("prices", comparison(unpaired="other rows"), [], "the run kept no predictions")
    assert "Not compared: other rows." in text and "No picture: the run kept no predictions." in text
