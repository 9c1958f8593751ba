"""Is the new deployment as good as the live one? One pure verdict over what both did in the same window.

A limit alone would turn noise into a verdict: the p99 of fifty requests is one request. So latency and
predictions fail only when they are over their limit *and* chance explains that less than once in a thousand
windows; a window is looked at up to `LOOKS` times, and each look gets its share of that. Chance is that of
both sides: the live one's p99 is no better known than the new one's.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops.spec.desired import Strategy
from mlops.targets.base import TrafficSample

LOOKS = 20
"""How often a window is looked at; a bad release is sent back at the first look that proves it."""
_CHANCE = 0.001 / LOOKS
_Z = 3.8906
"""The normal quantile of 1 - `_CHANCE`."""
_FOUND = -2.3263
"""The normal quantile of 1 in 100: by counting, what is called detectable is missed once in 40 windows."""
_MOST = 10_000_000
_BINS = 10
"""Bins of the population stability index, of about equal share in both deployments together."""


@dataclass(frozen=True)
class Window:
    """What one deployment did between two samples; histograms as counts per bucket, not cumulative."""

    requests: int
    errors: int
    latency: Mapping[float, int] = field(default_factory=dict)
    predictions: Mapping[float, int] = field(default_factory=dict)

    @classmethod
    def between(cls, before: TrafficSample, after: TrafficSample) -> Window | None:
        """None when the counters went backwards: the deployment restarted in between."""
        latency = _counts(before.latency, after.latency)
        predictions = _counts(before.predictions, after.predictions)
        requests, errors = after.requests - before.requests, after.errors - before.errors
        if min(requests, errors, *latency.values(), *predictions.values()) < 0:
            return None
        return cls(requests, errors, latency, predictions)

    @classmethod
    def until(cls, sample: TrafficSample) -> Window:
        """All that was counted before a sample."""
        return cls(
            sample.requests, sample.errors, _counts({}, sample.latency), _counts({}, sample.predictions)
        )

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    def p99(self) -> float | None:
        """Seconds: the upper bound of the bucket that holds the 99th percentile; None without requests."""
        total = sum(self.latency.values())
        seen = 0
        for bound, count in sorted(self.latency.items()):
            seen += count
            if total and seen >= 0.99 * total:
                return bound
        return None

    def plain(self) -> dict[str, Any]:
        """For the journal: infinity as text, because JSON has none."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "latency": {str(k): v for k, v in self.latency.items()},
            "predictions": {str(k): v for k, v in self.predictions.items()},
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Window:
        return cls(
            plain["requests"],
            plain["errors"],
            {float(k): v for k, v in plain["latency"].items()},
            {float(k): v for k, v in plain["predictions"].items()},
        )


@dataclass(frozen=True)
class Pass:
    summary: str


@dataclass(frozen=True)
class Fail:
    reason: str
    slow: bool = False
    """Whether latency is all that is wrong."""


@dataclass(frozen=True)
class TooFew:
    """Neither pass nor fail: `seen` where `needed` are the least that mean something."""

    seen: int
    needed: int
    of: str = "requests"


@dataclass(frozen=True)
class Error:
    """The judgement itself failed; says nothing about the model."""

    reason: str


Verdict = Pass | Fail | TooFew | Error


def histogram(values: Iterable[float], bounds: Iterable[float]) -> dict[float, int]:
    """Counts of `values` by upper bound; what lies above the last bound, or is no number, counts there."""
    ordered = sorted(bounds) or [math.inf]
    counts = dict.fromkeys(ordered, 0)
    for value in values:
        index = len(ordered) if math.isnan(value) else bisect_left(ordered, value)
        counts[ordered[min(index, len(ordered) - 1)]] += 1
    return counts


