"""What cannot be served is refused before it is fitted: hours of training must not end in a traceback."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import IsolationForest, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM

from mlops.errors import InvalidInput
from mlops.steps.estimators import fit, refusal, usable
from mlops.usecase import beside
from tests.unit.steps.toy import Toy

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
        (make_pipeline(StandardScaler(), OneClassSVM()), "class of your own.*of its scores"),
        (IsolationForest(), "class of your own.*of its scores"),
        (KMeans(2), "task = 'custom'"),
        (Ridge(), "a classifier, or say task = 'regression'"),
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


def _gaps() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": pd.array([1, None] * 20, dtype="Int64"),
            "gap": [0.5, np.nan] * 20,
            "city": pd.Series(["a", "b"] * 20, dtype=object),
            "opened": pd.Series(pd.Timestamp("2024-01-01"), index=range(40)),
            "size": range(40),
        }
    )


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (["age", "size"], "Null of pandas' own types is in age: let `build` begin with SimpleImputer"),
        (["gap", "size"], "Null is in gap: let `build` begin with what fills it"),
        (["opened", "size"], "Moments are in opened: let `build` begin with what makes numbers of them"),
        (["city", "size"], "Text is in city: let `build` begin with what makes numbers of it"),
    ],
)
def test_the_way_out_is_that_of_the_columns_which_the_library_means(columns: list[str], says: str) -> None:
    rows = _gaps()[columns]
    model = make_pipeline(make_column_transformer(("passthrough", columns)), Ridge())
    with pytest.raises((TypeError, ValueError)) as caught:
        model.fit(rows, list(range(40)))
    assert says in str(refusal(caught.value, rows)), caught.value


class Weighed(Toy):
    weight = "exposure"


def _exposed() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"a": rng.normal(size=80), "exposure": rng.integers(1, 5, 80), "y": rng.normal(size=80) + 5}
    )


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Ridge())),
        GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [1.0]}, cv=2),
        TransformedTargetRegressor(
            make_pipeline(StandardScaler(), Ridge()), func=np.log, inverse_func=np.exp
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rows_count_for_as_much_as_the_use_case_says(estimator: Any) -> None:
    """A row of weight 3 is three rows. What comes before the end (a scaler) sees it once."""
    usecase, rows = Weighed("regression", {"a": "float64"}), _exposed()
    fit(usecase, estimator, rows[["a"]], rows)
    truth = rows["y"] if not isinstance(estimator, TransformedTargetRegressor) else np.log(rows["y"])
    scaled = rows[["a"]]
    if type(estimator) is not Ridge:
        scaled = (scaled - scaled.mean()) / scaled.std(ddof=0)
    again = np.repeat(np.arange(len(rows)), rows["exposure"])
    plain = Ridge().fit(scaled.to_numpy()[again], truth.to_numpy()[again]).predict(scaled.to_numpy())
    if isinstance(estimator, TransformedTargetRegressor):
        plain = np.exp(plain)
    np.testing.assert_allclose(estimator.predict(rows[["a"]]), plain, rtol=1e-6)
    assert beside(usecase) == ("y", "t", "exposure")


@pytest.mark.parametrize(
    ("estimator", "change", "says"),
    [
        (KNeighborsRegressor(), {}, "KNeighborsRegressor takes no sample_weight"),
        (Ridge(), {"exposure": -1}, "'exposure' weighs the rows"),
        (Ridge(), {"exposure": 0}, "not 0 in every row"),
        (Ridge(), {"exposure": np.nan}, "finite numbers"),
    ],
    ids=["no argument", "negative", "nothing", "null"],
)
def test_weights_that_cannot_be_kept_are_refused(estimator: Any, change: dict[str, Any], says: str) -> None:
    rows = _exposed().assign(**change)
    with pytest.raises(InvalidInput, match=says):
        fit(Weighed("regression", {"a": "float64"}), estimator, rows[["a"]], rows)
