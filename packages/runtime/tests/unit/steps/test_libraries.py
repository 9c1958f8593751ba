"""LightGBM, XGBoost and CatBoost: saved in their own formats, answered for by a graph or by themselves.

A boosted model that answers almost as it was trained is worse than one that is refused: nobody looks again.
"""

from __future__ import annotations

import json
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from mlops.errors import InvalidInput
from mlops.serving.formats import find, open_model
from mlops.serving.formats.elsewhere import code_in
from mlops.serving.score import core
from mlops.serving.score.core import OnnxScorer
from mlops.serving.score.library import LibraryScorer
from mlops.spec.digest import tree_digest
from mlops.spec.schema import ModelSchema, Task
from mlops.steps import artifact
from tests.unit.steps.toy import toy_of

lightgbm = pytest.importorskip("lightgbm", reason="the group `lightgbm` is not installed")
xgboost = pytest.importorskip("xgboost", reason="the group `xgboost` is not installed")
catboost = pytest.importorskip("catboost", reason="the group `catboost` is not installed")

LGB = {"n_estimators": 20, "num_leaves": 7, "min_child_samples": 5, "verbose": -1, "n_jobs": 1}
XGB = {"n_estimators": 20, "max_depth": 3, "n_jobs": 1}
CAT = {"iterations": 20, "depth": 3, "verbose": False, "allow_writing_files": False, "thread_count": 1}
Make = Callable[..., Any]

CLASSIFIERS: dict[str, Make] = {
    "lightgbm": lambda **more: lightgbm.LGBMClassifier(**LGB, **more),
    "xgboost": lambda **more: xgboost.XGBClassifier(**XGB, **more),
    "catboost": lambda **more: catboost.CatBoostClassifier(**CAT, **more),
}
REGRESSORS: dict[str, Make] = {
    "lightgbm": lambda **more: lightgbm.LGBMRegressor(**LGB, **more),
    "xgboost": lambda **more: xgboost.XGBRegressor(**XGB, **more),
    "catboost": lambda **more: catboost.CatBoostRegressor(**CAT, **more),
}
LIBRARIES = sorted(CLASSIFIERS)
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


def numbers(kind: str = "float32", gaps: float = 0.1, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(300, 3)) * 10, columns=list("abc"))
    return frame.mask(rng.random(frame.shape) < gaps).astype(kind) if gaps else frame.astype(kind)


def label(rows: pd.DataFrame, task: Task) -> pd.Series[Any]:
    value = rows["a"].fillna(0) + rows["b"].fillna(0) / 2
    if task == "regression":
        return np.exp(value / 20)
    return pd.cut(value, [-np.inf, *([0] if task == "binary" else [-4, 4]), np.inf], labels=False)


def saved(
    folder: Path, estimator: Any, rows: pd.DataFrame, task: Task
) -> tuple[ModelSchema, core.Scorer, LibraryScorer]:
    """The artifact of a fitted estimator: what a server loads, and what its own library answers."""
    nullable = [c for c in rows if rows[c].isna().any()]
    schema = artifact.save(folder / "model", toy_of(task, rows, nullable), estimator, rows)
    served = core.load(folder / "model", digest=tree_digest(folder / "model"))
    return schema, served, LibraryScorer.load(schema, folder / "model")


def parsed(rows: pd.DataFrame) -> list[core.Row]:
    """As a request's parser hands them on."""
    return list(rows.astype(object).where(rows.notna(), None).itertuples(index=False, name=None))


