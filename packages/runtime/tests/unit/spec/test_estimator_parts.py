"""What is inside an estimator: scikit-learn's own containers count, names that an own class chose do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor, VotingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from mlops.pretrained import used
from mlops.serving.formats import format_of
from mlops.spec import parts

ROWS = np.arange(40.0).reshape(20, 2)
LABELS = np.arange(20) % 2
NAMES = (
    *("steps", "transformers_", "transformer_list", "estimator", "estimator_", "best_estimator_"),
    *("estimators_", "calibrated_classifiers_", "pretrained_"),
)


class Own(ClassifierMixin, BaseEstimator):
    """A model whose attribute `name` is whatever its author meant by it."""

    def __init__(self, name: str = "steps", value: Any = None) -> None:
        self.name, self.value = name, value
        setattr(self, name, value)

    def fit(self, rows: Any, labels: Any) -> Own:
        return self

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))


class Longer(Pipeline):
    """A pipeline of somebody's library."""


@pytest.mark.parametrize(
    "value", [10, 0.5, "ten", ["a", "b"], [1, 2], {"a": 1}, ("a",), None, True, b"x", int]
)
@pytest.mark.parametrize("name", NAMES)
def test_what_an_own_class_calls_its_things_is_its_own_affair(name: str, value: Any) -> None:
    for model in (Own(name, value), make_pipeline(StandardScaler(), Own(name, value))):
        assert parts.final(model) is (model if isinstance(model, Own) else model.steps[-1][1])
        assert [type(part).__name__ for part in parts.inside(model)] in ([], ["StandardScaler", "Own"])
        assert used(model) == {}
        assert format_of(model)[0] == "sklearn"


def test_the_steps_of_any_pipeline_are_found() -> None:
    for kind in (Pipeline, Longer):
        model = kind([("a", StandardScaler()), ("b", LinearRegression())])
        assert [type(step) for step in parts.stages(model)] == [StandardScaler, LinearRegression]
        assert isinstance(parts.final(model), LinearRegression)
    assert parts.stages(LinearRegression()) == []


@pytest.mark.parametrize(
    ("model", "held"),
    [
        (ColumnTransformer([("a", StandardScaler(), [0]), ("b", "drop", [1])]), {"StandardScaler"}),
        (FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]), {"StandardScaler", "MinMaxScaler"}),
        (RandomForestRegressor(3), {"DecisionTreeRegressor"}),
        (GradientBoostingRegressor(n_estimators=3), {"DecisionTreeRegressor"}),
        (VotingRegressor([("a", LinearRegression())]), {"LinearRegression"}),
        (OneVsRestClassifier(LogisticRegression()), {"LogisticRegression"}),
        (CalibratedClassifierCV(LogisticRegression(), cv=2), {"LogisticRegression", "_CalibratedClassifier"}),
        (GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2), {"LogisticRegression"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_scikit_learns_own_containers_hold_is_found(model: Any, held: set[str]) -> None:
    model.fit(ROWS, LABELS)
    assert held <= {type(part).__name__ for part in parts.inside(model)}