def judge(
    new: Window | None,
    live: Window | None,
    strategy: Strategy,
    *,
    alone: bool = False,
    usual: Window | None = None,
) -> Verdict:
    """Compare the new deployment's window with the live one's.

    `usual`: what the live one did before this window; a machine that was slow for it too is named.
    `alone`: there is nothing to compare with (all traffic is on the new one and no earlier window is known);
    then only the error rate is judged. A window of None means that its deployment restarted while watched.
    """
    if new is None or (live is None and not alone):
        return Error("a deployment restarted while it was watched, so its counters mean nothing")
    if new.requests < strategy.min_requests:
        return TooFew(new.requests, strategy.min_requests)
    if not alone and live is not None and live.requests < strategy.min_requests:
        return TooFew(live.requests, strategy.min_requests)
    reference = None if alone else live
    failures = [f for f in (_errors(new, reference, strategy),) if f]
    slow = ""
    seen = [f"{new.requests} requests", f"error rate {new.error_rate:.2%}"]
    if reference is not None:
        slow = _slow(new, reference, strategy)
        burden = _burden(reference, usual, strategy) if slow and usual is not None else ""
        failures += [slow + burden] if slow else []
        allowed = strategy.max_prediction_shift
        psi, most = shift(reference.predictions, new.predictions, allowed)
        if psi > most:
            failures.append(
                f"the distribution of predictions moved: stability index {psi:.2f}, allowed {allowed:g} "
                f"(where that is true, so few requests show up to {most:.2f})"
            )
        unseen = blind(reference.predictions, new.predictions, allowed)
        enough = f" (one of {unseen:.2f} would have been found)" if math.isfinite(unseen) else ""
        seen += [
            f"p99 {_ms(new.p99())} against {_ms(reference.p99())}",
            f"prediction shift {psi:.3f}{enough}",
        ]
    if failures:
        return Fail("; ".join(failures), slow=bool(slow) and len(failures) == 1)
    if reference is not None and strategy.detectable_shift is not None:
        rows = sum(new.predictions.values())
        needed = _needed(reference.predictions, new.predictions, allowed, strategy.detectable_shift)
        if needed > rows:
            return TooFew(rows, needed, "predictions")
    return Pass(", ".join(seen))


def slow_for_all(new: Window, now: Window | None, strategy: Strategy) -> str:
    """Why it is the machine that is slow: the live deployment, asked `now`, is as slow as the new one.

    For a new deployment that was found slow against what the live one did at another time. Empty where the
    live one is quick, or its answers are too few to say so.
    """
    if now is None or now.requests < strategy.min_requests or _slow(new, now, strategy):
        return ""
    return (
        f"the machine was slow, and not the release: p99 {_ms(new.p99())}, but the release before, asked in "
        f"the same minute, has {_ms(now.p99())}"
    )


def _burden(live: Window, usual: Window, strategy: Strategy) -> str:
    """What a person should know who reads of a slow release: that the live one was slower than before too."""
    if not _slow(live, usual, strategy):
        return ""
    return (
        f"; the live one was slow too, p99 {_ms(live.p99())} against {_ms(usual.p99())} in its "
        f"{usual.requests} requests before: look at the machine and the load, then apply again"
    )


def _errors(new: Window, live: Window | None, strategy: Strategy) -> str:
    """A release that fails no more often than what it replaces must not be the one to be sent back."""
    known = live.error_rate if live is not None else 0.0
    if new.error_rate <= max(strategy.max_error_rate, known):
        return ""
    against = f", the live one {known:.2%}" if live is not None else ""
    return f"error rate {new.error_rate:.2%}{against}, allowed {strategy.max_error_rate:.2%}"


def _slow(new: Window, live: Window, strategy: Strategy) -> str:
    """Are more requests over the limit than one in a hundred, and than chance explains?"""
    live_p99 = live.p99()
    if live_p99 is None:
        return ""
    limit = live_p99 * strategy.max_latency_p99_ratio
    # A bucket that contains the limit also contains faster requests, so only buckets wholly above it count.
    bounds = sorted(new.latency)
    lower = dict(zip(bounds, [0.0, *bounds], strict=False))
    total = sum(new.latency.values())
    over = sum(count for bound, count in new.latency.items() if lower[bound] >= limit)
    if _exceeding(over, total, sum(live.latency.values())) > _CHANCE:
        return ""
    return (
        f"latency p99 {_ms(new.p99())} against {_ms(live_p99)}, allowed ratio "
        f"{strategy.max_latency_p99_ratio:g} ({over} of {total} requests were slower than {_ms(limit)})"
    )


