"""The recipe is deterministic and honest about time; both get lost quietly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flights import usecase
from flights.columns import INPUTS
from mlops.errors import InvalidInput
from mlops.spec.window import Window


def test_the_same_rows_give_the_same_model(raw_sample: Path) -> None:
    frame = usecase.features(raw_sample, Window.parse("2013-01..2013-03"))
    inputs = frame[list(INPUTS)]
    first, second = (usecase.build({"max_iter": 20}).fit(inputs, frame["late"]) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(inputs), second.predict_proba(inputs))


def test_no_early_stopping_on_random_rows() -> None:
    assert usecase.build({}).named_steps["boosting"].early_stopping is False


def test_parameters_reach_the_estimator_and_a_typing_error_is_refused() -> None:
    assert usecase.build({"max_iter": 7, "seed": 3}).named_steps["boosting"].get_params().items() >= {
        ("max_iter", 7),
        ("random_state", 3),
    }
    with pytest.raises(InvalidInput, match="unknown hyper-parameter max_iters; flights knows learning_rate"):
        usecase.build({"max_iters": 7})


def test_top_tenth_late_is_the_share_among_the_highest_probabilities() -> None:
    truth = np.array([0] * 18 + [1, 0])
    assert usecase.evaluate(truth, np.arange(20) / 20) == {"top_tenth_late": 0.5}


@pytest.mark.slow
def test_a_later_month_is_predicted_better_than_by_chance(raw_flights: Path) -> None:
    """The figure that docs quote, on the full data: January to March against April."""
    from sklearn.metrics import brier_score_loss, roc_auc_score

    train = usecase.features(raw_flights, Window.parse("2013-01..2013-03"))
    test = usecase.features(raw_flights, Window.parse("2013-04"))
    model = usecase.build({}).fit(train[list(INPUTS)], train["late"])
    late = model.predict_proba(test[list(INPUTS)])[:, 1]
    assert roc_auc_score(test["late"], late) == pytest.approx(0.671, abs=0.005)
    base = np.full(len(test), train["late"].mean())
    assert brier_score_loss(test["late"], late) < brier_score_loss(test["late"], base) - 0.01
