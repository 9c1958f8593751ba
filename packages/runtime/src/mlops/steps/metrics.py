"""Metrics that take row weights, and the bootstrap that makes intervals and paired differences of them.

A resample of the rows is the same as integer weights on them. So each metric sorts its predictions once, and
every resample costs a few passes over arrays: 500 resamples of 27,000 rows, all binary metrics, take about
a second. Point values equal scikit-learn's (tests compare them); a metric that is not defined is NaN.
"""

from __future__ import annotations

import contextlib
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlops import tracking
from mlops.errors import InvalidInput
from mlops.spec.gates import Interval
from mlops.spec.metrics import METRICS
from mlops.spec.schema import ModelSchema, Task
from mlops.spec.tasks import CALLED, is_values
from mlops.steps.resampling import (
    Cells,
    Mean,
    Metric,
    Ranking,
    Summed,
    average_precision,
    draws,
    ratio,
    resamples_of,
    roc_auc,
)
from mlops.usecase import package_folder, place_of

Array = np.ndarray[Any, np.dtype[Any]]
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
    table = np.zeros((len(values), len(labels)))
    unknown: set[str] = set()
    for row, given in enumerate(values):
        for label in labels_of(given):
            if label in place:
                table[row, place[label]] = 1.0
            else:
                unknown.add(label)
    if unknown:
        raise InvalidInput(
            f"the target has the labels {', '.join(sorted(unknown)[:5])}, but the model knows "
            f"{', '.join(labels)}"
        )
    return table


def labels_of(value: Any) -> list[str]:
    """The labels of a row, whatever it holds them in."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, str):
        return [part for part in value.replace(";", "+").split("+") if part and part != "none"]
    return [str(label) for label in value]


def _as_they_are(values: Any) -> Array:
    """Numbers as float64, also [n, k] where each row is a list of k of them; anything else as objects, one
    a row."""
    with contextlib.suppress(ValueError):  # lists of several lengths
        raw = np.asarray(values)
        if raw.dtype == object:  # a column whose cells are lists
            raw = np.array([np.asarray(value) for value in values])
        if raw.dtype.kind in "iufb":
            return raw.astype(np.float64)
    objects = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        objects[row] = value
    return objects


def several(values: Any, outputs: int) -> Array:
    """Targets of a model with several outputs: float64 [n, outputs], where each row is a list of as many
    numbers (or its JSON, as in a file of labels); else what they are, one a row."""
    rows = [_read(value) for value in values]
    try:
        table = np.array([np.asarray(row, dtype=np.float64) for row in rows])
    except (ValueError, TypeError):
        table = np.empty(0)
    return table if table.shape == (len(rows), outputs) else _as_they_are(rows)


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
            self.metrics = dict.fromkeys(METRICS[task], Summed(lambda: math.nan))
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
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001 - the use case's own code, whose line is said
        place = place_of(error, package_folder(extra.__module__)) if extra else ""
        raise InvalidInput(
            f"the use case's `evaluate` failed on the {scores.rows} rows "
            f"({': '.join(part for part in (place, type(error).__name__, str(error)) if part)}); "
            "leave a metric out where it is not defined"
        ) from None
    own = {name: value for name, value in given.items() if name not in point}
    drawn = scores.draws(resamples, seed)
    if extra and own:
        again = [
            _again(extra, scores.truth[rows], scores.prediction[rows])
            for rows, _ in scores.resamples(resamples, seed)
        ]
        drawn |= {name: np.array([one.get(name, math.nan) for one in again]) for name in own}
    by_metric = {}
    for name, value in {**point, **own}.items():
        interval = interval_of(value, drawn[name], confidence)
        if interval is not None:
            by_metric[name] = interval
        elif not math.isfinite(value):
            tell(f"{name} is not defined on the {scores.rows} rows: too few, or all of one class")
        else:
            defined = int(np.isfinite(drawn[name]).sum())
            tell(
                f"{name} is {value:.4g} on the {scores.rows} rows, but defined on {defined} of {resamples} "
                f"resamples only; {DEFINED:.0%} are needed to say how sure it is: too few rows carry it"
            )
    return by_metric


def interval_of(value: float, drawn: Sequence[float] | Array, confidence: float) -> Interval | None:
    """The two-sided percentile interval of a metric from its value on resamples.

    None where the metric is not defined, or on fewer than `DEFINED` of the resamples: the others do not
    count, and an interval of few of them would tell of those alone.
    """
    every = np.asarray(drawn, dtype=np.float64)
    usable = every[np.isfinite(every)]
    if not math.isfinite(value) or not len(usable) or len(usable) < DEFINED * len(every):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Interval(value=float(value), low=float(low), high=float(high))


def _own(extra: Extra, truth: Array, prediction: Array) -> dict[str, float]:
    """The use case's metrics as numbers. Raises `InvalidInput` for what is none."""
    values = {}
    for name, value in extra(truth, prediction).items():
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


