"""What metrics are on bootstrap resamples of the rows.

A resample of the rows is the same as integer weights on them, shared by all metrics. Few rows are weighted
one resample after the other. The weights of many rows leave every cache of a processor. So a block of rows is
weighted for some resamples at a time, and each metric is made of what it needs of a block: weighted sums of
columns, and weights by cell. The weights have the same multinomial distribution either way.

Only a ranking is not the sum of its blocks: see `Ranking`. A metric that says nothing of its parts is
resampled by itself, as if there were few rows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

Array = np.ndarray[Any, np.dtype[Any]]

MANY = 50_000
"""Rows from which on blocks are weighted."""
BLOCK = 4096
"""Rows of a block."""
TOGETHER = 16
"""Resamples of a block at a time: its weights then stay in a processor's cache."""
BINS = 512
"""Of a ranking, by rows and once more by positive rows."""


class Metric(Protocol):
    """A function of row weights [n]."""

    def __call__(self, weights: Array, /) -> float: ...


@dataclass(frozen=True, eq=False)
class Cells:
    """Rows that are counted by cell: weights, or weights times `values`, summed by `codes` [n]."""

    codes: Array
    count: int
    values: Array | None = None

    def sums(self, weights: Array, rows: slice = slice(None)) -> Array:
        """[resamples, cells] of weights [resamples, rows]."""
        resamples = len(weights)
        place = self.codes[rows] + np.arange(resamples)[:, None] * self.count
        if self.values is not None:
            weights = weights * self.values[rows]
        totals = np.bincount(place.ravel(), weights.ravel(), resamples * self.count)
        return totals.reshape(resamples, self.count)


Part = Array | Cells
"""Columns [n] or [n, k] that are summed, or cells that are counted."""


class Summed:
    """A metric that is `of` the weighted sums of its parts.

    `of` gets one array a part, with resamples first: [resamples] of a column, [resamples, k] of k columns or
    cells. It answers [resamples], or one value for all.
    """

    def __init__(self, of: Callable[..., Any], *parts: Part) -> None:
        self.of, self.parts = of, parts

    def weighed(self, weights: Array) -> Summed:
        return Summed(self.of, *(_weighed(part, weights) for part in self.parts))

    def __call__(self, weights: Array, /) -> float:
        sums = [
            part.sums(weights[None]) if isinstance(part, Cells) else weights[None] @ part
            for part in self.parts
        ]
        return float(np.ravel(self.of(*sums))[0])


def _weighed(part: Part, weights: Array) -> Part:
    if isinstance(part, Cells):
        return Cells(part.codes, part.count, weights if part.values is None else part.values * weights)
    return np.asarray((part.T * weights).T)


def weighed(metric: Metric, weights: Array) -> Metric:
    """The metric of rows that count for as much as `weights` [n] say; a row of weight 3 is three rows."""
    if isinstance(metric, Summed | Ranked | Mean):
        return metric.weighed(weights)
    return lambda drawn: metric(drawn * weights)


def ratio(numerator: Any, denominator: Any) -> Any:
    """NaN where there is nothing to divide by."""
    there = np.asarray(denominator) > 0
    return np.where(there, numerator / np.where(there, denominator, 1), np.nan)


class Ranking:
    """Rows sorted by score once, equal scores in one group: ROC AUC and average precision for any weights.

    Of many rows it is made of bins in the order of the scores, each with a share of the rows and of the
    positive rows that is too small to matter; what the bins leave out of the value is added again.
    """

    def __init__(self, positive: Array, score: Array) -> None:
        self.order = np.argsort(score, kind="stable")
        ranked = score[self.order]
        self.starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        self.positive = positive[self.order]
        self.ties = len(self.starts) < len(ranked)
        self.weights: Array | None = None

    def weighed(self, weights: Array) -> Ranking:
        """The same rows, each of which counts for as much as `weights` [n] say."""
        other = copy.copy(self)
        other.__dict__.pop("cells", None)
        other.weights = weights
        return other

    def metric(self, of: Callable[[Array, Array], Array]) -> Ranked:
        """`of` gets the weights of positive and of negative rows by group, [resamples, groups]."""
        return Ranked(self, of)

    def groups(self, weights: Array) -> tuple[Array, Array]:
        """Weights of positive and of negative rows in each group of equal scores, in their order."""
        ranked = (weights if self.weights is None else weights * self.weights)[self.order]
        positive = ranked * self.positive
        if not self.ties:
            return positive, ranked - positive
        return np.add.reduceat(positive, self.starts), np.add.reduceat(ranked - positive, self.starts)

    @cached_property
    def cells(self) -> Cells:
        """Bins in the order of the scores, each once for negative and once for positive rows."""
        rows = len(self.positive)
        each = np.ones(rows) if self.weights is None else self.weights[self.order]
        before, seen = np.cumsum(each) - each, np.cumsum(each * self.positive)
        share = (before * BINS / (each.sum() or 1)).astype(int) + (seen * BINS / (seen[-1] or 1)).astype(int)
        _, bins = np.unique(share[self.starts], return_inverse=True)
        sizes = np.diff(np.r_[self.starts, rows])
        codes = np.empty(rows, dtype=np.int64)
        codes[self.order] = 2 * np.repeat(bins, sizes) + (self.positive > 0)
        return Cells(codes, 2 * (int(bins[-1]) + 1), self.weights)


