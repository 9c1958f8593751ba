"""What cannot be served is refused before it is fitted: hours of training must not end in a traceback."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from mlops.errors import InvalidInput
from mlops.steps.estimators import refusal, usable

PAIR = [("a", LogisticRegression()), ("b", LogisticRegression())]


@pytest.mark.parametrize(
    ("estimator", "way_out"),
    [
        (LinearSVC(), "CalibratedClassifierCV"),
        (make_pipeline(StandardScaler(), LinearSVC()), "CalibratedClassifierCV"),
        (GridSearchCV(make_pipeline(StandardScaler(), RidgeClassifier()), {}), "LogisticRegression"),
        (SGDClassifier(), "log_loss"),
        (Perceptron(), "log_loss"),
        (SVC(), "CalibratedClassifierCV"),
        (VotingClassifier(PAIR, voting="hard"), "soft"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_classifier_without_probabilities_is_refused_with_the_way_out(estimator: Any, way_out: str) -> None:
    with pytest.raises(InvalidInput, match=way_out):
        usable(estimator, "binary")


@pytest.mark.parametrize(
    "estimator",
    [
        CalibratedClassifierCV(LinearSVC()),
        make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss")),
        StackingClassifier(PAIR),
        VotingClassifier(PAIR, voting="soft"),
        GridSearchCV(LogisticRegression(), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_ways_out_are_taken(estimator: Any) -> None:
    assert usable(estimator, "multiclass") is estimator


def test_a_regression_needs_no_probabilities() -> None:
    model = make_pipeline(StandardScaler(), LinearSVC())
    assert usable(model, "regression") is model


def test_what_cannot_be_fitted_is_no_estimator() -> None:
    with pytest.raises(InvalidInput, match="no fit and no predict"):
        usable(object(), "regression")


def test_what_a_library_refuses_is_said_with_the_way_out_and_a_bug_keeps_its_traceback() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    rows = pd.DataFrame({"city": ["a", "b"] * 20, "size": range(40)}).astype({"city": object})
    with pytest.raises(ValueError, match="bad pandas dtypes") as caught:
        lightgbm.LGBMClassifier(verbose=-1, n_jobs=1).fit(rows, [0, 1] * 20)
    assert "Text is in city: let `build` begin with" in str(refusal(caught.value, rows))
    numbers = rows[["size"]]
    with pytest.raises(lightgbm.basic.LightGBMError) as own:
        lightgbm.LGBMClassifier(verbose=-1, n_jobs=1, num_leaves=-3).fit(numbers, [0, 1] * 20)
    assert "num_leaves" in str(refusal(own.value, numbers))
    assert refusal(KeyError("typo"), numbers) is None
