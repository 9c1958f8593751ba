"""From what was counted to a verdict: pure functions over plain data.

A column has drifted when an effect size is beyond its threshold *and* a test, corrected for the number of
columns, says that chance does not explain it. Where monitor.yml gives only one of the two, that one decides.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlops.monitoring import distance, telling
from mlops.monitoring.profile import (
    PREDICTION,
    ColumnProfile,
    Profile,
    RichProfile,
    groups,
    ordered,
    unfamiliar,
)
from mlops.monitoring.scan import ColumnFacts
from mlops.monitoring.thresholds import Kind, Rules
from mlops.spec.gates import Interval
from mlops.spec.monitoring import PerformanceLimit, Signal, SignalKind, VolumeLimit
from mlops.spec.schema import Column

_EFFECTS = {
    "population_stability_index": ("psi", distance.psi),
    "jensen_shannon_distance": ("jensen_shannon", distance.jensen_shannon),
}
_TESTS = {
    "two_sample_kolmogorov_smirnov_test": "ks",
    "pearsons_chi_squared_test": "chi_squared",
}
Correction = Callable[[Sequence[float]], list[float]]


@dataclass(frozen=True)
class Compared:
    """One column (or a trait of it) against its reference, before anything is said about it."""

    name: str
    kind: Kind
    values: Mapping[str, float]
    """psi, jensen_shannon, the statistic of the test, and the shares that a person asks for."""
    p_value: float
    """Of the tests that fit the column together, without correction for other columns."""
    rows: int
    column: str = ""
    """Where `name` is a trait: the column that has it."""


def compare(reference: ColumnProfile, current: ColumnProfile) -> Compared:
    """All distances of one column; both profiles have the same bins.

    Beside the test of the whole distribution, each way out of it has a test of its own: nulls, values outside
    of the reference's range, categories that it had not.
    """
    old, new = groups(reference, current)
    values = {label: measure(old, new) for label, measure in _EFFECTS.values()}
    values |= {"null_rate": current.null_rate, "reference_null_rate": reference.null_rate}
    kind: Kind
    old_some, new_some = reference.rows - reference.nulls, current.rows - current.nulls
    ways = [(reference.nulls, reference.rows, current.nulls, current.rows)]
    if reference.kind == "numeric":
        kind = "numerical"
        values["ks"], p_value = distance.kolmogorov_smirnov(ordered(reference), ordered(current))
        for ours, theirs in (
            (reference.below, current.below),
            (reference.between, current.between),
            (reference.counts[-1], current.counts[-1]),
        ):
            ways.append((ours, old_some, theirs, new_some))
        values["outside"] = (current.below + current.between + current.counts[-1]) / max(1, new_some)
    else:
        kind = "categorical"
        values["chi_squared"], p_value = distance.chi_squared(old, new)
        if reference.text is None and reference.rich is None:
            ways.append(
                (unfamiliar(reference, reference), old_some, unfamiliar(reference, current), new_some)
            )
            values["unseen"] = current.counts[-1] / max(1, new_some)
    # What neither side has cannot differ, and costs the other tests nothing.
    tests = [distance.rates(*way) for way in ways if way[0] + way[2]]
    p_value = distance.together([p_value, *tests])
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return Compared(reference.name, kind, finite, p_value, current.rows)


def traits(reference: ColumnProfile, current: ColumnProfile) -> list[Compared]:
    """What free text, vectors, lists, images and moments are compared by: numbers that a person understands,
    and whether a classifier tells production from training. Empty for other columns."""
    pairs: list[tuple[str, ColumnProfile, ColumnProfile]] = []
    if reference.text is not None and current.text is not None:
        pairs.append(("length", reference.text.length, current.text.length))
        pairs.append(("unknown words", reference.text.unknown, current.text.unknown))
    old, new = reference.rich, current.rich
    if old is not None and new is not None:
        pairs += [(o.name, o, n) for o, n in zip(old.traits, new.traits, strict=True)]
    compared = [
        replace(
            compare(ours, theirs),
            name=f"{reference.name} ({label})",
            kind="categorical",
            column=reference.name,
        )
        for label, ours, theirs in pairs
    ]
    if old is not None and new is not None and (told := _told_apart(old, new)) is not None:
        compared.append(replace(told, name=f"{reference.name} (classifier)", column=reference.name))
    return compared


def _told_apart(old: RichProfile, new: RichProfile) -> Compared | None:
    """The scores of a classifier that tells production from training, on values that it has not seen."""
    ours, theirs = np.array(old.sample), np.array(new.sample)
    verdict = telling.apart(ours, theirs) if len(ours) and len(theirs) else None
    if verdict is None:
        return None
    area, p_value = verdict
    before, after = telling.scores(ours, theirs)
    edges = np.quantile(before, np.linspace(0, 1, 11)[1:-1])
    counts = [np.bincount(np.searchsorted(edges, side), minlength=10) for side in (before, after)]
    values = {label: measure(*counts) for label, measure in _EFFECTS.values()}
    return Compared("", "categorical", {**values, "classifier_auc": area}, p_value, len(theirs))


def drift(
    reference: Profile, facts: Mapping[str, ColumnFacts], rules: Rules, correction: Correction
) -> list[Signal]:
    """One signal a column of the reference; those that `rules` leaves out are measured, and never alarm."""
    compared, told = [], []
    for profile in reference.columns:
        fact = facts.get(profile.name)
        if fact is None or fact.profile is None:
            told.append(_skipped("drift", profile.name, "the captured rows do not have this column"))
        else:
            compared += [compare(profile, fact.profile), *traits(profile, fact.profile)]
    return [*_decide("drift", compared, rules, correction), *told]


def prediction_drift(
    reference: ColumnProfile | None, current: ColumnProfile | None, rules: Rules, correction: Correction
) -> list[Signal]:
    """One signal: the predictions against those on the release's test rows."""
    if reference is None or current is None:
        return [_skipped("prediction", PREDICTION, "the release's reference has no predictions")]
    return _decide("prediction", [compare(reference, current)], Rules(rules.limits), correction)