def _again(extra: Extra, truth: Array, prediction: Array) -> dict[str, float]:
    """The same on a resample. One that a metric cannot bear (a single class) has none of them."""
    try:
        with warnings.catch_warnings():
            # Of a resample; what is wrong with the rows themselves was said once, by `_own`.
            warnings.simplefilter("ignore")
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
    value |= {name: paired for name, paired in own.items() if name not in value}
    first, second = draws([one.metrics, other.metrics], one.rows, resamples, seed)
    drawn = {name: first[name] - second[name] for name in names}
    if own:
        again = [_apart(extra, one, other, rows) for rows, _ in resamples_of(one.rows, resamples, seed)]
        drawn |= {
            name: np.array([apart.get(name, math.nan) for apart in again])
            for name in value.keys() - set(names)
        }
    paired = {name: interval_of(float(v), drawn[name], confidence) for name, v in value.items()}
    return {name: interval for name, interval in paired.items() if interval is not None}


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
    asked = [{metric: one.metrics[metric]}, {metric: other.metrics[metric]}]
    first, second = draws(asked, one.rows, resamples, seed, one.joined)
    return first[metric] - second[metric]


# --- the metrics ------------------------------------------------------------------------------------


def _mean(values: Array) -> Summed:
    return Summed(ratio, values, np.ones(len(values)))


def _binary(truth: Array, prediction: Array, threshold: float) -> dict[str, Metric]:
    ranking = Ranking(truth, prediction)
    tiny = np.finfo(np.float64).eps
    safe = np.clip(prediction, tiny, 1 - tiny)
    called = (prediction >= threshold).astype(np.float64)
    hits, ones = called * truth, np.ones(len(truth))
    gap = prediction - truth
    bins = Cells(np.clip((prediction * BINS).astype(int), 0, BINS - 1), BINS, gap)
    return {
        "roc_auc": ranking.metric(roc_auc),
        "average_precision": ranking.metric(average_precision),
        "log_loss": Summed(ratio, -(truth * np.log(safe) + (1 - truth) * np.log1p(-safe)), ones),
        "brier": Summed(ratio, gap**2, ones),
        "expected_calibration_error": Summed(
            lambda per_bin, all_rows: ratio(np.abs(per_bin).sum(axis=1), all_rows), bins, ones
        ),
        "calibration_gap": Summed(ratio, gap, ones),
        "accuracy": Summed(ratio, (called == truth).astype(np.float64), ones),
        "precision": Summed(ratio, hits, called),
        "recall": Summed(ratio, hits, truth),
        "f1": Summed(lambda hit, named, true: ratio(2 * hit, named + true), hits, called, truth),
    }


