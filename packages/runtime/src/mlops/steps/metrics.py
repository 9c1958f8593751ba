"""Metrics that take row weights, and the bootstrap that makes intervals and paired differences of them.

A resample of the rows is the same as integer weights on them. So each metric sorts its predictions once, and
every resample costs a few passes over arrays: 500 resamples of 27,000 rows, all binary metrics, take about
a second. Point values equal scikit-learn's (tests compare them); a metric that is not defined is NaN.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mlops.errors import InvalidInput
from mlops.spec.gatepolicy import Direction
from mlops.spec.gates import Interval
from mlops.spec.schema import ModelSchema, Task
from mlops.spec.tasks import CALLED, is_values

Array = np.ndarray[Any, np.dtype[Any]]
Metric = Callable[[Array], float]
"""Row weights [n] -> value."""
Extra = Callable[[Array, Array], Mapping[str, float]]
"""Truth and prediction -> the use case's own metrics."""


@dataclass(frozen=True)
class About:
    """What else is known of labelled rows, beside truth and prediction."""

    outputs: Sequence[str] = ()
    """Names of the values of an answer: the quantiles."""
    groups: Array | None = None
    """[n]: rows of one group belong together (a query, a patient, a stretch of time)."""
    baseline: Array | None = None
    """[n]: what a trivial model would answer."""
    extra: Extra | None = None
    """The use case's own metrics."""
    own: tuple[str, ...] = ()
    """Their names: a part of the rows may lack one."""


NOTHING = About()

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
    "multilabel": (
        "f1_micro",
        "f1_macro",
        "hamming_loss",
        "subset_accuracy",
        "log_loss",
        "roc_auc_macro",
    ),
    "regression": ("rmse", "mae", "r2", "bias"),
    "quantiles": ("pinball_loss", "coverage", "coverage_gap", "width", "crossing"),
    "forecast": ("mae", "rmse", "wape", "bias", "skill"),
    "ranking": ("ndcg", "ndcg_at_5", "mean_average_precision", "reciprocal_rank"),
    "custom": (),
}
"""Standard metrics by task. `calibration_gap` is mean prediction minus base rate; so is `bias` for values.

`coverage` is how much of the truth lies between the outermost quantiles, `coverage_gap` by how much that is
more than they promise; `skill` is 1 minus the error as a share of the baseline's (the seasonal naive
forecast).
"""
MAIN: Mapping[Task, tuple[str, Direction]] = {
    "binary": ("roc_auc", "higher"),
    "multiclass": ("accuracy", "higher"),
    "multilabel": ("log_loss", "lower"),
    "regression": ("rmse", "lower"),
    "quantiles": ("pinball_loss", "lower"),
    "forecast": ("mae", "lower"),
    "ranking": ("ndcg", "higher"),
}
"""The metric that says most of a task, and which way is better; a custom task names its own."""
LOWER_IS_BETTER = frozenset(
    (
        "log_loss",
        "brier",
        "expected_calibration_error",
        "rmse",
        "mae",
        "wape",
        "hamming_loss",
        "pinball_loss",
        "crossing",
        "width",
    )
)
NEAR_ZERO_IS_BETTER = frozenset(("calibration_gap", "bias", "coverage_gap"))


def encode_truth(schema: ModelSchema, values: Any) -> Array:
    """Labels as float64 [n]: 0/1 for binary (1 is the last class), class indices, or values as they are; for
    several labels 0/1 [n, labels]. Of a custom task they stay what they are, or are numbers [n, outputs].

    Raises `InvalidInput` when a label is missing or not one of the model's classes.
    """
    if schema.task == "custom":
        return several(values, len(schema.outputs)) if schema.outputs else _as_they_are(values)
    if schema.task == "multilabel":
        return indicators(values, schema.classes)
    raw = np.asarray(values)
    if is_values(schema.task):
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


def indicators(values: Any, labels: Sequence[str]) -> Array:
    """Lists of labels (or one text with `+` or `;` between them) as 0/1 [n, labels].

    Raises `InvalidInput` for a label that is none of `labels`.
    """
    place = {label: index for index, label in enumerate(labels)}
    found = np.zeros((len(values), len(labels)))
    unknown: set[str] = set()
    for row, given in enumerate(values):
        for label in labels_of(given):
            if label in place:
                found[row, place[label]] = 1.0
            else:
                unknown.add(label)
    if unknown:
        raise InvalidInput(
            f"the target has the labels {', '.join(sorted(unknown)[:5])}, but the model knows "
            f"{', '.join(labels)}"
        )
    return found


