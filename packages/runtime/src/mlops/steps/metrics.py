"""Metrics that take row weights, and the bootstrap that makes intervals and paired differences of them.

A resample of the rows is the same as integer weights on them. So each metric sorts its predictions once, and
every resample costs a few passes over arrays: 500 resamples of 27,000 rows, all binary metrics, take about
a second. Point values equal scikit-learn's (tests compare them); a metric that is not defined is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mlops.errors import InvalidInput
from mlops.spec.gates import Interval
from mlops.spec.schema import ModelSchema, Task

Array = np.ndarray[Any, np.dtype[Any]]
Metric = Callable[[Array], float]
"""Row weights [n] -> value."""
Extra = Callable[[Array, Array], Mapping[str, float]]
"""Truth and prediction -> the use case's own metrics."""

BINS = 10
DEFAULT_THRESHOLD = 0.5
DEFINED = 0.5
"""Share of the resamples on which a metric must be defined to have an interval."""
METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": (
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier",
        "expected_calibration_error",
        "calibration_gap",
        "accuracy",
        "precision",
        "recall",
        "f1",
    ),
    "multiclass": ("accuracy", "log_loss", "f1_macro", "roc_auc_macro"),
    "regression": ("rmse", "mae", "r2", "bias"),
}
"""Standard metrics by task. `calibration_gap` is mean prediction minus base rate; so is `bias` for values."""
LOWER_IS_BETTER = frozenset(("log_loss", "brier", "expected_calibration_error", "rmse", "mae"))
NEAR_ZERO_IS_BETTER = frozenset(("calibration_gap", "bias"))


def encode_truth(schema: ModelSchema, values: Any) -> Array:
    """Labels as float64 [n]: 0/1 for binary (1 is the last class), class indices, or values as they are.

    Raises `InvalidInput` when a label is missing or not one of the model's classes.
    """
    raw = np.asarray(values)
    if schema.task == "regression":
        truth = raw.astype(np.float64)
        if not np.isfinite(truth).all():
            raise InvalidInput("the target has missing values in the test rows")
        return truth
    known = {label: float(index) for index, label in enumerate(schema.classes)}
    labels, inverse = np.unique(raw, return_inverse=True)
    codes = [known.get(str(v), known.get(_integer_text(v))) for v in labels]
    if None in codes:
        wrong = [str(v) for v, code in zip(labels, codes, strict=True) if code is None]
        raise InvalidInput(
            f"the target has the values {', '.join(wrong[:5])}, "
            f"but the model knows the classes {', '.join(schema.classes)}"
        )
    return np.array(codes, dtype=np.float64)[inverse]


def _integer_text(value: Any) -> str:
    number = float(value) if isinstance(value, int | float | np.number | np.bool_) else float("nan")
    return str(int(number)) if number.is_integer() else ""


class Scores:
    """One model's predictions on labelled rows, prepared so that weighted metrics are cheap.

    `truth` is what `encode_truth` returns, `prediction` [n] or [n, classes] as the scoring core returns it.
    With a prediction that is not a finite number every metric is NaN.
    """

    def __init__(self, task: Task, truth: Array, prediction: Array, threshold: float | None = None) -> None:
        self.task, self.threshold = task, threshold
        self.truth = np.asarray(truth, dtype=np.float64)
        self.prediction = np.asarray(prediction, dtype=np.float64)
        self.rows = len(self.truth)
        if len(self.prediction) != self.rows:
            raise ValueError(f"{self.rows} labels, but {len(self.prediction)} predictions")
        self.metrics: dict[str, Metric]
        if self.rows == 0 or not np.isfinite(self.prediction).all():
            self.metrics = dict.fromkeys(METRICS[task], lambda _: float("nan"))
        elif task == "binary":
            cut = DEFAULT_THRESHOLD if threshold is None else threshold
            self.metrics = _binary(self.truth, self.prediction, cut)
        elif task == "multiclass":
            self.metrics = _multiclass(self.truth, self.prediction)
        else:
            self.metrics = _regression(self.truth, self.prediction)

    def subset(self, rows: Array) -> Scores:
        """The rows of a boolean mask [n]."""
        return Scores(self.task, self.truth[rows], self.prediction[rows], self.threshold)

    def value(self, name: str) -> float:
        """One point value; NaN where not defined."""
        return self.values([name])[name]

    def values(self, names: Sequence[str] | None = None) -> dict[str, float]:
        """Point values; NaN where not defined."""
        ones = np.ones(self.rows)
        return {name: float(self.metrics[name](ones)) for name in names or self.metrics}


