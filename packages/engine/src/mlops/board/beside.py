"""Two runs as pictures: one page that needs no other file.

Curves come from the predictions that each run stored, differences from the comparison itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.board import charts
from mlops.board.charts import Curve
from mlops.spec.tasks import is_values

if TYPE_CHECKING:
    from markupsafe import Markup

    from mlops.lifecycle.train.compare import Comparison
    from mlops.metrics.scores import Scores

Array = np.ndarray[Any, np.dtype[Any]]
KINDS = ("good", "other")
"""Classes of the two lines: the run that is looked at, and what it is compared with."""
_POINTS = 200
_BINS = 10
_MOST = 0.99
"""Share of the rows whose errors the picture shows: a few far ones would press all others to the edge."""


@dataclass(frozen=True)
class Plot:
    """Both runs in one unit square."""

    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    marks: bool = False
    diagonal: bool = False

    @property
    def chart(self) -> Markup:
        said = f"{self.title}: {', '.join(curve.name for curve in self.curves)}"
        return charts.square(self.curves, said, x=self.x, y=self.y, marks=self.marks, diagonal=self.diagonal)


def plots(runs: Sequence[tuple[str, Scores]]) -> list[Plot]:
    """The pictures of the task, each with a line for every run; none where no line says it all. Pure."""
    task = runs[0][1].task
    if any(scores.task != task for _, scores in runs):
        return []
    every = [(name, scores.truth, scores.prediction) for name, scores in runs]
    if task == "binary":
        return _binary(every)
    if task == "multiclass":
        sure = [(name, (p.argmax(axis=1) == t).astype(float), p.max(axis=1)) for name, t, p in every]
        return [_calibrated("How sure it is, and how often right", sure)]
    if is_values(task) and all(t.dtype != object and t.ndim == p.ndim == 1 for _, t, p in every):
        return _values(every)
    return []


def _binary(runs: Sequence[tuple[str, Array, Array]]) -> list[Plot]:
    found = [_calibrated("Calibration", runs)]
    if all(0 < truth.mean() < 1 for _, truth, _ in runs):
        ranked = [(name, *_ranked(truth, p)) for name, truth, p in runs]
        roc = [(name, hits / hits[-1], alarms / alarms[-1]) for name, hits, alarms in ranked]
        found[:0] = [
            Plot(
                "ROC",
                "false positive rate",
                "true positive rate",
                _curves([(name, np.r_[0.0, wrong], np.r_[0.0, right]) for name, right, wrong in roc]),
                diagonal=True,
            ),
            Plot(
                "Precision and recall",
                "recall",
                "precision",
                _curves([(name, h / h[-1], h / (h + a)) for name, h, a in ranked]),
            ),
        ]
    return found


def _ranked(truth: Array, probability: Array) -> tuple[Array, Array]:
    """Hits and false alarms when all rows down to each distinct probability are called."""
    order = np.argsort(-probability, kind="stable")
    ranked, hit = probability[order], truth[order].astype(float)
    ends = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])
    return np.cumsum(hit)[ends], np.cumsum(1 - hit)[ends]


def _calibrated(title: str, runs: Sequence[tuple[str, Array, Array]]) -> Plot:
    lines = []
    for name, truth, probability in runs:
        which = np.clip((probability * _BINS).astype(int), 0, _BINS - 1)
        there = [which == index for index in np.unique(which)]
        said, seen = (np.array([values[rows].mean() for rows in there]) for values in (probability, truth))
        lines.append((name, said, seen))
    return Plot(title, "predicted probability", "observed rate", _curves(lines), marks=True, diagonal=True)


def _values(runs: Sequence[tuple[str, Array, Array]]) -> list[Plot]:
    errors = [(name, np.sort(np.abs(truth - prediction).astype(float))) for name, truth, prediction in runs]
    most = max(float(np.quantile(error, _MOST)) for _, error in errors)
    if not most > 0:
        return []
    lines = []
    for name, error in errors:
        share = np.arange(1, len(error) + 1) / len(error)
        seen = error <= most
        lines.append((name, np.r_[0.0, error[seen] / most], np.r_[0.0, share[seen]]))
    x = f"absolute error, as a share of {most:.4g}"
    return [Plot("Rows whose error is no larger", x, "share of the rows", _curves(lines))]


def _curves(lines: Sequence[tuple[str, Array, Array]]) -> tuple[Curve, ...]:
    found = []
    for (name, x, y), kind in zip(lines, KINDS, strict=False):
        thin = np.unique(np.linspace(0, len(x) - 1, min(_POINTS, len(x))).astype(int))
        found.append(Curve(name, list(zip(x[thin].tolist(), y[thin].tolist(), strict=True)), kind))
    return tuple(found)


def page(project: str, one: Comparison, pictures: Sequence[Plot], why_none: str = "") -> str:
    """The page as HTML. `why_none`: why there are no pictures of rows."""
    from mlops.board.site import alone

    return alone(
        "compare.html",
        project,
        one=one,
        pictures=pictures,
        why_none=why_none,
        words={"better": "better", "worse": "worse", "same": "chance explains it", "unknown": ""},
        interval=charts.interval,
    )
