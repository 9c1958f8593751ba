"""How good the live release really was: captured predictions joined with the labels that came later."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import InvalidInput
from mlops.lifecycle.watch import labels as known
from mlops.metrics.intervals import interval_of
from mlops.metrics.scores import About, Extra, Scores
from mlops.metrics.truth import encode_truth
from mlops.monitoring import judge
from mlops.monitoring.scan import PREDICTED, REQUEST, ROW, TIME, Scanned
from mlops.spec.evaluation import Evaluation
from mlops.spec.gates import Interval
from mlops.spec.metrics import METRICS
from mlops.spec.monitoring import MonitoringPolicy, PerformanceLimit, Signal, SliceLimit
from mlops.spec.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 200
MOST_ROWS = 50_000
"""Labelled rows that intervals are computed from; more are thinned out evenly."""
_SEED = 2013


def judged_performance(
    schema: ModelSchema,
    found: Scanned,
    labels: pd.DataFrame | None,
    policy: MonitoringPolicy,
    evaluation: Evaluation | None,
    *,
    extra: Extra | None = None,
) -> tuple[int, list[Signal]]:
    """How many rows of the window have a label, and one signal a limit.

    `extra` gives the use case's own metrics. Raises `InvalidInput` for a metric that the model does not have.
    """
    known_metrics = dict.fromkeys((*METRICS[schema.task], *(evaluation.metrics if evaluation else ())))
    for limit in (*policy.performance, *policy.slices):
        if limit.metric not in known_metrics:
            raise InvalidInput(
                f"pipelines/{schema.model}/model.yaml: monitoring names the metric {limit.metric!r}; "
                f"a {schema.task} model has {', '.join(known_metrics)}"
            )
    frame = _joined(found, labels)
    rows = len(frame)
    if rows < policy.min_labels:
        why = f"{rows} rows of the window have a label, {policy.min_labels} are needed"
        return rows, [_skipped(limit, why) for limit in (*policy.performance, *policy.slices)]
    every = np.unique(np.linspace(0, rows - 1, min(rows, MOST_ROWS)).astype(int))
    frame = frame.iloc[every]
    own = tuple(name for name in known_metrics if name not in METRICS[schema.task])
    told = About(weights=_weights(evaluation, frame), extra=extra if own else None, own=own)
    scores = _scores(schema, frame, told)
    released = {name: i.value for name, i in evaluation.metrics.items()} if evaluation else {}
    signals = [
        judge.performance(
            "performance",
            "all rows",
            limit,
            interval=_interval(scores, limit.metric, policy.confidence),
            released=released.get(limit.metric),
            rows=rows,
        )
        for limit in policy.performance
    ]
    for limit in policy.slices:
        signals += _sliced(limit, frame, scores, policy.confidence, evaluation)
    return rows, signals


def _weights(evaluation: Evaluation | None, frame: pd.DataFrame) -> Any:
    """Of each row, as the test rows were weighed; None where requests do not carry it.

    What is no number from 0 up does not count.
    """
    if evaluation is None or evaluation.weight is None or evaluation.weight not in frame:
        return None
    values = frame[evaluation.weight].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values) & (values > 0), values, 0.0)


def _interval(scores: Scores, metric: str, confidence: float) -> Interval | None:
    """The metric with its two-sided percentile interval; None where it is not defined."""
    if metric not in scores.metrics or not np.isfinite(point := scores.value(metric)):
        return None
    return interval_of(point, scores.draws(RESAMPLES, _SEED, [metric])[metric], confidence)


def _joined(found: Scanned, labels: pd.DataFrame | None) -> pd.DataFrame:
    """Captured rows with their label, in the order of time; of a repeated request the last answer."""
    import pandas as pd

    if found.labelled is None or labels is None:
        return pd.DataFrame()
    captured = found.labelled.to_pandas().rename(columns={REQUEST: known.REQUEST, ROW: known.ROW})
    captured = captured.sort_values(TIME, kind="stable").drop_duplicates(
        [known.REQUEST, known.ROW], keep="last"
    )
    captured[known.ROW] = captured[known.ROW].astype("int64")
    joined: pd.DataFrame = captured.merge(
        labels[[known.REQUEST, known.ROW, known.LABEL]], on=[known.REQUEST, known.ROW]
    )
    return joined


def _scores(schema: ModelSchema, frame: pd.DataFrame, about: About) -> Scores:
    try:
        told = frame[known.LABEL].to_numpy()
        truth = encode_truth(schema, _as_trained(told) if schema.task == "custom" else told)
    except (InvalidInput, ValueError) as error:
        raise InvalidInput(f"the labels do not fit the model: {error}") from None
    prediction: Any = frame[PREDICTED].to_numpy()
    if schema.listed:
        prediction = np.stack([np.asarray(row) for row in prediction])
    # Rows that were asked for together are the ones that competed.
    groups = frame[known.REQUEST].to_numpy() if schema.task == "ranking" else None
    return Scores.of(schema, truth, prediction, replace(about, groups=groups))


def _as_trained(labels: Any) -> Any:
    """Labels are kept as text; a task of one's own has numbers or lists of them where all read so."""
    try:
        return [json.loads(label) for label in labels]
    except (TypeError, ValueError):
        return labels


def _sliced(
    limit: SliceLimit,
    frame: pd.DataFrame,
    scores: Scores,
    confidence: float,
    evaluation: Evaluation | None,
) -> list[Signal]:
    """One signal a value with enough rows; they share the chance of a false alarm (Bonferroni)."""
    if limit.column not in frame:
        return [_skipped(limit, f"the captured rows do not have the column {limit.column!r}")]
    values = frame[limit.column].astype(str)
    sizes = values.value_counts()
    large = sorted(str(v) for v, rows in sizes.items() if rows >= limit.min_rows)
    if not large:
        return [_skipped(limit, f"no value of {limit.column} has {limit.min_rows} labelled rows")]
    shared = 1 - (1 - confidence) / len(large)
    before = {
        s.value: s.metrics.get(limit.metric)
        for s in (evaluation.slices if evaluation else [])
        if s.column == limit.column
    }
    told = []
    for value in large:
        part = scores.subset((values == value).to_numpy())
        told.append(
            judge.performance(
                "slice",
                f"{limit.column}={value}",
                limit,
                interval=_interval(part, limit.metric, shared),
                released=before.get(value),
                rows=part.rows,
            )
        )
    return told


def _skipped(limit: PerformanceLimit, why: str) -> Signal:
    sliced = isinstance(limit, SliceLimit)
    return Signal(
        kind="slice" if sliced else "performance",
        name=limit.column if isinstance(limit, SliceLimit) else "all rows",
        metric=limit.metric,
        verdict="skipped",
        detail=why,
    )
