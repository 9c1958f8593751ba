"""The metrics of each task, as functions of row weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops.metrics.resampling import (
    Cells,
    Mean,
    Metric,
    Ranking,
    Summed,
    average_precision,
    ratio,
    roc_auc,
)
from mlops.metrics.truth import Array
from mlops.spec.metrics import METRICS
from mlops.spec.tasks import CALLED

BINS = 10


def _mean(values: Array) -> Summed:
    return Summed(ratio, values, np.ones(len(values)))


def binary(truth: Array, prediction: Array, threshold: float) -> dict[str, Metric]:
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


def multiclass(truth: Array, prediction: Array) -> dict[str, Metric]:
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


def regression(truth: Array, prediction: Array) -> dict[str, Metric]:
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


def multilabel(truth: Array, prediction: Array) -> dict[str, Metric]:
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


def quantiles(truth: Array, prediction: Array, names: Sequence[str]) -> dict[str, Metric]:
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


def forecast(truth: Array, prediction: Array, baseline: Array | None) -> dict[str, Metric]:
    error, size = np.abs(prediction - truth), np.abs(truth)
    metrics = regression(truth, prediction)
    metrics["wape"] = Summed(ratio, error, size)
    if baseline is None:
        metrics["skill"] = Summed(lambda: math.nan)
    else:
        metrics["skill"] = Summed(lambda ours, naive: 1 - ratio(ours, naive), error, np.abs(baseline - truth))
    return {name: metrics[name] for name in METRICS["forecast"]}


def ranked(truth: Array, prediction: Array, codes: Array) -> dict[str, Metric]:
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