def _decide(
    kind: SignalKind, compared: Sequence[Compared], rules: Rules, correction: Correction
) -> list[Signal]:
    """The correction is for the columns that can alarm: the others make nobody act."""
    judged = [c for c in compared if rules.admits(c.column or c.name) and rules.limits.get(c.kind)]
    adjusted = dict(zip((c.name for c in judged), correction([c.p_value for c in judged]), strict=True))
    return [_drifted(kind, c, rules, adjusted.get(c.name)) for c in compared]


def _drifted(kind: SignalKind, column: Compared, rules: Rules, p_value: float | None) -> Signal:
    limits = rules.limits.get(column.kind, {})
    effects = {m: limit for m, limit in limits.items() if m in _EFFECTS}
    tests = {m: limit for m, limit in limits.items() if m in _TESTS}
    # The effect that is furthest beyond its limit is the one to tell of.
    leading = max(effects, key=lambda m: _over(column.values[_EFFECTS[m][0]], effects[m]), default=None)
    label = _EFFECTS[leading][0] if leading else _TESTS[next(iter(tests))] if tests else "psi"
    large = leading is not None and column.values[label] > effects[leading]
    level = min(tests.values(), default=None)
    sure = level is None or (p_value is not None and p_value <= level)
    words = [f"{_EFFECTS[m][0]} at most {limit:g}" for m, limit in effects.items()]
    words += [f"or p above {level:g}"] if level is not None and effects else []
    words += [f"p above {level:g}"] if level is not None and not effects else []
    signal = Signal(
        kind=kind,
        name=column.name,
        metric=label,
        verdict="pass",
        observed=column.values.get(label),
        limit=", ".join(words),
        p_value=p_value,
        values=dict(column.values),
    )
    if p_value is None:
        return signal.model_copy(
            update={
                "verdict": "skipped",
                "limit": "",
                "detail": "measured only: monitor.yml does not name it",
            }
        )
    if (large or not effects) and sure:
        return signal.model_copy(update={"verdict": "breach"})
    if large:
        return signal.model_copy(update={"detail": "moved, but chance explains it in so few rows"})
    return signal


def _over(value: float, limit: float) -> float:
    return value / limit if limit else value + 1