def _multiclass(truth: Array, prediction: Array) -> dict[str, Metric]:
    index = truth.astype(int)
    called = prediction.argmax(axis=1)
    count = prediction.shape[1]
    tiny = np.finfo(np.float64).eps
    chosen = np.clip(prediction[np.arange(len(index)), index], tiny, 1)
    confusion = Cells(index * count + called, count**2)
    rankings = [Ranking((index == k).astype(np.float64), prediction[:, k]) for k in range(count)]

    def f1_macro(cells: Array) -> Any:
        table = cells.reshape(-1, count, count)
        hits = np.diagonal(table, axis1=1, axis2=2)
        return ratio(2 * hits, table.sum(axis=1) + table.sum(axis=2)).mean(axis=1)

    return {
        "accuracy": _mean((index == called).astype(np.float64)),
        "log_loss": _mean(-np.log(chosen)),
        "f1_macro": Summed(f1_macro, confusion),
        "roc_auc_macro": Mean([ranking.metric(roc_auc) for ranking in rankings]),
    }


def _regression(truth: Array, prediction: Array) -> dict[str, Metric]:
    error = prediction - truth
    # From the middle, so that squares of large values do not cancel out.
    centred = truth - truth.mean()
    squared, ones = error**2, np.ones(len(error))

    def r2(errors: Any, squares: Any, values: Any, rows: Any) -> Any:
        return 1 - ratio(errors, squares - ratio(values**2, rows))

    return {
        "rmse": Summed(lambda errors, rows: np.sqrt(ratio(errors, rows)), squared, ones),
        "mae": Summed(ratio, np.abs(error), ones),
        "r2": Summed(r2, squared, centred**2, centred, ones),
        "bias": Summed(ratio, error, ones),
    }


def _multilabel(truth: Array, prediction: Array) -> dict[str, Metric]:
    called = (prediction >= CALLED).astype(np.float64)
    tiny = np.finfo(np.float64).eps
    safe = np.clip(prediction, tiny, 1 - tiny)
    hits, named = called * truth, called + truth
    rankings = [Ranking(truth[:, k], prediction[:, k]) for k in range(truth.shape[1])]
    return {
        "f1_micro": Summed(lambda hit, all_of: ratio(2 * hit.sum(axis=1), all_of.sum(axis=1)), hits, named),
        "f1_macro": Summed(lambda hit, all_of: ratio(2 * hit, all_of).mean(axis=1), hits, named),
        "hamming_loss": _mean(np.asarray((called != truth).mean(axis=1))),
        "subset_accuracy": _mean(np.asarray((called == truth).all(axis=1), dtype=np.float64)),
        "log_loss": _mean(np.asarray(-(truth * np.log(safe) + (1 - truth) * np.log1p(-safe)).mean(axis=1))),
        "roc_auc_macro": Mean([ranking.metric(roc_auc) for ranking in rankings]),
    }


def _quantiles(truth: Array, prediction: Array, names: Sequence[str]) -> dict[str, Metric]:
    levels = np.array([float(name) for name in names])
    error = truth[:, None] - prediction
    low, high = prediction[:, levels.argmin()], prediction[:, levels.argmax()]
    covered, ones = ((truth >= low) & (truth <= high)).astype(np.float64), np.ones(len(truth))
    promised = float(levels.max() - levels.min())
    ordered = prediction[:, np.argsort(levels)]
    return {
        "pinball_loss": _mean(np.asarray(np.maximum(levels * error, (levels - 1) * error).mean(axis=1))),
        "coverage": Summed(ratio, covered, ones),
        "coverage_gap": Summed(lambda inside, rows: ratio(inside, rows) - promised, covered, ones),
        "width": _mean(high - low),
        "crossing": _mean(np.asarray((np.diff(ordered, axis=1) < 0).any(axis=1), dtype=np.float64)),
    }


def _forecast(truth: Array, prediction: Array, baseline: Array | None) -> dict[str, Metric]:
    error, size = np.abs(prediction - truth), np.abs(truth)
    metrics = _regression(truth, prediction)
    metrics["wape"] = Summed(ratio, error, size)
    if baseline is None:
        metrics["skill"] = Summed(lambda: math.nan)
    else:
        metrics["skill"] = Summed(lambda ours, naive: 1 - ratio(ours, naive), error, np.abs(baseline - truth))
    return {name: metrics[name] for name in METRICS["forecast"]}


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
        return lambda w: float(ratio(w[first][known] @ values[known], w[first][known].sum()))

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
