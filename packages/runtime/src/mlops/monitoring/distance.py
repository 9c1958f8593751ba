"""How far two distributions are apart, from counts in common bins, and how sure one can be of it.

Effect sizes (`psi`, `jensen_shannon`) say how much moved; tests (`kolmogorov_smirnov`, `chi_squared`) say
whether chance can explain it. With a million rows chance explains nothing, with fifty it explains a lot: a
verdict needs both. All functions take counts, so their cost does not depend on the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

FLOOR = 1e-4
"""A share below it counts as this much in the PSI, which is infinite for an empty bin. As Evidently does."""
EXPECTED = 5.0
"""Bins with fewer expected rows are put together before a chi-squared test; the approximation needs it."""


def shares(counts: Array) -> Array:
    """Counts [bins] as shares that sum to 1; all zero when there is nothing."""
    total = counts.sum()
    return counts / total if total else np.zeros(len(counts))


def psi(reference: Array, current: Array) -> float:
    """Population stability index of counts [bins]: 0 for equal shares, at most about 18 (one of `FLOOR`).

    Rule of thumb: below 0.1 nothing moved, above 0.25 a lot did.
    """
    p, q = np.maximum(shares(reference), FLOOR), np.maximum(shares(current), FLOOR)
    return float(np.sum((p - q) * np.log(p / q)))


def jensen_shannon(reference: Array, current: Array) -> float:
    """Jensen-Shannon distance of counts [bins] with base 2: a metric in [0, 1], 1 for disjoint shares."""
    from scipy.spatial.distance import jensenshannon

    sides = shares(reference), shares(current)
    if not all(side.any() for side in sides):  # nothing to compare with; SciPy divides by it
        return float(np.sqrt(0.5)) if any(side.any() for side in sides) else 0.0
    return float(np.nan_to_num(jensenshannon(*sides, base=2)))


def kolmogorov_smirnov(reference: Array, current: Array) -> tuple[float, float]:
    """Statistic and p-value of the two-sample test, from counts [bins] in rising order of value.

    The statistic is the largest difference at the bins' edges, so at most the mass of one bin too small,
    and exact when every value is an edge. The p-value is the asymptotic one: too large, never too small,
    where values are tied. (nan, 1) when one side is empty.
    """
    from scipy.special import kolmogorov

    n, m = float(reference.sum()), float(current.sum())
    if not n or not m:
        return float("nan"), 1.0
    difference = float(np.abs(np.cumsum(reference) / n - np.cumsum(current) / m).max())
    return difference, float(kolmogorov(np.sqrt(n * m / (n + m)) * difference))


def chi_squared(reference: Array, current: Array) -> tuple[float, float]:
    """Statistic and p-value of Pearson's test of homogeneity on counts [bins].

    Bins that are too rare are put together first. (nan, 1) when fewer than two bins or one side remain.
    """
    from scipy.special import chdtrc

    table = _pooled(np.stack([reference, current]).astype(np.float64))
    totals = table.sum(axis=1)
    if table.shape[1] < 2 or not totals.all():
        return float("nan"), 1.0
    expected = np.outer(totals, table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, float(chdtrc(table.shape[1] - 1, statistic))


def rates(reference: int, of_reference: int, current: int, of_current: int) -> float:
    """p-value of two shares (so many of so many) being one: exact where counts are too small for chi-squared.

    This is the test for what is rare or was never there (nulls, unseen values): a chi-squared test of all
    bins puts such bins together with others. 1 when one side is empty.
    """
    if not of_reference or not of_current:
        return 1.0
    table = np.array([[reference, of_reference - reference], [current, of_current - current]], dtype=float)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    if expected.min() >= EXPECTED:
        return chi_squared(table[0], table[1])[1]
    return _exact(reference + current, of_reference, current, of_current)


def _exact(marked: int, others: int, found: int, drawn: int) -> float:
    """Twice the smaller tail of the hypergeometric distribution: `found` of `marked` among `drawn`."""
    from scipy.special import gammaln, logsumexp

    def log_choose(n: float, k: Array) -> Array:
        return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

    everything = drawn + others
    possible = np.arange(max(0, marked - others), min(marked, drawn) + 1, dtype=np.float64)
    chances = (
        log_choose(drawn, possible)
        + log_choose(others, marked - possible)
        - log_choose(everything, np.array(float(marked)))
    )
    tails = (logsumexp(chances[possible >= found]), logsumexp(chances[possible <= found]))
    return float(min(1.0, 2 * np.exp(min(tails))))


def together(p_values: Sequence[float]) -> float:
    """One p-value of several tests of the same column (Bonferroni)."""
    return min(1.0, len(p_values) * min(p_values))


def _pooled(table: Array) -> Array:
    """Columns of [2, bins] that the approximation can bear; the rare ones are one column."""
    total = table.sum()
    if not total:
        return table[:, :0]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    rare = expected.min(axis=0) < EXPECTED
    rest = table[:, rare].sum(axis=1, keepdims=True)
    kept = table[:, ~rare]
    if not rest.any():
        return kept
    pooled = np.hstack([kept, rest])
    enough = float((pooled.sum(axis=1) * rest.sum() / total).min()) >= EXPECTED
    if enough or not kept.shape[1]:
        return pooled
    # Together they are still too rare: they join the smallest of the others.
    smallest = int(kept.sum(axis=0).argmin())
    kept = kept.copy()
    kept[:, smallest] += rest[:, 0]
    return kept


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: rejecting those <= a errs at all with a probability of at most a."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return [float(p) for p in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: among those <= a, a share of at most a is expected to be false."""
    from scipy.stats import false_discovery_control

    return [float(p) for p in false_discovery_control(p_values, method="bh")] if p_values else []


CORRECTIONS: Mapping[str, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
}