def shift(live: Mapping[float, int], new: Mapping[float, int], allowed: float = 0.0) -> tuple[float, float]:
    """Population stability index of two histograms, and the most that chance explains if `allowed` is true.

    Both have the same bounds. Neighbouring buckets are merged until each holds about a tenth of both.
    Under equal distributions the index is close to chi-squared with (bins - 1) degrees of freedom times
    (1/n + 1/m) (Yurdakul and Naranjo, "Statistical properties of the population stability index", 2020).
    Under distributions whose index is `allowed` it is noncentral, by allowed / (1/n + 1/m).
    """
    n, m = sum(live.values()), sum(new.values())
    if not n or not m:
        return 0.0, math.inf
    pairs = _merge(live, new, n, m)
    # Half a count in every bin keeps an empty bin finite and is negligible otherwise.
    k = len(pairs)
    shares = [((a + 0.5) / (n + 0.5 * k), (b + 0.5) / (m + 0.5 * k)) for a, b in pairs]
    index = sum((q - p) * math.log(q / p) for p, q in shares)
    unit = 1 / n + 1 / m
    return index, _chi2(max(k - 1, 1), allowed / unit) * unit


def blind(live: Mapping[float, int], new: Mapping[float, int], allowed: float) -> float:
    """The smallest index that so many predictions show to be above `allowed` in 39 of 40 windows."""
    n, m = sum(live.values()), sum(new.values())
    return _blind(n, m, len(_merge(live, new, n, m)), allowed) if n and m else math.inf


def _blind(n: float, m: float, bins: int, allowed: float) -> float:
    unit, freedom = 1 / n + 1 / m, max(bins - 1, 1)
    proven = _chi2(freedom, allowed / unit)
    low, high = proven, proven + 100 * math.sqrt(proven) + 1000
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _chi2(freedom, middle, _FOUND) >= proven else (middle, high)
    return high * unit


def _needed(live: Mapping[float, int], new: Mapping[float, int], allowed: float, index: float) -> int:
    """How many predictions of the new one, at the same share of traffic, would find a shift of `index`."""
    n, m = sum(live.values()), sum(new.values())
    if not n or not m:
        return _MOST
    bins = len(_merge(live, new, n, m))
    low, high = 1, max(_MOST, m)
    while low < high:
        middle = (low + high) // 2
        enough = _blind(n * middle / m, middle, bins, allowed) <= index
        low, high = (low, middle) if enough else (middle + 1, high)
    return low


def _merge(live: Mapping[float, int], new: Mapping[float, int], n: int, m: int) -> list[tuple[int, int]]:
    """(live, new) counts of bins that hold about a tenth of both together, each counting as much.

    Bins of `live` alone would be blind where it gives one answer: all that `new` says would be in its bin.
    """
    pairs: list[tuple[int, int]] = []
    a = b = 0
    for bound in sorted(set(live) | set(new)):
        a, b = a + live.get(bound, 0), b + new.get(bound, 0)
        if a / n + b / m >= 2 / _BINS:
            pairs.append((a, b))
            a = b = 0
    # A thin last bin would let a handful of requests decide; it counts as part of the one below it.
    if pairs and a / n + b / m < 1 / _BINS:
        c, d = pairs.pop()
        a, b = a + c, b + d
    return [*pairs, (a, b)]


def _chi2(freedom: int, noncentral: float, z: float = _Z) -> float:
    """A quantile of noncentral chi-squared, by Abdel-Aty's form of Wilson and Hilferty's; the `_CHANCE` one.

    Never below the true one, and at most a fifth above it: the error is on the side of no false alarm.
    """
    mean = freedom + noncentral
    part = 2 * (freedom + 2 * noncentral) / (9 * mean**2)
    return mean * max(1 - part + z * math.sqrt(part), 0.0) ** 3


def _exceeding(over: int, new: int, live: int) -> float:
    """How often at least `over` of `new` requests are slower than the p99 of `live` ones, if both are equal.

    It holds for any distribution (of ranks only: Epstein, "Tables for the distribution of the number of
    exceedances", 1954), and counts that the p99 of fifty requests is itself a matter of chance. Among the
    slowest of both together, the `over` new ones come before the live one that is the p99.
    """
    rank = live - math.ceil(0.99 * live) + 1
    slowest = over + rank - 1
    ways = _log_choose(new + live, slowest)
    return math.fsum(
        math.exp(_log_choose(live, j) + _log_choose(new, slowest - j) - ways)
        for j in range(max(0, slowest - new), rank)
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _counts(before: Mapping[float, int], after: Mapping[float, int]) -> dict[float, int]:
    """Differences of two cumulative histograms, as counts per bucket."""
    counts: dict[float, int] = {}
    below = 0
    for bound in sorted(after):
        cumulative = after[bound] - before.get(bound, 0)
        counts[bound] = cumulative - below
        below = cumulative
    return counts


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    return "over the last bucket" if math.isinf(seconds) else f"{seconds * 1000:.3g} ms"
