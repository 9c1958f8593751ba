"""Counters of one deployment, cheap enough to keep for every request, and their Prometheus text."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from mlops.serving.score.core import Predictions
from mlops.spec.schema import ModelSchema
from mlops.spec.tasks import named, one_number

Outcome = Literal["ok", "error", "refused", "rejected"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "error", "refused", "rejected")
"""`error`: the model failed (5xx). `refused`: the client's mistake (4xx). `rejected`: queue full (429)."""

LATENCY_BOUNDS = tuple(
    round(m * 10.0**e, 7) for e in range(-4, 2) for m in (1, 1.5, 2, 3, 4, 5, 7)
)  # 0.1 ms to 70 s; steps of at most 1.5 so that a p99 read from it is off by less than half
FEW = 32
"""Up to here a loop is faster than numpy."""
_SERIES = [m * 10.0**e for e in range(-3, 7) for m in (1, 2, 5)]


def prediction_bounds(schema: ModelSchema) -> tuple[float, ...]:
    """Upper bounds of the prediction's histogram.

    They depend on the schema alone and not on what was seen, so that two deployments can be compared:
    20 equal steps of a probability; the index of the most probable class; a fixed 1-2-5 series for
    values, both signs.
    """
    if schema.task == "binary":
        return tuple(round(i / 20, 2) for i in range(1, 21))
    if named(schema):
        return tuple(float(i) for i in range(len(schema.classes)))
    return (*(-v for v in reversed(_SERIES)), 0.0, *_SERIES)


class Histogram:
    """Counts by upper bound, with +inf as the last."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._edges = np.array(self.bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def observe_many(self, values: Predictions) -> None:
        if len(values) <= FEW:
            for value in values.tolist():
                self.observe(value)
            return
        binned = np.bincount(np.searchsorted(self._edges, values), minlength=len(self.counts))
        for i in np.flatnonzero(binned):
            self.counts[i] += int(binned[i])
        self.total += float(values.sum())

    def cumulative(self) -> list[tuple[float, int]]:
        """`(upper bound, count up to it)`, the last bound being infinite."""
        pairs, running = [], 0
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            running += count
            pairs.append((bound, running))
        return pairs


class Captured(NamedTuple):
    """What capture did, of the endpoint as a whole."""

    at: dict[str, str]
    """Labels."""
    rows: dict[str, int]
    """Rows by outcome."""


class Counters:
    """What is known of a deployment since it was loaded. Written by the event loop only."""

    def __init__(self, schema: ModelSchema) -> None:
        self.outcomes: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
        self.mirrored = 0
        self.mirror_dropped = 0
        self.rows = 0
        self.latency = Histogram(LATENCY_BOUNDS)
        """Seconds from the whole request being read to its answer; only what reached the model."""
        self.predictions = Histogram(prediction_bounds(schema))
        self._schema = schema

    def predicted(self, predictions: Predictions) -> None:
        self.rows += len(predictions)
        self.predictions.observe_many(one_number(self._schema, predictions))

    def answered(self, outcome: Outcome, seconds: float) -> None:
        self.outcomes[outcome] += 1
        if outcome in ("ok", "error"):
            self.latency.observe(seconds)

    @property
    def requests(self) -> int:
        """Requests that reached the model: the base of an error rate that clients cannot dilute."""
        return self.outcomes["ok"] + self.outcomes["error"]


def render(
    deployments: Iterable[tuple[dict[str, str], Counters]],
    captured: Captured | None = None,
    *,
    open_metrics: bool = False,
) -> bytes:
    """The Prometheus text format 0.0.4, or OpenMetrics 1.0, of deployments given as (labels, counters)."""
    rows = list(deployments)
    lines: list[str] = []

    def counter(name: str, text: str, samples: Iterable[tuple[dict[str, str], float]]) -> None:
        # OpenMetrics names a counter without the suffix that its samples carry.
        family = name.removesuffix("_total") if open_metrics else name
        lines.append(f"# HELP {family} {text}\n# TYPE {family} counter")
        lines.extend(f"{name}{_labels(labels)} {value}" for labels, value in samples)

    counter(
        "mlops_requests_total",
        "Scoring requests by outcome: ok, error (model), refused (client), rejected (queue full).",
        (({**at, "outcome": o}, c.outcomes[o]) for at, c in rows for o in OUTCOMES),
    )
    counter("mlops_rows_total", "Rows predicted.", ((at, c.rows) for at, c in rows))
    counter("mlops_mirrored_total", "Copies scored as mirror.", ((at, c.mirrored) for at, c in rows))
    counter(
        "mlops_mirror_dropped_total",
        "Copies dropped because the mirror was behind.",
        ((at, c.mirror_dropped) for at, c in rows),
    )
    for name, text, pick in (
        ("mlops_latency_seconds", "Seconds from a read request to its answer.", "latency"),
        ("mlops_prediction", "Predictions: probability, class index or value.", "predictions"),
    ):
        lines.append(f"# HELP {name} {text}\n# TYPE {name} histogram")
        for at, c in rows:
            histogram: Histogram = getattr(c, pick)
            pairs = histogram.cumulative()
            for bound, count in pairs:
                lines.append(f"{name}_bucket{_labels({**at, 'le': _bound(bound)})} {count}")
            # OpenMetrics has no sum, and so no count, where a value may be negative: it could decrease.
            if not (open_metrics and histogram.bounds[0] < 0):
                lines.append(f"{name}_sum{_labels(at)} {histogram.total}")
                lines.append(f"{name}_count{_labels(at)} {pairs[-1][1]}")
    if captured is not None:
        counter(
            "mlops_capture_rows_total",
            "Captured rows, by whether they reached their sink.",
            (({**captured.at, "outcome": k}, v) for k, v in captured.rows.items()),
        )
    if open_metrics:
        lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode()


def _bound(value: float) -> str:
    return "+Inf" if math.isinf(value) else f"{value:g}"


def _labels(labels: dict[str, str]) -> str:
    # Names of models and deployments are restricted to letters, digits and '-': nothing to escape.
    return "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"