def expected(estimator: Any, rows: pd.DataFrame, task: Task) -> np.ndarray:
    if task == "regression":
        return np.asarray(estimator.predict(rows), dtype=np.float64)
    found = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
    return found[:, 1] if task == "binary" else found


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_one_row_many_rows_and_a_table_are_answered_as_trained(
    library: str, task: Task, tmp_path: Path
) -> None:
    rows, later = numbers(), numbers(seed=1)
    made = (REGRESSORS if task == "regression" else CLASSIFIERS)[library]()
    made.fit(rows, label(rows, task))
    schema, served, own = saved(tmp_path, made, rows, task)
    assert schema.library is not None and schema.library.format == library
    assert isinstance(served, OnnxScorer), schema.no_graph
    truth = expected(made, later, task)
    as_parsed = parsed(later)
    for scorer in (served, own):
        np.testing.assert_allclose(scorer.predict_frame(later), truth, rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(scorer.predict_rows(as_parsed), truth, rtol=2e-6, atol=1e-6)
        alone = np.concatenate([scorer.predict_rows([row]) for row in as_parsed[:9]])
        np.testing.assert_allclose(alone, truth[:9], rtol=2e-6, atol=1e-6)
    assert schema.library.arrays, "numbers alone need no table"


@pytest.mark.parametrize("library", LIBRARIES)
def test_nothing_in_the_folder_runs_when_it_is_loaded(library: str, tmp_path: Path) -> None:
    rows = numbers()
    made = CLASSIFIERS[library]().fit(rows, label(rows, "binary"))
    saved(tmp_path, made, rows, "binary")
    folder = tmp_path / "model"
    described = yaml.safe_load((folder / "MLmodel").read_text())
    assert code_in(folder, described) == []
    assert list(folder.rglob("*.pkl")) == []
    # Without its digest a folder is loaded only when that cannot run code.
    assert core.load(folder).schema.library is not None


@pytest.mark.parametrize(
    ("flavor", "key", "value"),
    [
        ("lightgbm", "model_class", "lightgbm.sklearn.LGBMClassifier"),
        ("xgboost", "model_class", "os.system"),
        ("catboost", "model_type", "Whatever"),
    ],
)
def test_a_flavour_that_names_another_class_is_code(
    flavor: str, key: str, value: str, tmp_path: Path
) -> None:
    rows = numbers()
    saved(tmp_path, CLASSIFIERS[flavor]().fit(rows, label(rows, "binary")), rows, "binary")
    described = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    described["flavors"][flavor][key] = value
    assert code_in(tmp_path / "model", described) == [f"{flavor} as {value}"]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", ["one-step", "imputed", "encoded"])
def test_behind_preprocessing_it_answers_as_trained(library: str, kind: str, tmp_path: Path) -> None:
    rows, later = numbers(), numbers(seed=1)
    if kind == "encoded":
        for frame in (rows, later):
            frame["g"] = np.where(frame["c"] > 0, "up", "down").astype(object)
    steps = {
        "one-step": [StandardScaler()],
        "imputed": [SimpleImputer(), StandardScaler()],
        "encoded": [
            make_column_transformer(
                (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["g"]),
                ("passthrough", list("abc")),
            )
        ],
    }[kind]
    made = make_pipeline(*steps, CLASSIFIERS[library]()).fit(rows, label(rows, "binary"))
    schema, served, own = saved(tmp_path, made, rows, "binary")
    assert schema.library is not None and schema.library.format == "sklearn"
    truth = expected(made, later, "binary")
    np.testing.assert_allclose(served.predict_frame(later), truth, atol=1e-5)
    np.testing.assert_allclose(own.predict_frame(later), truth, atol=1e-9)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_early_stopping_keeps_the_best_rounds(library: str, tmp_path: Path) -> None:
    rows, later = numbers(gaps=0), numbers(gaps=0, seed=1)
    noise = pd.Series(np.random.default_rng(3).integers(0, 2, len(rows)))
    late = label(later, "binary")
    if library == "lightgbm":
        made = lightgbm.LGBMClassifier(**LGB | {"n_estimators": 200})
        made.fit(rows, noise, eval_set=[(later, late)], callbacks=[lightgbm.early_stopping(3, verbose=False)])
        assert 0 < made.best_iteration_ < 200
    else:
        made = xgboost.XGBClassifier(**XGB | {"n_estimators": 200}, early_stopping_rounds=3)
        made.fit(rows, noise, eval_set=[(later, late)], verbose=False)
        assert made.best_iteration < 199
    _, served, own = saved(tmp_path, made, rows, "binary")
    for scorer in (served, own):
        np.testing.assert_allclose(
            scorer.predict_frame(later), expected(made, later, "binary"), rtol=2e-6, atol=1e-6
        )


@pytest.mark.parametrize(
    ("library", "more"),
    [
        ("lightgbm", {"objective": "poisson"}),
        ("lightgbm", {"objective": "quantile", "alpha": 0.9}),
        ("lightgbm", {"boosting_type": "dart"}),
        ("lightgbm", {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.7}),
        ("lightgbm", {"linear_tree": True}),
        ("xgboost", {"objective": "count:poisson"}),
        ("xgboost", {"objective": "reg:gamma"}),
        ("xgboost", {"booster": "gblinear"}),
        ("xgboost", {"booster": "dart", "rate_drop": 0.3}),
        ("catboost", {"loss_function": "Poisson"}),
        ("catboost", {"loss_function": "Quantile:alpha=0.9"}),
    ],
    ids=str,
)
def test_links_and_other_boosters_are_kept(library: str, more: dict[str, Any], tmp_path: Path) -> None:
    rows, later = numbers(gaps=0), numbers(gaps=0, seed=1)
    made = REGRESSORS[library](**more).fit(rows, label(rows, "regression"))
    try:
        _, served, own = saved(tmp_path, made, rows, "regression")
    except InvalidInput as error:
        pytest.fail(str(error))
    truth = expected(made, later, "regression")
    np.testing.assert_allclose(served.predict_frame(later), truth, rtol=1e-5)
    np.testing.assert_allclose(own.predict_frame(later), truth, rtol=2e-6)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", ["seconds", "fractions"])
def test_digits_that_float32_loses_are_answered_by_the_library(
    library: str, kind: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    seconds = 1.7e9 + rng.integers(0, 600, 400).astype(float)
    rows = pd.DataFrame({"a": seconds if kind == "seconds" else 1 + rng.random(400) * 1e-6})
    made = CLASSIFIERS[library]().fit(rows, (rows["a"] > rows["a"].median()).astype(int))
    _, served, own = saved(tmp_path, made, rows, "binary")
    truth = expected(made, rows, "binary")
    np.testing.assert_allclose(served.predict_frame(rows), truth, atol=1e-5)
    np.testing.assert_allclose(own.predict_frame(rows), truth, atol=1e-7)


def test_another_number_for_missing_is_refused_with_the_way_out(tmp_path: Path) -> None:
    rows = numbers().fillna(-1)
    made = xgboost.XGBClassifier(**XGB, missing=-1).fit(rows, label(rows, "binary"))
    with pytest.raises(InvalidInput, match="let `features` make it null"):
        saved(tmp_path, made, rows, "binary")


def test_a_class_with_probabilities_by_another_name_still_answers_them(tmp_path: Path) -> None:
    rows = numbers()
    made = xgboost.XGBClassifier(**XGB, objective="multi:softmax").fit(rows, label(rows, "multiclass"))
    _, _, own = saved(tmp_path, made, rows, "multiclass")
    np.testing.assert_allclose(
        own.predict_frame(rows), expected(made, rows, "multiclass"), rtol=2e-6, atol=1e-6
    )


def test_categories_of_catboost_stay_text(tmp_path: Path) -> None:
    rows = numbers()
    rows["g"] = np.where(rows["c"] > 0, "up", "down").astype(object)
    made = catboost.CatBoostClassifier(**CAT, cat_features=["g"]).fit(rows, label(rows, "binary"))
    schema, served, _ = saved(tmp_path, made, rows, "binary")
    assert schema.onnx is None and schema.no_graph
    later = rows.assign(g=np.where(rows["a"] > 0, "sideways", "up").astype(object))
    np.testing.assert_allclose(served.predict_frame(later), expected(made, later, "binary"), atol=1e-9)


@pytest.mark.parametrize("library", LIBRARIES)
def test_threads_do_not_share_an_answer(library: str, tmp_path: Path) -> None:
    rows = numbers()
    made = CLASSIFIERS[library]().fit(rows, label(rows, "multiclass"))
    _, _, own = saved(tmp_path, made, rows, "multiclass")
    asked = parsed(rows)
    truth, wrong = expected(made, rows, "multiclass"), []

    def ask(offset: int) -> None:
        for turn in range(60):
            index = (offset + 7 * turn) % len(asked)
            if not np.allclose(own.predict_rows([asked[index]])[0], truth[index], atol=1e-6):
                wrong.append(index)

    threads = [threading.Thread(target=ask, args=(31 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_release_of_lightgbm_without_the_short_way_answers_by_the_long_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lightgbm import basic

    rows = numbers()
    made = CLASSIFIERS["lightgbm"]().fit(rows, label(rows, "binary"))
    saved(tmp_path, made, rows, "binary")
    answer = open_model(tmp_path / "model", "lightgbm", "binary")
    row = rows.to_numpy()[:1]
    short = answer(row)
    with monkeypatch.context() as patched:
        patched.setattr(basic, "_LIB", None)
        assert find("lightgbm")._OneRow.of(answer._booster, row.dtype) is None  # type: ignore[attr-defined]
    np.testing.assert_array_equal(short, made.predict_proba(rows[:1])[:, 1])


def test_a_library_that_is_not_installed_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = numbers()
    saved(tmp_path, CLASSIFIERS["catboost"]().fit(rows, label(rows, "binary")), rows, "binary")
    monkeypatch.setitem(sys.modules, "catboost", None)
    with pytest.raises(Exception, match=r"needs catboost, .*install the model's own requirements"):
        open_model(tmp_path / "model", "catboost", "binary")
    wanted = (tmp_path / "model" / "requirements.txt").read_text()
    assert "catboost==" in wanted and json.dumps(wanted)
    warnings.resetwarnings()


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_a_ranker_answers_its_scores(library: str, tmp_path: Path) -> None:
    rows = numbers(gaps=0)
    relevant, groups = (rows["a"] > 0).astype(int), np.repeat(np.arange(30), 10)
    if library == "lightgbm":
        made = lightgbm.LGBMRanker(**LGB).fit(rows, relevant, group=[10] * 30)
    else:
        made = xgboost.XGBRanker(**XGB).fit(rows, relevant, qid=groups)
    schema, served, _ = saved(tmp_path, made, rows, "regression")
    assert schema.library is not None and schema.library.format == library
    np.testing.assert_allclose(served.predict_frame(rows), made.predict(rows), rtol=1e-5, atol=1e-6)


def test_an_ensemble_of_two_libraries_has_one_graph(tmp_path: Path) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import StackingClassifier

    rows = numbers(gaps=0)
    both = [(name, CLASSIFIERS[name]()) for name in ("lightgbm", "xgboost")]
    for number, made in enumerate(
        (StackingClassifier(both, cv=2), CalibratedClassifierCV(CLASSIFIERS["xgboost"](), cv=2))
    ):
        made.fit(rows, label(rows, "binary"))
        schema, served, _ = saved(tmp_path / str(number), made, rows, "binary")
        assert schema.onnx is not None, schema.no_graph
        np.testing.assert_allclose(served.predict_frame(rows), expected(made, rows, "binary"), atol=1e-5)