class Ranked:
    """A metric of a ranking."""

    def __init__(self, ranking: Ranking, of: Callable[[Array, Array], Array]) -> None:
        self._ranking, self._of = ranking, of

    def weighed(self, weights: Array) -> Ranked:
        return Ranked(self._ranking.weighed(weights), self._of)

    def __call__(self, weights: Array, /) -> float:
        positive, negative = self._ranking.groups(weights)
        return float(self._of(positive[None], negative[None])[0])

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return (self._ranking.cells,)

    def of(self, cells: Array) -> Array:
        return self._of(cells[:, 1::2], cells[:, ::2]) + self._left_out

    @cached_property
    def _left_out(self) -> float:
        """What the bins lack of the value on the rows as they are."""
        ones = np.ones(len(self._ranking.positive))
        cells = self._ranking.cells.sums(ones[None])
        return self(ones) - float(self._of(cells[:, 1::2], cells[:, ::2])[0])


class Mean:
    """The mean of some metrics; not defined where one of them is not."""

    def __init__(self, metrics: Sequence[Ranked]) -> None:
        self._metrics = metrics

    def weighed(self, weights: Array) -> Mean:
        return Mean([metric.weighed(weights) for metric in self._metrics])

    def __call__(self, weights: Array, /) -> float:
        return float(np.mean([metric(weights) for metric in self._metrics]))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return tuple(part for metric in self._metrics for part in metric.parts)

    def of(self, *cells: Array) -> Array:
        values = [metric.of(part) for metric, part in zip(self._metrics, cells, strict=True)]
        return np.asarray(np.mean(values, axis=0))


def roc_auc(positive: Array, negative: Array) -> Array:
    """By group, in the order of the scores."""
    below = np.cumsum(negative, axis=1) - negative / 2
    area: Array = ratio(np.einsum("ij,ij->i", positive, below), positive.sum(axis=1) * negative.sum(axis=1))
    return area


def average_precision(positive: Array, negative: Array) -> Array:
    """By group, in the order of the scores."""
    positive, negative = positive[:, ::-1], negative[:, ::-1]
    hits = np.cumsum(positive, axis=1)
    called = hits + np.cumsum(negative, axis=1)
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    average: Array = ratio(np.einsum("ij,ij->i", precision, positive), positive.sum(axis=1))
    return average


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


def draws(
    models: Sequence[Mapping[str, Metric]], rows: int, resamples: int, seed: int, codes: Array | None = None
) -> list[dict[str, Array]]:
    """The value of each metric of each model on the same resamples: [resamples]. `codes` as above."""
    if rows < MANY or codes is not None:
        return _one_by_one(models, rows, resamples, seed, codes)
    drawn: list[dict[str, Array]] = [{} for _ in models]
    alone: list[dict[str, Metric]] = [{} for _ in models]
    summed: dict[tuple[int, str], Any] = {}
    for index, metrics in enumerate(models):
        for name, metric in metrics.items():
            if isinstance(metric, Summed | Ranked | Mean):
                summed[index, name] = metric
            else:
                alone[index][name] = metric
    if any(alone):
        drawn = _one_by_one(alone, rows, resamples, seed)
    for (index, name), values in _in_blocks(summed, rows, resamples, seed).items():
        drawn[index][name] = values
    return drawn


def _one_by_one(
    models: Sequence[Mapping[str, Metric]], rows: int, resamples: int, seed: int, codes: Array | None = None
) -> list[dict[str, Array]]:
    drawn = [{name: np.empty(resamples) for name in metrics} for metrics in models]
    for number, (_, weights) in enumerate(resamples_of(rows, resamples, seed, codes)):
        for metrics, values in zip(models, drawn, strict=True):
            for name, metric in metrics.items():
                values[name][number] = metric(weights)
    return drawn


def _in_blocks(
    metrics: Mapping[tuple[int, str], Any], rows: int, resamples: int, seed: int
) -> dict[tuple[int, str], Array]:
    generator = np.random.default_rng(seed)
    drawn = {key: np.empty(resamples) for key in metrics}
    parts = {id(part): part for metric in metrics.values() for part in metric.parts}
    columns = {key: part for key, part in parts.items() if not isinstance(part, Cells)}
    cells = {key: part for key, part in parts.items() if isinstance(part, Cells)}
    wide = {key: 1 if part.ndim == 1 else part.shape[1] for key, part in columns.items()}
    starts = list(range(0, rows, BLOCK))
    sizes = np.array([min(BLOCK, rows - start) for start in starts])
    some = [range(first, min(first + TOGETHER, resamples)) for first in range(0, resamples, TOGETHER)]
    shared = generator.multinomial(rows, sizes / rows, size=resamples)
    for numbers in some:
        sums: dict[int, Array] = {}
        total = np.zeros((len(numbers), sum(wide.values())))
        for key, part in cells.items():
            sums[key] = np.zeros((len(numbers), part.count))
        with threadpool_limits(1, "blas"):
            for block, start in enumerate(starts):
                at = slice(start, start + int(sizes[block]))
                weights = _weights(generator, shared[numbers.start : numbers.stop, block], int(sizes[block]))
                if columns:
                    total += weights @ np.column_stack([part[at] for part in columns.values()])
                for key, part in cells.items():
                    sums[key] += part.sums(weights, at)
        first = 0
        for key, part in columns.items():
            sums[key] = total[:, first] if part.ndim == 1 else total[:, first : first + wide[key]]
            first += wide[key]
        for name, metric in metrics.items():
            drawn[name][numbers.start : numbers.stop] = metric.of(*(sums[id(p)] for p in metric.parts))
    return drawn


def _weights(generator: np.random.Generator, drawn: Array, size: int) -> Array:
    """Weights [resamples, size] of a block of which `drawn` [resamples] rows are drawn."""
    rows = generator.integers(size, size=int(drawn.sum()), dtype=np.uint16)
    place = np.repeat(np.arange(len(drawn)) * size, drawn) + rows
    return np.bincount(place, minlength=len(drawn) * size).reshape(len(drawn), size).astype(np.float64)
