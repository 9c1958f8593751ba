"""Short texts take a short way, and it answers what the whole pipeline answers, or is not taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline

from mlops.serving.formats import sklearn as format_
from mlops.serving.formats import texts

WORDS = np.array(["red", "Green", "don't", "naïve", "x1", "blue", "Of", "the", "re-enter", "42"])
ODD = ["", " ", "İ ß ﬁ", "red RED red", "q" * 3000, "the the the of", "東京 🚀 red", "\x00", "x1-x1 42"]
VECTORIZERS: dict[str, Any] = {
    "tf-idf": lambda: TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    "plain": lambda: TfidfVectorizer(norm=None, use_idf=False, lowercase=False),
    "l1": lambda: TfidfVectorizer(norm="l1", binary=True, stop_words=["the"]),
    "letters": lambda: TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), strip_accents="unicode"),
    "counts": lambda: CountVectorizer(max_features=6),
}
MODELS: dict[str, Any] = {
    "binary": lambda: LogisticRegression(C=10),
    "multiclass": LogisticRegression,
    "liblinear": lambda: LogisticRegression(solver="liblinear"),
    "regression": Ridge,
}


def table(columns: int = 1, rows: int = 150) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = {f"t{i}": [" ".join(rng.choice(WORDS, 5)) for _ in range(rows)] for i in range(columns)}
    return pd.DataFrame(made, dtype=object)


def fitted(vectorizer: Any, model: Any, task: str, columns: int = 1) -> tuple[Any, pd.DataFrame]:
    rows = table(columns)
    length = rows["t0"].map(len)
    truth: Any = (
        length if task == "regression" else np.digitize(length, [18, 22] if task == "multiclass" else [20])
    )
    first = make_column_transformer(*((vectorizer(), name) for name in rows))
    return make_pipeline(first, model()).fit(rows, truth), rows


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("vectorizer", VECTORIZERS)
@pytest.mark.parametrize("columns", [1, 2])
def test_the_short_way_is_the_long_way(vectorizer: str, model: str, columns: int) -> None:
    task: Any = "binary" if model == "liblinear" else model
    pipeline, _ = fitted(VECTORIZERS[vectorizer], MODELS[model], task, columns)
    answer: Any = format_.answer(pipeline, task)
    assert answer._quick is not None
    asked = {f"t{i}": [*ODD, *table(1, 6)["t0"]] for i in range(columns)}
    whole = format_._method(pipeline, task)(pd.DataFrame(asked, dtype=object))
    for many in (texts.ROWS, 1):
        some = {name: values[:many] for name, values in asked.items()}
        np.testing.assert_allclose(answer(some), whole[:many], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(answer({n: v * 3 for n, v in asked.items()})[: len(whole)], whole, rtol=1e-12)


class Louder(TfidfVectorizer):
    def transform(self, raw_documents: Any) -> Any:
        return super().transform(raw_documents) * 2


@pytest.mark.parametrize(
    ("vectorizer", "model", "task"),
    [
        (Louder, LogisticRegression, "binary"),
        (lambda: HashingVectorizer(n_features=64), LogisticRegression, "binary"),
        (TfidfVectorizer, lambda: SGDClassifier(loss="log_loss"), "binary"),
        (TfidfVectorizer, lambda: LogisticRegression(solver="liblinear"), "regression"),
    ],
    ids=["derived", "hashed", "another model", "another task"],
)
def test_what_is_not_known_takes_the_long_way(vectorizer: Any, model: Any, task: Any) -> None:
    pipeline, rows = fitted(vectorizer, model, "binary")
    answer: Any = format_.answer(pipeline, task)
    assert getattr(answer, "_quick", None) is None
    asked = {"t0": ODD} if hasattr(answer, "_quick") else pd.DataFrame({"t0": ODD}, dtype=object)
    whole = format_._method(pipeline, task)(pd.DataFrame({"t0": ODD}, dtype=object))
    np.testing.assert_allclose(answer(asked), whole)
    assert len(rows)


def test_a_release_that_weighs_otherwise_is_noticed_when_the_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline, _ = fitted(VECTORIZERS["tf-idf"], MODELS["binary"], "binary")
    monkeypatch.setattr(texts, "_two", lambda scores: np.column_stack([scores, scores]))
    answer: Any = format_.answer(pipeline, "binary")
    assert answer._quick is None
    np.testing.assert_allclose(answer({"t0": ["red"]}), pipeline.predict_proba(pd.DataFrame({"t0": ["red"]})))
