"""Any scikit-learn pipeline of text and numbers becomes one graph that answers as the pipeline does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from mlops.serving.score.core import load
from mlops.spec.schema import FILE, Column, ModelSchema, Task
from mlops.steps.export import NoGraphError, export

COLUMNS = [
    Column(name="size", type="number", nullable=True),
    Column(name="colour", type="string"),
    Column(name="count", type="integer"),
    Column(name="shape", type="string", nullable=True),
]


@pytest.fixture
def frame() -> pd.DataFrame:
    """Text and numbers in turns, so that a mix-up of positions shows."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": rng.normal(size=400).astype(np.float32),
            "colour": rng.choice(["red", "green", "blue"], 400),
            "count": rng.integers(0, 9, 400),
            "shape": rng.choice(["round", "square"], 400),
        }
    )


def _codes() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def _served(model: Any, task: Task, columns: list[Column], folder: Path, rows: pd.DataFrame) -> np.ndarray:
    graph = export(model, columns, task, folder)
    classes = [str(c) for c in getattr(model, "classes_", [])]
    schema = ModelSchema(model="toy", task=task, columns=columns, classes=classes, onnx=graph)
    (folder / FILE).write_text(schema.model_dump_json())
    return np.asarray(load(folder).predict_frame(rows))


@pytest.mark.parametrize(
    "selector",
    [["colour", "shape"], [1, 3], [False, True, False, True], make_column_selector(dtype_include=object)],
    ids=["names", "positions", "mask", "callable"],
)
def test_binary_with_every_way_to_select_columns(tmp_path: Path, frame: pd.DataFrame, selector: Any) -> None:
    columns = ColumnTransformer([("text", _codes(), selector)], remainder="passthrough")
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20))
    model.fit(frame, (frame["size"] + (frame["colour"] == "red") > 0.5).to_numpy())
    expected = model.predict_proba(frame)[:, 1]
    assert np.abs(_served(model, "binary", COLUMNS, tmp_path, frame) - expected).max() < 1e-6
    assert np.ptp(expected) > 0.5


def test_multiclass_with_scaling_and_one_hot(tmp_path: Path, frame: pd.DataFrame) -> None:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    text = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer([("n", numbers, ["size", "count"]), ("t", text, ["colour", "shape"])])
    model = make_pipeline(columns, LogisticRegression()).fit(frame, frame["colour"] + frame["shape"])
    odd = frame.assign(colour=frame["colour"].where(frame["count"] > 3, "violet"))
    odd.loc[:9, "size"] = np.nan
    expected = model.predict_proba(odd)
    assert np.abs(_served(model, "multiclass", COLUMNS, tmp_path, odd) - expected).max() < 1e-5
    assert expected.shape == (400, 6)


def test_regression(tmp_path: Path, frame: pd.DataFrame) -> None:
    columns = ColumnTransformer([("t", _codes(), ["shape"]), ("n", "passthrough", slice("size", "size"))])
    model = make_pipeline(columns, HistGradientBoostingRegressor(max_iter=30))
    model.fit(frame, frame["size"] * 3 + (frame["shape"] == "round"))
    expected = model.predict(frame)
    assert np.abs(_served(model, "regression", COLUMNS, tmp_path, frame) - expected).max() < 1e-5
    assert np.ptp(expected) > 3


def test_numbers_only_need_no_column_transformer(tmp_path: Path, frame: pd.DataFrame) -> None:
    numbers, columns = frame[["size", "count"]], [COLUMNS[0], COLUMNS[2]]
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(
        numbers, frame["count"] * 2 - frame["size"]
    )
    graph = export(model, columns, "regression", tmp_path)
    assert (graph.strings, graph.floats) == (None, "floats")
    assert (
        np.abs(_served(model, "regression", columns, tmp_path, numbers) - model.predict(numbers)).max() < 1e-4
    )


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=1),
        GradientBoostingRegressor(n_estimators=5),
        RandomForestRegressor(n_estimators=5),
        DecisionTreeRegressor(),
        VotingRegressor(
            [
                ("boosting", HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=1)),
                ("line", LinearRegression()),
            ]
        ),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_split_between_neighbouring_numbers_stays_between_them(tmp_path: Path, model: Any) -> None:
    """Values one float32 apart: a threshold between them that is rounded up joins what it parted."""
    base = np.repeat(np.float32(101.1) + np.arange(40, dtype=np.float32), 8)
    apart = np.where(np.arange(len(base)) % 2, np.nextafter(base, np.float32(np.inf)), base)
    numbers = pd.DataFrame({"size": apart.astype(np.float32)})
    model.fit(numbers, np.where(np.arange(len(base)) % 2, 50.0, -50.0))
    expected = model.predict(numbers)
    assert np.ptp(expected) > 10, "the model must have learned to tell them apart"
    answered = _served(model, "regression", COLUMNS[:1], tmp_path, numbers)
    assert np.abs(answered - expected).max() < 1e-3


