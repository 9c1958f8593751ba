"""Gates compare these numbers: they must be the ones that everybody knows by these names, for any weights."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from mlops.errors import InvalidInput
from mlops.metrics.intervals import interval_of, intervals, paired_differences
from mlops.metrics.resampling import resamples_of
from mlops.metrics.scores import Scores
from mlops.metrics.truth import encode_truth
from mlops.spec.metrics import METRICS
from mlops.spec.schema import ModelSchema


def binary(seed: int, rows: int = 300, digits: int = 2):
    generator = np.random.default_rng(seed)
    truth = (generator.random(rows) < 0.4).astype(float)
    prediction = np.round(np.clip(0.4 + 0.2 * (truth - 0.4) + generator.normal(0, 0.2, rows), 0, 1), digits)
    return truth, prediction, generator.integers(0, 4, rows).astype(float)


@examples(15)
@given(seed=st.integers(0, 10**6), digits=st.integers(1, 6))
def test_binary_metrics_equal_scikit_learn_with_ties_and_weights(seed: int, digits: int):
    truth, prediction, weights = binary(seed, digits=digits)
    found = {name: metric(weights) for name, metric in Scores("binary", truth, prediction).metrics.items()}
    called = prediction >= 0.5
    options = {"sample_weight": weights}
    expected = {
        "roc_auc": reference.roc_auc_score(truth, prediction, **options),
        "average_precision": reference.average_precision_score(truth, prediction, **options),
        "log_loss": reference.log_loss(truth, prediction, **options),
        "brier": reference.brier_score_loss(truth, prediction, **options),
        "accuracy": reference.accuracy_score(truth, called, **options),
        "recall": reference.recall_score(truth, called, **options),
        "f1": reference.f1_score(truth, called, **options),
    }
    assert {k: found[k] for k in expected} == pytest.approx(expected, rel=1e-9)


def test_multiclass_metrics_equal_scikit_learn():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, 500).astype(float)
    prediction = generator.dirichlet([1, 1, 1], 500)
    found = Scores("multiclass", truth, prediction).values()
    assert found == pytest.approx(
        {
            "accuracy": reference.accuracy_score(truth, prediction.argmax(1)),
            "log_loss": reference.log_loss(truth, prediction),
            "f1_macro": reference.f1_score(truth, prediction.argmax(1), average="macro"),
            "roc_auc_macro": reference.roc_auc_score(truth, prediction, multi_class="ovr"),
        }
    )


def test_regression_metrics_equal_scikit_learn():
    generator = np.random.default_rng(0)
    truth = generator.normal(5, 2, 500)
    prediction = truth + generator.normal(0.1, 1, 500)
    assert Scores("regression", truth, prediction).values() == pytest.approx(
        {
            "rmse": reference.root_mean_squared_error(truth, prediction),
            "mae": reference.mean_absolute_error(truth, prediction),
            "r2": reference.r2_score(truth, prediction),
            "bias": float((prediction - truth).mean()),
        }
    )


def test_calibration_by_hand():
    """Two bins: predicted 0.25 and 0.75, observed 0.5 and 1.0: both are 0.25 off."""
    truth = np.array([0.0, 1.0, 1.0, 1.0])
    found = Scores("binary", truth, np.array([0.25, 0.25, 0.75, 0.75])).values()
    assert found["expected_calibration_error"] == pytest.approx(0.25)
    assert found["calibration_gap"] == pytest.approx(-0.25)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_prediction_that_is_no_number_makes_every_metric_undefined(task, bad: float):
    prediction = np.full((4, 2), 0.5) if task == "multiclass" else np.full(4, 0.5)
    prediction[0] = bad
    found = Scores(task, np.array([0.0, 1, 0, 1]), prediction).values()
    assert set(found) == set(METRICS[task])
    assert all(math.isnan(value) for value in found.values())


def test_one_class_has_no_ranking_and_is_left_out_of_the_intervals():
    scores = Scores("binary", np.zeros(50), np.linspace(0, 1, 50))
    assert math.isnan(scores.value("roc_auc"))
    found = intervals(scores, confidence=0.95, resamples=20, seed=1)
    assert "roc_auc" not in found and "brier" in found


def test_an_interval_covers_its_value_and_is_the_same_every_time():
    truth, prediction, _ = binary(1)
    scores = Scores("binary", truth, prediction)
    found = intervals(scores, confidence=0.95, resamples=200, seed=1)
    assert all(i.low <= i.value <= i.high for i in found.values())
    assert found == intervals(scores, confidence=0.95, resamples=200, seed=1)
    narrow = intervals(scores, confidence=0.5, resamples=200, seed=1)["roc_auc"]
    assert narrow.high - narrow.low < found["roc_auc"].high - found["roc_auc"].low


def test_weights_are_the_same_resample_as_the_indices():
    truth, prediction, _ = binary(2)
    for drawn, weights in resamples_of(len(truth), 3, seed=5):
        direct = Scores("binary", truth[drawn], prediction[drawn]).value("roc_auc")
        assert Scores("binary", truth, prediction).metrics["roc_auc"](weights) == pytest.approx(direct)


def test_own_metrics_get_intervals_and_do_not_replace_standard_ones():
    truth, prediction, _ = binary(3)
    found = intervals(
        Scores("binary", truth, prediction),
        confidence=0.95,
        resamples=50,
        seed=1,
        extra=lambda t, p: {"mean": float(p.mean()), "brier": 99.0},
    )
    assert found["mean"].low < found["mean"].value < found["mean"].high
    assert found["brier"].value < 1


def test_pairs_must_be_the_same_rows():
    truth, prediction, _ = binary(4)
    one, other = Scores("binary", truth, prediction), Scores("binary", 1 - truth, prediction)
    with pytest.raises(ValueError, match="same rows"):
        paired_differences("roc_auc", one, other, resamples=2, seed=1)


def test_labels_are_encoded_by_the_classes_of_the_model():
    def schema(*classes: str) -> ModelSchema:
        fields = {
            "model": "ab",
            "task": "binary",
            "classes": classes,
            "columns": [{"name": "a", "type": "number"}],
        }
        return ModelSchema.model_validate(fields)

    assert encode_truth(schema("0", "1"), [1, 0]).tolist() == [1, 0]
    assert encode_truth(schema("0", "1"), [1.0, 0.0]).tolist() == [1, 0]
    assert encode_truth(schema("0", "1"), [True, False]).tolist() == [1, 0]
    assert encode_truth(schema("no", "yes"), ["yes", "no"]).tolist() == [1, 0]
    with pytest.raises(InvalidInput, match="values maybe, but the model knows the classes no, yes"):
        encode_truth(schema("no", "yes"), ["yes", "maybe"])
    with pytest.raises(InvalidInput, match="values nan"):
        encode_truth(schema("0", "1"), [1.0, float("nan")])


def test_five_hundred_resamples_of_a_month_take_seconds_not_minutes():
    generator = np.random.default_rng(0)
    truth = (generator.random(27_000) < 0.3).astype(float)
    scores = Scores("binary", truth, generator.random(27_000))
    started = time.process_time()
    for _, weights in resamples_of(27_000, 500, seed=1):
        scores.metrics["roc_auc"](weights)
    assert time.process_time() - started < 3.0


def rare(rows: int = 400, positive: int = 2):
    """A use case whose metric exists only where there is a positive row."""
    generator = np.random.default_rng(0)
    truth = np.zeros(rows)
    truth[:positive] = 1
    generator.shuffle(truth)
    return truth, np.clip(truth * 0.6 + generator.random(rows) * 0.4, 0, 1)


def late_recall(truth, prediction):
    return {"late_recall": float((prediction[truth == 1] > 0.5).mean())} if (truth == 1).any() else {}


def test_a_resample_without_the_use_cases_metric_does_not_count():
    truth, prediction = rare()
    found = intervals(
        Scores("binary", truth, prediction), confidence=0.95, resamples=100, seed=1, extra=late_recall
    )
    assert found["late_recall"].low <= found["late_recall"].value == 1.0 <= found["late_recall"].high


def failing(truth, prediction):
    """As scikit-learn does where all rows are of one class."""
    if not (truth == 1).any():
        raise ValueError("Only one class is present")
    return {"late_recall": 1.0}


@pytest.mark.parametrize("extra", [late_recall, failing], ids=["absent", "raises"])
def test_a_metric_that_most_resamples_lack_is_told_and_has_no_interval(extra):
    """One positive row: a resample has exactly one of it in 37 of 100."""
    told: list[str] = []
    truth, prediction = rare(300, 1)
    found = intervals(
        Scores("binary", truth, prediction),
        confidence=0.95,
        resamples=200,
        seed=3,
        extra=lambda t, p: extra(t if (t == 1).sum() == 1 else np.zeros(len(t)), p),
        tell=told.append,
    )
    assert "late_recall" not in found
    (sentence,) = [s for s in told if s.startswith("late_recall")]
    assert "of 200 resamples only" in sentence


@pytest.mark.parametrize(("defined", "there"), [(49, False), (50, True), (100, True), (0, False)])
def test_half_of_the_resamples_are_enough(defined: int, there: bool):
    draws = [0.5] * defined + [math.nan] * (100 - defined)
    assert (interval_of(0.5, draws, 0.95) is not None) is there
    assert interval_of(math.nan, [0.5] * 100, 0.95) is None


def test_a_standard_metric_without_a_value_is_told():
    told: list[str] = []
    intervals(
        Scores("binary", np.zeros(50), np.full(50, 0.2)),
        confidence=0.95,
        resamples=20,
        seed=1,
        tell=told.append,
    )
    assert any(sentence.startswith("roc_auc is not defined on the 50 rows") for sentence in told)


@pytest.mark.parametrize("value", [None, "0.5", True, [1.0]])
def test_a_metric_of_the_use_case_that_is_no_number_is_refused(value):
    with pytest.raises(InvalidInput, match=r"own = .*no number"):
        intervals(
            Scores("binary", *rare()), confidence=0.95, resamples=5, seed=1, extra=lambda t, p: {"own": value}
        )


def test_an_evaluate_that_fails_on_the_rows_themselves_is_a_sentence():
    with pytest.raises(InvalidInput, match=r"`evaluate` failed on the 50 rows.*one class"):
        intervals(
            Scores("binary", np.zeros(50), np.full(50, 0.2)),
            confidence=0.95,
            resamples=5,
            seed=1,
            extra=failing,
        )