def labels_of(value: Any) -> list[str]:
    """The labels of a row, whatever it holds them in."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, str):
        return [part for part in value.replace(";", "+").split("+") if part and part != "none"]
    return [str(label) for label in value]


def _as_they_are(values: Any) -> Array:
    """Numbers as float64, anything else as objects, one a row."""
    try:
        raw = np.asarray(values)
    except ValueError:  # lists of several lengths
        raw = np.empty(len(values), dtype=object)
    if raw.dtype.kind in "iufb":
        return raw.astype(np.float64)
    found = np.empty(len(raw), dtype=object)
    found[:] = list(values)
    return found


def several(values: Any, outputs: int) -> Array:
    """Targets of a model with several outputs: float64 [n, outputs], where each row is a list of as many
    numbers (or its JSON, as in a file of labels); else what they are, one a row."""
    rows = [_read(value) for value in values]
    try:
        found = np.array([np.asarray(row, dtype=np.float64) for row in rows])
    except (ValueError, TypeError):
        found = np.empty(0)
    return found if found.shape == (len(rows), outputs) else _as_they_are(rows)


def _read(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("["):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


def _integer_text(value: Any) -> str:
    number = float(value) if isinstance(value, int | float | np.number | np.bool_) else float("nan")
    return str(int(number)) if number.is_integer() else ""


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
            self.metrics = dict.fromkeys(METRICS[task], lambda _: float("nan"))
        else:
            self.metrics = _STANDARD[task](self)
        if about.extra is not None and self.rows:
            told = _Own(about.extra, self.truth, self.prediction)
            if not about.own:
                names = tuple(name for name in told.names() if name not in self.metrics)
                self.about = replace(about, own=names)
            self.metrics |= {name: told.metric(name) for name in self.about.own}

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

    def value(self, name: str) -> float:
        """One point value; NaN where not defined."""
        return self.values([name])[name]

    def values(self, names: Sequence[str] | None = None) -> dict[str, float]:
        """Point values; NaN where not defined."""
        ones = np.ones(self.rows)
        return {name: float(self.metrics[name](ones)) for name in names or self.metrics}


class _Own:
    """The use case's own metrics as functions of weights: a resample is asked once for all of them."""

    def __init__(self, extra: Extra, truth: Array, prediction: Array) -> None:
        self._extra, self._truth, self._prediction = extra, truth, prediction
        self._weights: Array | None = None
        self._found: dict[str, float] = {}

    def names(self) -> list[str]:
        return list(_again(self._extra, self._truth, self._prediction))

    def metric(self, name: str) -> Metric:
        return lambda weights: self._ask(weights).get(name, math.nan)

    def _ask(self, weights: Array) -> dict[str, float]:
        if weights is not self._weights:
            drawn = np.repeat(np.arange(len(weights)), weights.astype(int))
            self._found = _again(self._extra, self._truth[drawn], self._prediction[drawn])
            self._weights = weights
        return self._found


def resamples_of(
    rows: int, resamples: int, seed: int, codes: Array | None = None
) -> Iterator[tuple[Array, Array]]:
    """Bootstrap resamples of `rows` rows: the drawn indices [n] and the same as weights [n].

    With `codes` [n] (0, 1, …: the group of each row) whole groups are drawn.
    """
    generator = np.random.default_rng(seed)
    # A product of two columns is too short for a second thread, which waits for a core wherever all are busy.
    with threadpool_limits(1, "blas"):
        groups = rows if codes is None else int(codes.max()) + 1
        for _ in range(resamples):
            drawn = generator.integers(groups, size=groups)
            weights = np.bincount(drawn, minlength=groups).astype(np.float64)
            if codes is not None:
                weights = weights[codes]
                drawn = np.repeat(np.arange(rows), weights.astype(int))
            yield drawn, weights


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
    for drawn, weights in scores.resamples(resamples, seed):
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
    return np.array([first(w) - second(w) for _, w in one.resamples(resamples, seed)])


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


