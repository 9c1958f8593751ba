"""How sure a metric is: intervals by resampling, of one model and of the difference of two."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from mlops.errors import InvalidInput
from mlops.metrics.resampling import draws
from mlops.metrics.scores import Extra, Scores, own_metrics, own_on
from mlops.metrics.truth import Array
from mlops.spec.gates import Interval
from mlops.usecase import package_folder, place_of

DEFINED = 0.5
"""Share of the resamples on which a metric must be defined to have an interval."""


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
        given = own_metrics(extra, scores.truth, scores.prediction, scores.about.weights) if extra else {}
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
        resampled = [own_on(extra, scores, rows) for rows, _ in scores.resamples(resamples, seed)]
        drawn |= {name: np.array([one.get(name, math.nan) for one in resampled]) for name in own}
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
    first, second = draws([one.metrics, other.metrics], one.rows, resamples, seed, one.joined)
    drawn = {name: first[name] - second[name] for name in names}
    if own:
        resampled = [_apart(extra, one, other, rows) for rows, _ in one.resamples(resamples, seed)]
        drawn |= {
            name: np.array([apart.get(name, math.nan) for apart in resampled])
            for name in value.keys() - set(names)
        }
    paired = {name: interval_of(float(v), drawn[name], confidence) for name, v in value.items()}
    return {name: interval for name, interval in paired.items() if interval is not None}


def _apart(extra: Extra | None, one: Scores, other: Scores, rows: Array) -> dict[str, float]:
    """Differences of the use case's own metrics on these rows; none where it cannot say."""
    if extra is None:
        return {}
    first, second = own_on(extra, one, rows), own_on(extra, other, rows)
    return {name: first[name] - second[name] for name in first if name in second}


def paired_differences(metric: str, one: Scores, other: Scores, *, resamples: int, seed: int) -> Array:
    """`metric` of `one` minus that of `other` on the same resamples of the same rows: [resamples]."""
    if not np.array_equal(one.truth, other.truth):
        raise ValueError("the two models were not scored on the same rows")
    asked = [{metric: one.metrics[metric]}, {metric: other.metrics[metric]}]
    first, second = draws(asked, one.rows, resamples, seed, one.joined)
    return first[metric] - second[metric]