def _one_hot() -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore", sparse_output=False)


@pytest.mark.parametrize("encoder", [_codes, _one_hot])
@pytest.mark.parametrize("seen", [True, False], ids=["null-in-training", "null-only-later"])
def test_null_text_and_unknown_text_agree(
    tmp_path: Path, frame: pd.DataFrame, encoder: Callable[[], Any], seen: bool
) -> None:
    odd = frame.astype({"shape": object})
    odd.loc[:99, "shape"] = None
    odd.loc[50:149, "colour"] = "violet"
    columns = ColumnTransformer([("t", encoder(), ["colour", "shape"])], remainder="passthrough")
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5))
    rows = odd if seen else frame
    model.fit(rows, (rows["size"] + rows["shape"].isna() + (rows["colour"] == "red") > 0.5).to_numpy())
    expected = model.predict_proba(odd)[:, 1]
    assert np.abs(_served(model, "binary", COLUMNS, tmp_path, odd) - expected).max() < 1e-6


def test_nan_for_null_text_gives_no_graph(tmp_path: Path, frame: pd.DataFrame) -> None:
    """The graph would look for the text "nan", and no test of parity without nulls would see it."""
    odd = frame.astype({"shape": object})
    odd.loc[:9, "shape"] = np.nan
    columns = ColumnTransformer([("t", _codes(), ["colour", "shape"])], remainder="passthrough")
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=5)).fit(odd, odd["count"] > 4)
    with pytest.raises(NoGraphError, match="null text must be None"):
        export(model, COLUMNS, "binary", tmp_path)


def test_the_model_itself_is_not_changed(tmp_path: Path, frame: pd.DataFrame) -> None:
    columns = ColumnTransformer([("t", _codes(), ["colour", "shape"])], remainder="passthrough")
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=5))
    model.fit(frame, (frame["size"] > 0).to_numpy())
    before = model.predict_proba(frame)
    export(model, COLUMNS, "binary", tmp_path)
    np.testing.assert_array_equal(model.predict_proba(frame), before)


class Coin(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that no converter knows."""

    def fit(self, inputs: Any, truth: Any) -> Coin:
        self.classes_ = np.unique(truth)
        return self

    def predict_proba(self, inputs: Any) -> np.ndarray:
        return np.full((len(inputs), 2), 0.5)


def test_a_model_that_cannot_be_converted_gives_no_graph_and_leaves_no_file(
    tmp_path: Path, frame: pd.DataFrame
) -> None:
    model = Pipeline([("coin", Coin())]).fit(frame[["size", "count"]], frame["size"] > 0)
    with pytest.raises(NoGraphError, match="cannot be exported"):
        export(model, [COLUMNS[0], COLUMNS[2]], "binary", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_text_that_nothing_separates_from_numbers_gives_no_graph(tmp_path: Path, frame: pd.DataFrame) -> None:
    model = make_pipeline(_codes(), LogisticRegression(max_iter=2000)).fit(frame, frame["size"] > 0)
    with pytest.raises(NoGraphError, match="must start with a ColumnTransformer"):
        export(model, COLUMNS, "binary", tmp_path)


def test_a_graph_that_needs_a_locale_is_none(tmp_path: Path, frame: pd.DataFrame) -> None:
    """ONNX Runtime lowers text by en_US.UTF-8: such a graph loads here and not in a slim image, or not "
    "even here."""
    words = ColumnTransformer([("words", TfidfVectorizer(), "colour")])
    model = make_pipeline(words, LogisticRegression()).fit(frame[["colour"]], frame["size"] > 0)
    with pytest.raises(NoGraphError, match="locale"):
        export(model, [COLUMNS[1]], "binary", tmp_path)