def _multilabel(truth: Array, prediction: Array) -> dict[str, Metric]:
    called = (prediction >= CALLED).astype(np.float64)
    tiny = np.finfo(np.float64).eps
    safe = np.clip(prediction, tiny, 1 - tiny)
    hits, named, true = called * truth, called, truth
    rankings = [_Ranking(truth[:, k], prediction[:, k]) for k in range(truth.shape[1])]

    def f1_macro(w: Array) -> float:
        found = [
            _ratio(2 * float(w @ h), float(w @ (c + t)))
            for h, c, t in zip(hits.T, named.T, true.T, strict=True)
        ]
        return float(np.mean(found))

    return {
        "f1_micro": lambda w: _ratio(2 * float((w @ hits).sum()), float((w @ (named + true)).sum())),
        "f1_macro": f1_macro,
        "hamming_loss": _mean(np.asarray((called != truth).mean(axis=1))),
        "subset_accuracy": _mean(np.asarray((called == truth).all(axis=1), dtype=np.float64)),
        "log_loss": _mean(np.asarray(-(truth * np.log(safe) + (1 - truth) * np.log1p(-safe)).mean(axis=1))),
        "roc_auc_macro": lambda w: float(np.mean([r.roc_auc(w) for r in rankings])),
    }


def _quantiles(truth: Array, prediction: Array, names: Sequence[str]) -> dict[str, Metric]:
    levels = np.array([float(name) for name in names])
    error = truth[:, None] - prediction
    low, high = prediction[:, levels.argmin()], prediction[:, levels.argmax()]
    covered = _mean(((truth >= low) & (truth <= high)).astype(np.float64))
    promised = float(levels.max() - levels.min())
    ordered = prediction[:, np.argsort(levels)]
    return {
        "pinball_loss": _mean(np.asarray(np.maximum(levels * error, (levels - 1) * error).mean(axis=1))),
        "coverage": covered,
        "coverage_gap": lambda w: covered(w) - promised,
        "width": _mean(high - low),
        "crossing": _mean(np.asarray((np.diff(ordered, axis=1) < 0).any(axis=1), dtype=np.float64)),
    }


def _forecast(truth: Array, prediction: Array, baseline: Array | None) -> dict[str, Metric]:
    error, size = np.abs(prediction - truth), np.abs(truth)
    naive = None if baseline is None else np.abs(baseline - truth)
    found = _regression(truth, prediction)
    found["wape"] = lambda w: _ratio(float(w @ error), float(w @ size))
    found["skill"] = lambda w: math.nan if naive is None else 1 - _ratio(float(w @ error), float(w @ naive))
    return {name: found[name] for name in METRICS["forecast"]}


def _ranked(truth: Array, prediction: Array, codes: Array) -> dict[str, Metric]:
    """Each group's own figure, averaged over groups; one without a relevant row has none."""
    # Of rows with the same score the least relevant comes first: the order of the rows must not flatter.
    order = np.lexsort((truth, -prediction, codes))
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) > 0])
    first = order[starts]
    figures = np.array([_figures(part) for part in np.split(truth[order], starts[1:])])

    def averaged(column: int) -> Metric:
        values = figures[:, column]
        known = np.isfinite(values)
        return lambda w: _ratio(float(w[first][known] @ values[known]), float(w[first][known].sum()))

    return {name: averaged(i) for i, name in enumerate(METRICS["ranking"])}


def _figures(truth: Array) -> tuple[float, float, float, float]:
    """Of one group in the order of the model's scores: NDCG, NDCG at 5, average precision, reciprocal
    rank."""
    relevant = truth > 0
    if not relevant.any():
        return (math.nan,) * 4
    discounts = 1 / np.log2(np.arange(2, len(truth) + 2))
    gains, best = 2.0**truth - 1, 2.0 ** np.sort(truth)[::-1] - 1
    ndcg, at_5 = (float(gains[:k] @ discounts[:k]) / float(best[:k] @ discounts[:k]) for k in (len(truth), 5))
    places = np.flatnonzero(relevant) + 1
    precision = float(np.mean(np.arange(1, len(places) + 1) / places))
    return ndcg, at_5, precision, 1 / float(places[0])


def _of_binary(scores: Scores) -> dict[str, Metric]:
    cut = DEFAULT_THRESHOLD if scores.threshold is None else scores.threshold
    return _binary(scores.truth, scores.prediction, cut)


_STANDARD: Mapping[Task, Callable[[Scores], dict[str, Metric]]] = {
    "binary": _of_binary,
    "multiclass": lambda s: _multiclass(s.truth, s.prediction),
    "multilabel": lambda s: _multilabel(s.truth, s.prediction),
    "regression": lambda s: _regression(s.truth, s.prediction),
    "quantiles": lambda s: _quantiles(s.truth, s.prediction, s.about.outputs),
    "forecast": lambda s: _forecast(s.truth, s.prediction, s.about.baseline),
    "ranking": lambda s: _ranked(s.truth, s.prediction, s.codes),
    "custom": lambda _: {},
}
