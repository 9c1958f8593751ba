"""The same training gives the same bytes: a digest that changes with addresses in memory names nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skops import io

from mlops.serving.formats import sklearn as flavour
from mlops.serving.formats.canonical import rewrite
from mlops.spec.digest import tree_digest
from mlops.steps import artifact
from tests.unit.steps.toy import toy_of

ROWS = np.random.default_rng(0).normal(size=(80, 3))
TRUTH = (ROWS[:, 0] > 0).astype(int)


def models() -> dict[str, object]:
    texts = TfidfVectorizer().fit(["one two", "two three"])
    odd = {"__id__": 3, "file": "1.npy", "__loader__": "x", "numbers": np.arange(3), "again": [np.arange(3)]}
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), [0]), (StandardScaler(), [1, 2])
    )
    return {
        "forest": RandomForestClassifier(5, random_state=0).fit(ROWS, TRUTH),
        "boosting": HistGradientBoostingClassifier(max_iter=5).fit(ROWS, TRUTH),
        "pipeline": make_pipeline(columns, RandomForestClassifier(3)).fit(np.round(ROWS), TRUTH),
        "texts": texts,
        "keys of the format": odd,
    }


@pytest.mark.parametrize("name", models())
def test_two_copies_are_one_file_that_loads_as_before(name: str, tmp_path: Path):
    one = models()[name]
    two = copy.deepcopy(one)
    for path, model in ((tmp_path / "one", one), (tmp_path / "two", two)):
        io.dump(model, path)
        assert rewrite(path)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    again = flavour.read(tmp_path / "one", tuple(io.get_untrusted_types(file=tmp_path / "one")))
    if hasattr(one, "predict_proba"):
        np.testing.assert_array_equal(again.predict_proba(ROWS), one.predict_proba(ROWS))
    elif isinstance(one, TfidfVectorizer):
        assert again.vocabulary_ == one.vocabulary_
    else:
        assert again.keys() == one.keys() and again["__id__"] == 3  # type: ignore[attr-defined]
        np.testing.assert_array_equal(again["again"][0], np.arange(3))


def test_one_object_in_two_places_stays_one(tmp_path: Path):
    shared = np.arange(4.0)
    io.dump({"a": shared, "b": shared}, tmp_path / "m")
    assert rewrite(tmp_path / "m")
    with ZipFile(tmp_path / "m") as archive:
        assert archive.namelist() == ["1.npy", "schema.json"]
    found = flavour.read(tmp_path / "m")
    assert found["a"] is found["b"]


def test_a_file_of_another_form_is_left_alone(tmp_path: Path):
    (tmp_path / "no zip").write_text("no")
    assert not rewrite(tmp_path / "no zip") and (tmp_path / "no zip").read_text() == "no"
    with ZipFile(tmp_path / "more", "w") as archive:
        archive.writestr("schema.json", json.dumps({"__loader__": "x"}))
        archive.writestr("more.bin", "what nothing names")
    before = (tmp_path / "more").read_bytes()
    assert not rewrite(tmp_path / "more") and (tmp_path / "more").read_bytes() == before


def _made(name: str) -> Any:
    if name == "lightgbm":
        return pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1)
    if name == "catboost":
        catboost = pytest.importorskip("catboost")
        return catboost.CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False)
    if name == "line":
        return make_pipeline(StandardScaler(), LogisticRegression())
    return make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0))


@pytest.mark.parametrize(
    ("name", "graph"), [("forest", False), ("line", True), ("lightgbm", True), ("catboost", True)]
)
def test_the_same_training_twice_is_one_artifact_and_mlflow_loads_it(name: str, graph: bool, tmp_path: Path):
    """`register` answers with the version that has the digest, also on a machine without the first one's
    cache."""
    import mlflow.pyfunc

    rows = pd.DataFrame(ROWS, columns=["a", "b", "c"], dtype="float32")
    for folder in ("one", "two"):
        model = _made(name).fit(rows, TRUTH)
        schema = artifact.save(tmp_path / folder, toy_of("binary", rows), model, rows)
    assert (schema.onnx is not None) == graph
    differ = [
        path.name
        for path in (tmp_path / "one").rglob("*")
        if path.is_file()
        and path.read_bytes() != (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    ]
    assert not differ
    assert tree_digest(tmp_path / "one") == tree_digest(tmp_path / "two")
    assert len(mlflow.pyfunc.load_model(str(tmp_path / "one")).predict(rows)) == len(rows)