def quality(
    columns: Sequence[Column], facts: Mapping[str, ColumnFacts], reference: Profile, rules: Rules
) -> list[Signal]:
    """One signal a column and rate that has a limit.

    Null rates are judged by their rise over the reference: a column that was null in most training rows
    may be so in production.
    """
    signals = []
    for column in columns:
        kind: Kind = "numerical" if column.type in ("integer", "number") else "categorical"
        limits = rules.limits.get(kind, {})
        if not limits or not rules.admits(column.name):
            continue
        fact = facts.get(column.name)
        if fact is None or not fact.rows:
            signals.append(_skipped("quality", column.name, "the captured rows do not have this column"))
            continue
        before = reference.column(column.name)
        usual = before.null_rate if before else 0.0
        null_rate = fact.nulls / fact.rows
        rates = {
            "null_value_rate": null_rate - usual,
            "data_type_error_rate": fact.wrong_type / fact.rows,
            "out_of_bounds_rate": fact.out_of_bounds / fact.rows,
        }
        for metric, limit in limits.items():
            of = f" over the reference's {usual:.2%}" if metric == "null_value_rate" else ""
            signals.append(
                Signal(
                    kind="quality",
                    name=column.name,
                    metric=metric.removesuffix("_rate") + "_rate",
                    verdict="breach" if rates[metric] > limit else "pass",
                    observed=rates[metric],
                    limit=f"at most {limit:.2%}{of}",
                    values={"null_rate": null_rate, "reference_null_rate": usual},
                )
            )
    return signals


def volume(rows: int, earlier: Sequence[int], limit: VolumeLimit, least: int) -> Signal:
    """Captured rows against the median of earlier windows that had at least `least`: before the first real
    traffic there were only smoke tests, and they say nothing about what is usual."""
    usual = [count for count in earlier if count >= least]
    if not usual:
        why = (
            f"no earlier window has {least} rows to compare with" if earlier else "the window is not the last"
        )
        return _skipped("volume", "rows", why).model_copy(update={"observed": float(rows)})
    median = statistics.median(usual)
    low, high = median * (1 - limit.max_fall), median * limit.max_rise
    return Signal(
        kind="volume",
        name="rows",
        metric="rows",
        verdict="pass" if low <= rows <= high else "breach",
        observed=float(rows),
        limit=f"{low:.0f} to {high:.0f} (usual: {median:.0f})",
        values={"usual": float(median)},
    )


def performance(
    kind: SignalKind,
    name: str,
    limit: PerformanceLimit,
    *,
    interval: Interval | None,
    released: float | None,
    rows: int,
) -> Signal:
    """A metric of labelled rows against its limits: broken when all of its interval is beyond one.

    `interval` is None where the metric is not defined; `released` is the release's own test metric.
    """
    if interval is None:
        return _skipped(kind, name, f"{limit.metric} is not defined on these rows").model_copy(
            update={"metric": limit.metric}
        )
    low, high = limit.min, limit.max
    detail = ""
    if limit.max_loss is not None and released is not None:
        if limit.direction == "higher":
            low = max(low if low is not None else released - limit.max_loss, released - limit.max_loss)
        else:
            high = min(high if high is not None else released + limit.max_loss, released + limit.max_loss)
        detail = f"the release's test rows had {released:.4g}"
    words = [f"at least {low:.4g}"] if low is not None else []
    words += [f"at most {high:.4g}"] if high is not None else []
    if not words:
        return _skipped(kind, name, f"the release has no {limit.metric} to compare with").model_copy(
            update={"metric": limit.metric, "observed": interval.value}
        )
    broken = (low is not None and interval.high < low) or (high is not None and interval.low > high)
    values = {"low": interval.low, "high": interval.high, "rows": float(rows)}
    if released is not None:
        values["released"] = released
    return Signal(
        kind=kind,
        name=name,
        metric=limit.metric,
        verdict="breach" if broken else "pass",
        observed=interval.value,
        limit=" and ".join(words),
        detail=detail,
        values=values,
    )


def _skipped(kind: SignalKind, name: str, why: str) -> Signal:
    return Signal(kind=kind, name=name, metric="", verdict="skipped", detail=why)
