"""Weights of rows reach a ranker as its library wants them: LightGBM one a row, XGBoost one a query."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost

from mlops.steps.estimators import fit

RNG = np.random.default_rng(3)
QUERIES, SIZE = 12, 8
ROWS = pd.DataFrame(
    {
        "a": RNG.normal(size=QUERIES * SIZE),
        "b": RNG.normal(size=QUERIES * SIZE),
        "relevant": RNG.integers(0, 3, QUERIES * SIZE),
        "query": np.tile(np.arange(QUERIES), SIZE),  # of one query the rows do not follow one another
        "sure": np.tile(np.linspace(0.5, 4, QUERIES), SIZE),
    }
)
USECASE: Any = SimpleNamespace(task="ranking", target="relevant", group="query", weight="sure")


def fitted(library: str, rows: pd.DataFrame, usecase: Any = USECASE) -> np.ndarray[Any, Any]:
    ranker: Any = (
        lightgbm.LGBMRanker(n_estimators=5, min_child_samples=2, n_jobs=1, verbose=-1)
        if library == "lightgbm"
        else xgboost.XGBRanker(n_estimators=5, max_depth=2, n_jobs=1)
    )
    fit(usecase, ranker, rows[["a", "b"]], rows)
    return np.asarray(ranker.predict(ROWS[["a", "b"]]))


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_weights_change_what_a_ranker_learns_and_equal_ones_do_not(library: str) -> None:
    alone = SimpleNamespace(task="ranking", target="relevant", group="query")
    plain, weighed = fitted(library, ROWS, alone), fitted(library, ROWS)
    assert not np.allclose(plain, weighed)
    np.testing.assert_allclose(fitted(library, ROWS.assign(sure=1.0)), plain, rtol=1e-5, atol=1e-6)


def test_a_query_of_xgboost_weighs_what_its_rows_do_on_average() -> None:
    uneven = ROWS.assign(sure=ROWS["sure"] * np.where(np.arange(len(ROWS)) % 2, 1.5, 0.5))
    mean = uneven.groupby("query")["sure"].transform("mean")
    np.testing.assert_allclose(
        fitted("xgboost", uneven), fitted("xgboost", ROWS.assign(sure=mean)), rtol=1e-5, atol=1e-6
    )
