"""One model's predictions on labelled rows, and every metric of them."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlops import tracking
from mlops.errors import InvalidInput
from mlops.metrics import standard
from mlops.metrics.resampling import Metric, Summed, draws, resamples_of, weighed
from mlops.metrics.truth import Array
from mlops.spec.metrics import METRICS
from mlops.spec.schema import ModelSchema, Task

Extra = Callable[..., Mapping[str, float]]
"""Truth and prediction, and `weights` of the rows where it takes them -> the use case's own metrics."""
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class About:
    """What else is known of labelled rows, beside truth and prediction."""

    outputs: Sequence[str] = ()
    """Names of the values of an answer: the quantiles."""
    groups: Array | None = None
    """[n]: rows of one group belong together (a query, a patient, a stretch of time)."""
    baseline: Array | None = None
    """[n]: what a trivial model would answer."""
    weights: Array | None = None
    """[n]: how much each row counts, from 0 up; None where each counts once."""
    extra: Extra | None = None
    """The use case's own metrics."""
    own: tuple[str, ...] = ()
    """Their names: a part of the rows may lack one."""


NOTHING = About()


class Scores:
    """One model's predictions on labelled rows, prepared so that weighted metrics are cheap.

    `truth` is what `encode_truth` returns, `prediction` [n] or [n, classes] as the scoring core returns it.
    With a prediction that is not a finite number every metric is NaN.
    """

    def __init__(
        self,
        task: Task,
        truth: Array,
        prediction: Array,
        threshold: float | None = None,
        about: About = NOTHING,
    ) -> None:
        self.task, self.threshold, self.about = task, threshold, about
        self.truth = truth if task == "custom" else np.asarray(truth, dtype=np.float64)
        self.prediction = np.asarray(prediction, dtype=np.float64)
        self.rows = len(self.truth)
        self._codes = None
        if about.groups is not None:
            self._codes = np.unique(about.groups, return_inverse=True)[1]
        if len(self.prediction) != self.rows:
            raise ValueError(f"{self.rows} labels, but {len(self.prediction)} predictions")
        self.metrics: dict[str, Metric]
        if self.rows == 0 or not np.isfinite(self.prediction).all():
            self.metrics = dict.fromkeys(METRICS[task], Summed(lambda: math.nan))
        else:
            self.metrics = _STANDARD[task](self)
        if (weights := self._weights()) is not None:
            self.metrics = {name: weighed(metric, weights) for name, metric in self.metrics.items()}
        if about.extra is not None and self.rows:
            told = _Own(about.extra, self.truth, self.prediction, about.weights)
            if not about.own:
                names = tuple(name for name in told.names() if name not in self.metrics)
                self.about = replace(about, own=names)
            self.metrics |= {name: told.metric(name) for name in self.about.own}

    def _weights(self) -> Array | None:
        """Of each row; of a ranking, whose figures are of groups, the mean of its group."""
        weights = self.about.weights
        if weights is None or self.task != "ranking" or not self.rows:
            return weights
        means = np.bincount(self.codes, weights) / np.bincount(self.codes)
        return np.asarray(means[self.codes])

    @property
    def codes(self) -> Array:
        """The group of each row, by number; all the same where none is known."""
        return np.zeros(self.rows, dtype=int) if self._codes is None else self._codes

    @property
    def groups(self) -> int | None:
        """How many groups its rows are drawn in; None where each row stands alone."""
        return None if self._codes is None else int(self._codes.max()) + 1

    @classmethod
    def of(cls, schema: ModelSchema, truth: Array, prediction: Array, about: About = NOTHING) -> Scores:
        """Of a model that says itself what its answers are."""
        told = replace(about, outputs=tuple(schema.outputs))
        return cls(schema.task, truth, prediction, schema.threshold, told)

    def subset(self, rows: Array) -> Scores:
        """The rows of a boolean mask [n]."""
        about = replace(
            self.about,
            groups=None if self.about.groups is None else self.about.groups[rows],
            baseline=None if self.about.baseline is None else self.about.baseline[rows],
            weights=None if self.about.weights is None else self.about.weights[rows],
        )
        return Scores(self.task, self.truth[rows], self.prediction[rows], self.threshold, about)

    def baseline(self) -> Scores | None:
        """The answers of the baseline on the same rows; None where there is none."""
        if self.about.baseline is None:
            return None
        return Scores(self.task, self.truth, self.about.baseline, self.threshold, self.about)

    def resamples(self, count: int, seed: int) -> Iterator[tuple[Array, Array]]:
        """Bootstrap resamples: of rows, or of groups with all their rows where rows belong together."""
        return resamples_of(self.rows, count, seed, self._codes)

    def draws(self, count: int, seed: int, names: Sequence[str] | None = None) -> dict[str, Array]:
        """The value of each metric on each of `count` resamples."""
        asked = {name: self.metrics[name] for name in names or self.metrics}
        return draws([asked], self.rows, count, seed, self._codes)[0]

    @property
    def joined(self) -> Array | None:
        """The group of each row, by number; None where each row stands alone."""
        return self._codes

    def value(self, name: str) -> float:
        """One point value; NaN where not defined."""
        return self.values([name])[name]

    def values(self, names: Sequence[str] | None = None) -> dict[str, float]:
        """Point values; NaN where not defined."""
        ones = np.ones(self.rows)
        return {name: float(self.metrics[name](ones)) for name in names or self.metrics}