def resamples_of(rows: int, resamples: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Bootstrap resamples of `rows` rows: the drawn indices [n] and the same as weights [n]."""
    generator = np.random.default_rng(seed)
    # A product of two columns is too short for a second thread, which waits for a core wherever all are busy.
    with threadpool_limits(1, "blas"):
        for _ in range(resamples):
            drawn = generator.integers(rows, size=rows)
            yield drawn, np.bincount(drawn, minlength=rows).astype(np.float64)


def intervals(
    scores: Scores,
    *,
    confidence: float,
    resamples: int,
    seed: int,
    extra: Extra | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Interval]:
    """Each metric with its two-sided percentile interval; one that is not defined is left out, and `tell`
    hears why in a sentence.

    `extra(truth, prediction)` gives the use case's own metrics, on the rows and on each resample of them;
    one that has the name of a standard metric does not replace it. A resample that lacks one (it has no such
    row, say) does not count: see `interval_of`. Raises `InvalidInput` for a value that is no number.
    """
    point = scores.values()
    try:
        given = _own(extra, scores.truth, scores.prediction) if extra else {}
    except (ValueError, ArithmeticError, LookupError) as error:
        raise InvalidInput(
            f"the use case's `evaluate` failed on the {scores.rows} rows ({type(error).__name__}: {error}); "
            "leave a metric out where it is not defined"
        ) from None
    own = {name: value for name, value in given.items() if name not in point}
    draws: dict[str, list[float]] = {name: [] for name in [*point, *own]}
    for drawn, weights in resamples_of(scores.rows, resamples, seed):
        for name, metric in scores.metrics.items():
            draws[name].append(float(metric(weights)))
        if extra and own:
            again = _again(extra, scores.truth[drawn], scores.prediction[drawn])
            for name in own:
                draws[name].append(again.get(name, math.nan))
    found = {}
    for name, value in {**point, **own}.items():
        interval = interval_of(value, draws[name], confidence)
        if interval is not None:
            found[name] = interval
        elif not math.isfinite(value):
            tell(f"{name} is not defined on the {scores.rows} rows: too few, or all of one class")
        else:
            defined = int(np.isfinite(draws[name]).sum())
            tell(
                f"{name} is {value:.4g} on the {scores.rows} rows, but defined on {defined} of {resamples} "
                f"resamples only; {DEFINED:.0%} are needed to say how sure it is: too few rows carry it"
            )
    return found


def interval_of(value: float, draws: Sequence[float], confidence: float) -> Interval | None:
    """The two-sided percentile interval of a metric from its value on resamples.

    None where the metric is not defined, or on fewer than `DEFINED` of the resamples: the others do not
    count, and an interval of few of them would tell of those alone.
    """
    usable = np.array([draw for draw in draws if math.isfinite(draw)])
    if not math.isfinite(value) or not len(usable) or len(usable) < DEFINED * len(draws):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Interval(value=float(value), low=float(low), high=float(high))


def _own(extra: Extra, truth: Array, prediction: Array) -> dict[str, float]:
    """The use case's metrics as numbers. Raises `InvalidInput` for what is none."""
    found = {}
    for name, value in extra(truth, prediction).items():
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
            raise InvalidInput(
                f"the use case's `evaluate` gives {name} = {value!r}, which is no number; "
                "leave a metric out where it is not defined, or give NaN"
            )
        found[str(name)] = float(value)
    return found


def _again(extra: Extra, truth: Array, prediction: Array) -> dict[str, float]:
    """The same on a resample. One that a metric cannot bear (a single class) has none of them."""
    try:
        return _own(extra, truth, prediction)
    except (ValueError, ArithmeticError, LookupError):
        return {}


def paired_intervals(
    one: Scores,
    other: Scores,
    *,
    confidence: float,
    resamples: int,
    seed: int,
    extra: Extra | None = None,
) -> dict[str, Interval]:
    """Every metric of `one` minus that of `other` on the same rows, its interval from the same resamples.

    One that is not defined for both is left out.
    """
    if not np.array_equal(one.truth, other.truth):
        raise ValueError("the two models were not scored on the same rows")
    names = [name for name in one.metrics if name in other.metrics]
    ones = np.ones(one.rows)
    value = {name: one.metrics[name](ones) - other.metrics[name](ones) for name in names}
    own = _apart(extra, one, other, np.arange(one.rows))
    value |= {name: found for name, found in own.items() if name not in value}
    draws: dict[str, list[float]] = {name: [] for name in value}
    for drawn, weights in resamples_of(one.rows, resamples, seed):
        for name in names:
            draws[name].append(one.metrics[name](weights) - other.metrics[name](weights))
        again = _apart(extra, one, other, drawn) if own else {}
        for name in value.keys() - set(names):
            draws[name].append(again.get(name, math.nan))
    found = {name: interval_of(float(v), draws[name], confidence) for name, v in value.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def _apart(extra: Extra | None, one: Scores, other: Scores, rows: Array) -> dict[str, float]:
    """Differences of the use case's own metrics on these rows; none where it cannot say."""
    if extra is None:
        return {}
    first = _again(extra, one.truth[rows], one.prediction[rows])
    second = _again(extra, other.truth[rows], other.prediction[rows])
    return {name: first[name] - second[name] for name in first if name in second}


def paired_differences(metric: str, one: Scores, other: Scores, *, resamples: int, seed: int) -> Array:
    """`metric` of `one` minus that of `other` on the same resamples of the same rows: [resamples]."""
    if not np.array_equal(one.truth, other.truth):
        raise ValueError("the two models were not scored on the same rows")
    first, second = one.metrics[metric], other.metrics[metric]
    return np.array([first(w) - second(w) for _, w in resamples_of(one.rows, resamples, seed)])


# --- the metrics ------------------------------------------------------------------------------------


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator > 0 else float("nan")


class _Ranking:
    """Rows sorted by score once, equal scores in one group: ROC AUC and average precision for any weights."""

    def __init__(self, positive: Array, score: Array) -> None:
        self.order = np.argsort(score, kind="stable")
        ranked = score[self.order]
        self.starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        self.positive = positive[self.order]
        self.ties = len(self.starts) < len(ranked)

    def _groups(self, weights: Array) -> tuple[Array, Array]:
        ranked = weights[self.order]
        positive = ranked * self.positive
        if not self.ties:
            return positive, ranked - positive
        return (
            np.add.reduceat(positive, self.starts),
            np.add.reduceat(ranked - positive, self.starts),
        )

    def roc_auc(self, weights: Array) -> float:
        positive, negative = self._groups(weights)
        below = np.cumsum(negative) - negative / 2
        return _ratio(float(positive @ below), float(positive.sum() * negative.sum()))

    def average_precision(self, weights: Array) -> float:
        positive, negative = (group[::-1] for group in self._groups(weights))
        hits = np.cumsum(positive)
        called = hits + np.cumsum(negative)
        precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        return _ratio(float(precision @ positive), float(positive.sum()))


def _mean(values: Array) -> Metric:
    return lambda w: _ratio(float(w @ values), float(w.sum()))


def _binary(truth: Array, prediction: Array, threshold: float) -> dict[str, Metric]:
    ranking = _Ranking(truth, prediction)
    tiny = np.finfo(np.float64).eps
    safe = np.clip(prediction, tiny, 1 - tiny)
    called = (prediction >= threshold).astype(np.float64)
    bins = np.clip((prediction * BINS).astype(int), 0, BINS - 1)
    gap = prediction - truth

    def calibration_error(w: Array) -> float:
        per_bin = np.bincount(bins, weights=w * gap, minlength=BINS)
        return _ratio(float(np.abs(per_bin).sum()), float(w.sum()))

    return {
        "roc_auc": ranking.roc_auc,
        "average_precision": ranking.average_precision,
        "log_loss": _mean(-(truth * np.log(safe) + (1 - truth) * np.log1p(-safe))),
        "brier": _mean(gap**2),
        "expected_calibration_error": calibration_error,
        "calibration_gap": _mean(gap),
        "accuracy": _mean((called == truth).astype(np.float64)),
        "precision": lambda w: _ratio(float(w @ (called * truth)), float(w @ called)),
        "recall": lambda w: _ratio(float(w @ (called * truth)), float(w @ truth)),
        "f1": lambda w: _ratio(2 * float(w @ (called * truth)), float(w @ (called + truth))),
    }


def _multiclass(truth: Array, prediction: Array) -> dict[str, Metric]:
    index = truth.astype(int)
    called = prediction.argmax(axis=1)
    classes = range(prediction.shape[1])
    tiny = np.finfo(np.float64).eps
    chosen = np.clip(prediction[np.arange(len(index)), index], tiny, 1)
    of_class = [((index == k).astype(np.float64), (called == k).astype(np.float64)) for k in classes]
    rankings = [_Ranking(of_class[k][0], prediction[:, k]) for k in classes]

    def f1_macro(w: Array) -> float:
        return float(np.mean([_ratio(2 * float(w @ (c * t)), float(w @ (c + t))) for t, c in of_class]))

    return {
        "accuracy": _mean((index == called).astype(np.float64)),
        "log_loss": _mean(-np.log(chosen)),
        "f1_macro": f1_macro,
        "roc_auc_macro": lambda w: float(np.mean([r.roc_auc(w) for r in rankings])),
    }


def _regression(truth: Array, prediction: Array) -> dict[str, Metric]:
    error = prediction - truth
    squared = _mean(error**2)

    def r2(w: Array) -> float:
        centre = _ratio(float(w @ truth), float(w.sum()))
        return 1 - _ratio(float(w @ error**2), float(w @ (truth - centre) ** 2))

    return {
        "rmse": lambda w: float(np.sqrt(squared(w))),
        "mae": _mean(np.abs(error)),
        "r2": r2,
        "bias": _mean(error),
    }
