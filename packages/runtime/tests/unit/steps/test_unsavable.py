"""A part that skops cannot save is named, wherever in the estimator it is, with the ways out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops.errors import InvalidInput
from mlops.serving.formats.unsavable import unsavable
from mlops.steps import artifact
from tests.unit.steps.toy import toy_of


class Encoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Keeps what nothing can save among its mappings."""

    def fit(self, rows: Any, labels: Any = None) -> Encoder:
        self.mapping_ = [{"column": "a", "open": (n for n in range(3))}]
        return self

    def transform(self, rows: Any) -> Any:
        return rows


def test_the_part_is_named_by_its_holder(tmp_path: Path):
    rows = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0] * 20})
    model = make_pipeline(Encoder(), LogisticRegression()).fit(rows, rows.a > 1)
    with pytest.raises(InvalidInput, match=r"mapping_ of .*Encoder, a builtins.generator.*pickle"):
        artifact.save(tmp_path / "model", toy_of("binary", rows), model, rows.assign(y=rows.a > 1))


def test_what_can_be_saved_has_no_such_part():
    assert unsavable(make_pipeline(LogisticRegression())) is None