class _Own:
    """The use case's own metrics as functions of weights: a resample is asked once for all of them."""

    def __init__(self, extra: Extra, truth: Array, prediction: Array, counts: Array | None) -> None:
        self._extra, self._truth, self._prediction, self._counts = extra, truth, prediction, counts
        self._weights: Array | None = None
        self._found: dict[str, float] = {}

    def names(self) -> list[str]:
        return list(again(self._extra, self._truth, self._prediction, self._counts))

    def metric(self, name: str) -> Metric:
        return lambda weights: self._ask(weights).get(name, math.nan)

    def _ask(self, weights: Array) -> dict[str, float]:
        if weights is not self._weights:
            drawn = np.repeat(np.arange(len(weights)), weights.astype(int))
            counts = None if self._counts is None else self._counts[drawn]
            self._found = again(self._extra, self._truth[drawn], self._prediction[drawn], counts)
            self._weights = weights
        return self._found


def own_metrics(
    extra: Extra, truth: Array, prediction: Array, weights: Array | None = None
) -> dict[str, float]:
    """The use case's metrics as numbers. Raises `InvalidInput` for what is none, and for metrics that do not
    know of the rows' weights."""
    values = {}
    for name, value in asked(extra, truth, prediction, weights).items():
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
            raise InvalidInput(
                f"the use case's `evaluate` gives {name} = {value!r}, which is no number; "
                "leave a metric out where it is not defined, or give NaN"
            )
        if tracking.key_of(str(name)) != name:
            raise InvalidInput(
                f"the use case's `evaluate` names a metric {name!r}, and MLflow does not take that name; use "
                "letters, digits, spaces and . _ - : /"
            )
        values[str(name)] = float(value)
    return values


def asked(extra: Extra, truth: Array, prediction: Array, weights: Array | None) -> Mapping[str, float]:
    """What `extra` gives, with the weights of the rows (None: each counts once) where it takes them.

    Raises `InvalidInput`."""
    if "weights" in inspect.signature(extra).parameters:
        return extra(truth, prediction, weights=weights)
    found = extra(truth, prediction)
    if found and weights is not None:
        raise InvalidInput(
            f"the use case weighs its rows (`weight`), and its `evaluate` gives {', '.join(map(str, found))} "
            "without their weights; write `def evaluate(self, truth, prediction, weights=None)` and let "
            "every row count for its weight"
        )
    return found


def again(extra: Extra, truth: Array, prediction: Array, weights: Array | None = None) -> dict[str, float]:
    """The same on a resample. One that a metric cannot bear (a single class) has none of them."""
    try:
        with warnings.catch_warnings():
            # Of a resample; what is wrong with the rows themselves was said once, by `own_metrics`.
            warnings.simplefilter("ignore")
            return own_metrics(extra, truth, prediction, weights)
    except (ValueError, ArithmeticError, LookupError):
        return {}


def own_on(extra: Extra, scores: Scores, rows: Array) -> dict[str, float]:
    """The same on rows of `scores` by their numbers."""
    weights = None if scores.about.weights is None else scores.about.weights[rows]
    return again(extra, scores.truth[rows], scores.prediction[rows], weights)


def _of_binary(scores: Scores) -> dict[str, Metric]:
    cut = DEFAULT_THRESHOLD if scores.threshold is None else scores.threshold
    return standard.binary(scores.truth, scores.prediction, cut)


_STANDARD: Mapping[Task, Callable[[Scores], dict[str, Metric]]] = {
    "binary": _of_binary,
    "multiclass": lambda s: standard.multiclass(s.truth, s.prediction),
    "multilabel": lambda s: standard.multilabel(s.truth, s.prediction),
    "regression": lambda s: standard.regression(s.truth, s.prediction),
    "quantiles": lambda s: standard.quantiles(s.truth, s.prediction, s.about.outputs),
    "forecast": lambda s: standard.forecast(s.truth, s.prediction, s.about.baseline),
    "ranking": lambda s: standard.ranked(s.truth, s.prediction, s.codes),
    "custom": lambda _: {},
}
