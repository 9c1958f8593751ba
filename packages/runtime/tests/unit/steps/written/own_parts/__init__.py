"""Parts as people write them in `src/<model>`: functions, transformers, estimators."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin, clone


def ratios(rows: pd.DataFrame, by: float = 1.0) -> pd.DataFrame:
    """A column more."""
    return rows.assign(ratio=rows["n"] / (rows["d"].abs() + by))


def hours(rows: pd.DataFrame) -> Any:
    """Hour and weekday of moments, on a circle."""
    found = [rows[name].dt.hour + 24 * rows[name].dt.dayofweek for name in rows]
    return np.column_stack([f(2 * np.pi * part / 168) for part in found for f in (np.sin, np.cos)])


def root(value: Any) -> Any:
    return np.sqrt(value)


def square(value: Any) -> Any:
    return np.square(value)


class Moments(TransformerMixin, BaseEstimator):
    """Days since the first of training, and what the calendar says."""

    def fit(self, rows: pd.DataFrame, labels: Any = None) -> Self:
        self.first_ = {name: rows[name].min().isoformat() for name in rows}
        return self

    def transform(self, rows: pd.DataFrame) -> Any:
        parts = []
        for name in rows:
            column = rows[name]
            parts += [(column - pd.Timestamp(self.first_[name])) / pd.Timedelta(1, "D")]
            parts += [column.dt.month, column.dt.dayofweek >= 5]
        return np.column_stack([np.asarray(part, dtype=float) for part in parts])


class Means(TransformerMixin, BaseEstimator):
    """The mean label of a category, in a dictionary; numbers go through."""

    def __init__(self, by: str) -> None:
        self.by = by

    def fit(self, rows: pd.DataFrame, labels: Any) -> Self:
        self.means_ = (
            pd.Series(np.asarray(labels, dtype=float)).groupby(rows[self.by].to_numpy()).mean().to_dict()
        )
        self.rest_ = float(np.mean(labels))
        return self

    def transform(self, rows: pd.DataFrame) -> Any:
        means = rows[self.by].map(self.means_).fillna(self.rest_).astype(float)
        return np.column_stack([rows.drop(columns=self.by).to_numpy(dtype=float), means])


class Level(RegressorMixin, BaseEstimator):
    """Answers by weights and a name that other libraries use for something else."""

    def __init__(
        self, steps: int = 3, estimator: str = "plain", transformers: tuple[str, ...] = ("a",)
    ) -> None:
        self.steps = steps
        self.estimator = estimator
        self.transformers = transformers

    def fit(self, rows: Any, labels: Any) -> Self:
        table = np.column_stack([np.ones(rows.shape[0]), _dense(rows)])
        self.coef_ = np.linalg.lstsq(table, np.asarray(labels, dtype=float), rcond=None)[0]
        self.estimators_ = int(self.steps)
        return self

    def predict(self, rows: Any) -> Any:
        return np.column_stack([np.ones(rows.shape[0]), _dense(rows)]) @ self.coef_


class Share(ClassifierMixin, BaseEstimator):
    """Probabilities by the distance to the mean of each class."""

    def fit(self, rows: Any, labels: Any) -> Self:
        table = _dense(rows)
        self.classes_ = np.unique(labels)
        self.centres_ = {str(c): table[np.asarray(labels) == c].mean(axis=0) for c in self.classes_}
        return self

    def predict_proba(self, rows: Any) -> Any:
        table = _dense(rows)
        far = np.column_stack([np.abs(table - self.centres_[str(c)]).mean(axis=1) for c in self.classes_])
        near = 1 / (1 + far)
        return near / near.sum(axis=1, keepdims=True)

    def predict(self, rows: Any) -> Any:
        return self.classes_[self.predict_proba(rows).argmax(axis=1)]


class Mean(RegressorMixin, BaseEstimator):
    """The mean of estimators that it is given by name."""

    def __init__(self, parts: list[tuple[str, Any]]) -> None:
        self.parts = parts

    def fit(self, rows: Any, labels: Any) -> Self:
        self.parts_ = {name: clone(part).fit(rows, labels) for name, part in self.parts}
        return self

    def predict(self, rows: Any) -> Any:
        return np.mean([part.predict(rows) for part in self.parts_.values()], axis=0)


def _dense(rows: Any) -> Any:
    return np.asarray(rows.todense() if hasattr(rows, "todense") else rows, dtype=float)
