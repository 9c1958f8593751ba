"""Text is answered by its vectorizers themselves, where that was proven to be what the pipeline answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops.serving.formats import sklearn as format_
from mlops.serving.score import core
from mlops.spec.digest import tree_digest
from mlops.steps import artifact
from tests.unit.steps.toy import toy_of

WORDS = ["good", "bad", "fine", "poor", "great", "late", "early", "Never", "ALWAYS", "ship"]


def rows(columns: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    texts = [[" ".join(rng.choice(WORDS, 5)) for _ in range(columns)] for _ in range(120)]
    return pd.DataFrame(texts, columns=[f"text{i}" for i in range(columns)]).astype(object)


def saved(folder: Path, model: Any, table: pd.DataFrame) -> tuple[core.Scorer, Any]:
    model.fit(table, table["text0"].str.contains("good").astype(int))
    artifact.save(folder / "model", toy_of("binary", table), model, table)
    return core.load(folder / "model", digest=tree_digest(folder / "model")), model


@pytest.mark.parametrize("kind", ["one column", "two columns", "a step between"])
def test_no_table_is_made_of_text_and_the_answer_is_the_same(tmp_path: Path, kind: str) -> None:
    table = rows(1 if kind == "one column" else 2)
    parts = [(TfidfVectorizer(ngram_range=(1, 2)), "text0")]
    parts += [(CountVectorizer(), "text1")] if kind != "one column" else []
    between = [SelectKBest(k=5)] if kind == "a step between" else []
    scorer, model = saved(
        tmp_path, make_pipeline(make_column_transformer(*parts), *between, LogisticRegression()), table
    )
    library = scorer.schema.library
    assert library is not None and library.columns
    asked = list(table.itertuples(index=False, name=None))
    truth = model.predict_proba(table)[:, 1]
    np.testing.assert_allclose(scorer.predict_rows(asked), truth)
    np.testing.assert_allclose(scorer.predict_rows(asked[:1]), truth[:1])
    np.testing.assert_allclose(scorer.predict_frame(table), truth)


def test_what_needs_its_column_transformer_keeps_it(tmp_path: Path) -> None:
    table = rows(2)
    transformer = make_column_transformer((TfidfVectorizer(), "text0"), (CountVectorizer(), "text1"))
    transformer.set_params(transformer_weights={"tfidfvectorizer": 3.0})
    scorer, model = saved(tmp_path, make_pipeline(transformer, LogisticRegression()), table)
    library = scorer.schema.library
    assert library is not None and not library.columns
    asked = list(table.itertuples(index=False, name=None))
    np.testing.assert_allclose(scorer.predict_rows(asked), model.predict_proba(table)[:, 1])


def test_the_time_of_a_text_follows_from_its_length_unless_the_use_case_splits_it(tmp_path: Path) -> None:
    table = rows(1)
    made = [TfidfVectorizer(), TfidfVectorizer(analyzer=str.split)]
    own = make_pipeline(make_column_transformer((made[1], "text0")), LogisticRegression())
    plain, _ = saved(
        tmp_path, make_pipeline(make_column_transformer((made[0], "text0")), LogisticRegression()), table
    )
    assert plain.steady and plain.spread > 1
    assert plain.size([("good ship",), ("",)]) == 2 + len("good ship")
    own.fit(table, table["text0"].str.contains("good").astype(int))
    assert not format_.answer(own, "binary").by_characters
