"""What is served answers as the trained model does, or it is not served.

A graph that is right on the test months and wrong on what the contract admits passes every gate and answers
wrongly for as long as it is live: nobody can see it. So each kind that was seen is here, with its way out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandera.pandas import Check, Column
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import (
    BaggingRegressor,
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from mlops.errors import InvalidInput, TargetError
from mlops.serving.score import core
from mlops.spec.digest import tree_digest
from mlops.spec.schema import ModelSchema
from mlops.steps import artifact
from tests.unit.steps.toy import Toy, toy_of

N = 400


def numbers(seed: int = 0, gaps: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(N, 3)).astype("float32"), columns=list("abc"))
    return frame.mask(rng.random(frame.shape) < gaps).astype("float32") if gaps else frame


def saved(
    folder: Path, estimator: Any, rows: pd.DataFrame, nullable: Any = (), task: Any = "binary"
) -> tuple[ModelSchema, core.Scorer]:
    """The artifact of a fitted estimator, loaded as a server loads it."""
    schema = artifact.save(folder / "model", toy_of(task, rows, nullable), estimator, rows)
    return schema, core.load(folder / "model", digest=tree_digest(folder / "model"))


def trained(estimator: Any, rows: pd.DataFrame) -> np.ndarray:
    answers = (
        estimator.predict_proba(rows)[:, 1]
        if hasattr(estimator, "predict_proba")
        else estimator.predict(rows)
    )
    return np.asarray(answers, dtype=np.float64)


LABEL: dict[str, Callable[[pd.DataFrame], Any]] = {
    "class": lambda frame: (frame.a.fillna(0) + frame.b.fillna(0) / 2 > 0).astype(int),
    "value": lambda frame: 3 * frame.a.fillna(0) + frame.b.fillna(0),
    "positive": lambda frame: np.abs(3 * frame.a.fillna(0) + frame.b.fillna(0)) + 1,
}


@pytest.mark.parametrize("gaps", [0.0, 0.2], ids=["null-in-production-only", "null-in-training"])
@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(10, max_depth=4, random_state=0),
        ExtraTreesClassifier(10, max_depth=4, random_state=0),
        RandomForestRegressor(10, max_depth=4, random_state=0),
        BaggingRegressor(DecisionTreeRegressor(max_depth=3), n_estimators=5, random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_forests_on_nullable_columns_answer_as_trained(tmp_path: Path, estimator: Any, gaps: float) -> None:
    rows, later = numbers(gaps=gaps), numbers(1, gaps=0.3)
    binary = hasattr(estimator, "predict_proba")
    estimator.fit(rows, LABEL["class" if binary else "value"](rows))
    schema, scorer = saved(tmp_path, estimator, rows, "abc", "binary" if binary else "regression")
    assert schema.onnx is None
    assert "null in" in schema.no_graph or "values of training" in schema.no_graph
    np.testing.assert_allclose(scorer.predict_frame(later), trained(estimator, later), rtol=0, atol=1e-9)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_a_lost_link_function_is_seen(tmp_path: Path, loss: str) -> None:
    rows = numbers()
    model = HistGradientBoostingRegressor(loss=loss, max_iter=10).fit(rows, LABEL["positive"](rows))
    schema, scorer = saved(tmp_path, model, rows, task="regression")
    assert schema.onnx is None
    np.testing.assert_allclose(scorer.predict_frame(rows), model.predict(rows), rtol=1e-9)


def test_an_imputer_by_neighbours_answers_as_trained(tmp_path: Path) -> None:
    rows = numbers(gaps=0.2)
    model = make_pipeline(KNNImputer(), LogisticRegression()).fit(rows, LABEL["class"](rows))
    _, scorer = saved(tmp_path, model, rows, "abc")
    np.testing.assert_allclose(scorer.predict_frame(rows), trained(model, rows), atol=1e-9)


@pytest.mark.parametrize("kind", ["seconds", "ids", "fractions"])
def test_digits_that_float32_loses_are_seen(tmp_path: Path, kind: str) -> None:
    """Few rows lie beside a split: halving the gap between two answers finds the number that no row has."""
    rng = np.random.default_rng(0)
    values = {
        "seconds": 1.7e9 + rng.integers(0, 3_000_000, N).astype("float64"),
        "ids": rng.integers(2**24, 2**24 + 500, N),
        "fractions": rng.normal(size=N),
    }[kind]
    rows = pd.DataFrame({"t": values})
    order = rows.t.rank(method="dense").astype(int)
    model = HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=2).fit(rows, order // 7 % 2)
    schema, scorer = saved(tmp_path, model, rows)
    assert schema.onnx is None
    probe = rows.sample(50, random_state=0)
    np.testing.assert_array_equal(scorer.predict_frame(probe), trained(model, probe))


def test_what_float32_holds_keeps_its_graph(tmp_path: Path) -> None:
    rows = numbers(gaps=0.1).assign(n=np.random.default_rng(0).integers(0, 50, N))
    model = HistGradientBoostingClassifier(max_iter=20).fit(rows, LABEL["class"](rows))
    schema, scorer = saved(tmp_path, model, rows, "abc")
    assert schema.onnx is not None and schema.no_graph == ""
    assert isinstance(scorer, core.OnnxScorer)


@pytest.mark.parametrize("seen", [["a", "b", "", None], ["a", "b", None]], ids=["both", "null-in-training"])
def test_empty_text_is_not_null(tmp_path: Path, seen: list[str | None]) -> None:
    rng = np.random.default_rng(0)
    text = pd.Series(rng.choice(np.array(seen, dtype=object), N))
    rows = pd.DataFrame({"g": text, "x": rng.normal(size=N).astype("float32")})
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    model = make_pipeline(
        ColumnTransformer([("c", one_hot, ["g"]), ("n", "passthrough", ["x"])]), LogisticRegression()
    ).fit(rows, (text.isna() | (rows.x > 1)).astype(int))
    schema, scorer = saved(tmp_path, model, rows, ["g"])
    assert schema.onnx is None
    for value in ("", None, "a", "new"):
        later = rows.assign(g=pd.Series([value] * N, dtype=object))
        np.testing.assert_allclose(scorer.predict_frame(later), trained(model, later), atol=1e-9)
        row = (value, 0.5)
        alone = pd.DataFrame({"g": pd.Series([value], dtype=object), "x": np.float32([0.5])})
        np.testing.assert_allclose(scorer.predict_rows([row]), trained(model, alone), atol=1e-9)


@pytest.mark.parametrize("lowercase", [True, False])
def test_text_is_served_as_trained(tmp_path: Path, lowercase: bool) -> None:
    words = ["red", "Green", "don't", "naïve", "x1", "a", "Blue-ish"]
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"text": [" ".join(rng.choice(words, 6)) for _ in range(N)]}, dtype=object)
    model = make_pipeline(
        make_column_transformer((TfidfVectorizer(lowercase=lowercase), "text")), LogisticRegression()
    ).fit(rows, rows.text.str.contains("naïve").astype(int))
    schema, scorer = saved(tmp_path, model, rows)
    assert schema.onnx is None
    later = pd.DataFrame(
        {"text": ["", "RED red", "İstanbul", "x" * 5000, "don't Blue-ish naïve"]}, dtype=object
    )
    np.testing.assert_allclose(scorer.predict_frame(later), trained(model, later), atol=1e-9)
    np.testing.assert_allclose(
        scorer.predict_rows([(t,) for t in later.text]), trained(model, later), atol=1e-9
    )


# --- whole numbers and truth values that may be absent ------------------------------------------------


def _nullable(kind: str) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=N).astype("float32")
    made = {
        "Int64": pd.array(rng.integers(0, 5, N), dtype="Int64"),
        "boolean": pd.array(rng.random(N) < 0.5, dtype="boolean"),
        "int32": rng.integers(0, 5, N).astype("int32"),
        "bool": rng.random(N) < 0.5,
    }[kind]
    frame = pd.DataFrame({"k": made, "x": x})
    if kind in ("Int64", "boolean"):
        frame.loc[::5, "k"] = pd.NA
    return frame


@pytest.mark.parametrize("kind", ["Int64", "boolean", "int32", "bool"])
def test_a_number_that_may_be_absent_is_asked_by_every_way_in(tmp_path: Path, kind: str) -> None:
    import mlflow.pyfunc
    import pyarrow as pa

    rows = _nullable(kind)
    model = HistGradientBoostingClassifier(max_iter=5).fit(rows, (rows.x > 0).astype(int))
    schema, scorer = saved(tmp_path, model, rows, ["k"])
    truth = trained(model, rows)
    library = core.PyfuncScorer(schema, tmp_path / "model")
    for found in (
        scorer.predict_frame(rows),
        scorer.predict_frame(pa.Table.from_pandas(rows)),
        library.predict_frame(rows),
        mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(rows.astype({"k": "float64"}))[:, 1],
    ):
        np.testing.assert_allclose(found, truth, atol=1e-6)
    absent = rows.assign(k=pd.Series([np.nan] * N))
    np.testing.assert_allclose(
        scorer.predict_rows([(None, float(x)) for x in rows.x]), trained(model, absent), atol=1e-6
    )


# --- scikit-learn's own parts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        SimpleImputer(),
        KBinsDiscretizer(3),
        SplineTransformer(),
        make_column_transformer((StandardScaler(), make_column_selector(dtype_include=np.number))),
        make_column_transformer(
            (StandardScaler(), make_column_selector(dtype_include=object)), remainder="passthrough"
        ),
        FunctionTransformer(np.nan_to_num),
    ],
    ids=lambda p: type(p).__name__,
)
def test_parts_of_scikit_learn_are_saved(tmp_path: Path, part: Any) -> None:
    rows = numbers()
    model = make_pipeline(part, LogisticRegression()).fit(rows, LABEL["class"](rows))
    _, scorer = saved(tmp_path, model, rows)
    np.testing.assert_allclose(scorer.predict_frame(rows), trained(model, rows), atol=1e-6)


@pytest.mark.parametrize(
    "keeps",
    [KNeighborsClassifier(3), CalibratedClassifierCV(SVC(), cv=3, ensemble=False)],
    ids=lambda k: str(k)[:9],
)
def test_sparse_rows_that_a_model_keeps_are_saved(tmp_path: Path, keeps: Any) -> None:
    """Words before neighbours or a kernel: what is kept of training is a sparse table."""
    words = np.random.default_rng(0).choice([f"w{i}" for i in range(60)], (N, 4))
    rows = pd.DataFrame({"t": pd.Series([" ".join(row) for row in words], dtype=object)})
    truth = rows["t"].str.contains("w1").to_numpy().astype(int)
    model = make_pipeline(make_column_transformer((TfidfVectorizer(), "t"), sparse_threshold=1.0), keeps)
    model.fit(rows, truth)
    _, scorer = saved(tmp_path, model, rows)
    np.testing.assert_allclose(scorer.predict_frame(rows), trained(model, rows), atol=1e-6)


def test_categories_of_boosting_are_saved(tmp_path: Path) -> None:
    rows = numbers().assign(k=np.random.default_rng(0).integers(0, 4, N).astype("float32"))
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features=[3]).fit(
        rows, LABEL["class"](rows)
    )
    _, scorer = saved(tmp_path, model, rows)
    np.testing.assert_allclose(scorer.predict_frame(rows), trained(model, rows), atol=1e-6)


def test_a_search_is_served_by_what_it_found(tmp_path: Path) -> None:
    rows = numbers()
    model = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, scoring="roc_auc", cv=2)
    model.fit(rows, LABEL["class"](rows))
    _, scorer = saved(tmp_path, model, rows)
    np.testing.assert_allclose(scorer.predict_frame(rows), trained(model, rows), atol=1e-6)


def test_a_type_of_somebody_else_is_refused_unless_the_use_case_trusts_it(tmp_path: Path) -> None:
    rows = numbers()
    model = Mean().fit(rows, rows.a)
    with pytest.raises(InvalidInput, match=r"test_fidelity\.Mean, for which nobody vouches"):
        artifact.save(tmp_path / "refused", toy_of("regression", rows), model, rows)
    trusting = toy_of("regression", rows)
    trusting.trusted_types = (f"{__name__}.Mean",)  # type: ignore[attr-defined]
    folder = tmp_path / "trusted"
    schema = artifact.save(folder, trusting, model, rows)
    assert schema.library is not None and schema.library.trusted == [f"{__name__}.Mean"]
    np.testing.assert_allclose(
        core.load(folder, digest=tree_digest(folder)).predict_frame(rows), rows.a.mean()
    )
    with pytest.raises(TargetError, match="nobody vouches"):
        core.load(folder)


class Mean(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """No converter and no skops knows it."""

    def fit(self, inputs: Any, truth: Any) -> Mean:
        self.mean_ = float(np.mean(truth))
        return self

    def predict(self, inputs: Any) -> np.ndarray:
        return np.full(len(inputs), self.mean_)


class Centred(Mean):
    """Answers by the other rows of the call."""

    def predict(self, inputs: Any) -> np.ndarray:
        values = np.asarray(inputs, dtype=np.float64)[:, 0]
        return values - values.mean()


def test_an_answer_that_depends_on_the_other_rows_is_refused(tmp_path: Path) -> None:
    """Requests of strangers share a call: their answers must not depend on each other."""
    rows = numbers()
    own = toy_of("regression", rows)
    own.trusted_types = (f"{__name__}.Centred",)  # type: ignore[attr-defined]
    with pytest.raises(InvalidInput, match="who else asks"):
        artifact.save(tmp_path / "model", own, Centred().fit(rows, rows.a), rows)


# --- the model refuses what the contract admits --------------------------------------------------------


def test_null_that_the_model_refuses_ends_training_with_the_way_out(tmp_path: Path) -> None:
    rows = numbers()
    model = LogisticRegression().fit(rows, LABEL["class"](rows))
    with pytest.raises(InvalidInput, match=r"null.*NaN.*nullable=False"):
        artifact.save(tmp_path / "model", toy_of("binary", rows, ["b"]), model, rows)
    assert not (tmp_path / "model").exists(), "nothing that cannot answer is left behind"


@pytest.mark.parametrize("encoder", [OneHotEncoder(sparse_output=False), OrdinalEncoder()])
def test_an_unknown_category_that_the_model_refuses_is_refused_to_the_client(
    tmp_path: Path, encoder: Any
) -> None:
    rows = numbers().assign(g=np.random.default_rng(0).choice(["x", "y"], N).astype(object))
    columns = make_column_transformer((encoder, ["g"]), remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression()).fit(rows, LABEL["class"](rows))
    schema, _ = saved(tmp_path, model, rows)
    column = schema.columns[-1]
    assert (column.unknown_category, column.categories) == ("refuse", ["x", "y"])
    stated = dict.fromkeys("abc", "float32") | {"g": Column(str, metadata={"unknown_category": "accept"})}
    with pytest.raises(InvalidInput, match="handle_unknown"):
        artifact.save(tmp_path / "stated", Toy("binary", stated), model, rows)


def test_an_open_range_ends_where_the_model_does(tmp_path: Path) -> None:
    """exp() of a large number is infinite: a client hears of the range, not of a failure."""
    rows = numbers()
    model = PoissonRegressor().fit(rows, LABEL["positive"](rows))
    schema, scorer = saved(tmp_path, model, rows, task="regression")
    assert all(c.maximum is not None and c.minimum is not None for c in schema.columns[:1])
    ends = pd.DataFrame({c.name: np.float32([c.minimum or 0, c.maximum or 0]) for c in schema.columns})
    assert np.isfinite(scorer.predict_frame(ends)).all()


def test_a_stated_range_beyond_the_model_ends_training(tmp_path: Path) -> None:
    rows = numbers().abs()
    columns = {c: Column("float32", Check.in_range(0, 1e30)) for c in "abc"}
    model = PoissonRegressor().fit(rows, LABEL["positive"](rows))
    with pytest.raises(InvalidInput, match="narrow the contract"):
        artifact.save(tmp_path / "model", Toy("regression", columns), model, rows)


def test_numbers_alone_are_asked_as_an_array(tmp_path: Path) -> None:
    rows = numbers()
    model = make_pipeline(SplineTransformer(), LinearRegression()).fit(rows, LABEL["value"](rows))
    schema, scorer = saved(tmp_path, model, rows, task="regression")
    assert schema.library is not None and schema.library.arrays and scorer.steady
    row = tuple(float(v) for v in rows.iloc[7])
    np.testing.assert_allclose(scorer.predict_rows([row]), model.predict(rows.iloc[7:8]), rtol=1e-6)


def test_an_ask_for_names_is_answered_with_names(tmp_path: Path) -> None:
    rows = numbers()
    columns = ColumnTransformer([("s", SplineTransformer(), ["c", "a"])], remainder="passthrough")
    model = make_pipeline(columns, LinearRegression()).fit(rows, LABEL["value"](rows))
    schema, scorer = saved(tmp_path, model, rows, task="regression")
    assert schema.library is not None and not schema.library.arrays and not scorer.steady
    np.testing.assert_allclose(scorer.predict_frame(rows), model.predict(rows), rtol=1e-9)
