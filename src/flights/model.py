"""The estimator: from raw columns to the probability of a late arrival."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from flights.columns import FLOATS, INTEGERS, STRINGS
from mlops.errors import InvalidInput

DEFAULTS: dict[str, float | int] = {
    "learning_rate": 0.05,
    "max_iter": 200,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 200,
    "l2_regularization": 10.0,
    "seed": 20130101,
}


def build(params: Mapping[str, Any]) -> Pipeline:
    """An unfitted pipeline; `params` overrides `DEFAULTS`. Raises `InvalidInput` for an unknown name."""
    if unknown := sorted(set(params) - set(DEFAULTS)):
        raise InvalidInput(
            f"unknown hyper-parameter {', '.join(unknown)}; flights knows {', '.join(DEFAULTS)}"
        )
    chosen = {**DEFAULTS, **params}
    seed = chosen.pop("seed")
    columns = ColumnTransformer(
        [
            # A carrier or destination that training has not seen gets a code of its own.
            ("text", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), list(STRINGS)),
            ("numbers", "passthrough", [*INTEGERS, *FLOATS]),
        ]
    )
    # No early stopping: scikit-learn would validate on random rows, which lie between training rows in time.
    boosting = HistGradientBoostingClassifier(**chosen, early_stopping=False, random_state=seed)
    return Pipeline([("columns", columns), ("boosting", boosting)])
