"""Plots of an evaluation and an explanation as PNG, drawn without a display or pyplot's global state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.spec.evaluation import Evaluation
from mlops.spec.tasks import is_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 500
"""Points of a curve: more cannot be seen."""
_BARS = 60
"""The same of columns; importance.json has them all."""


def evaluation(folder: Path, result: Evaluation, truth: Any, prediction: Any) -> list[Path]:
    """The plots of the task, one file each: ROC, precision-recall and calibration, or residuals.

    Of answers that no plot shows there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if result.task == "binary":
        return [
            _roc(folder / "roc.png", result, truth, prediction),
            _precision_recall(folder / "precision_recall.png", result, truth, prediction),
            _calibration(folder / "calibration.png", result),
        ]
    if is_values(result.task):
        # What a row's truth is, may be known to the use case's metrics alone: followed for how long, died.
        other = result.task == "custom" and np.shape(truth) != np.shape(prediction)
        if other or np.asarray(truth).dtype == object:
            return []
        if np.ndim(truth) > 1:  # several values at once: a plot for each
            pairs = enumerate(zip(np.transpose(truth), np.transpose(prediction), strict=True), 1)
            return [_residuals(folder / f"residuals_{i}.png", one, two) for i, (one, two) in pairs]
        middle = prediction[:, prediction.shape[1] // 2] if prediction.ndim > 1 else prediction
        return [_residuals(folder / "residuals.png", truth, middle)]
    if result.task == "multilabel":
        return []
    return [_confusion(folder / "confusion.png", truth, prediction)]


def importance(path: Path, names: Sequence[str], means: Any, deviations: Any, metric: str) -> Path:
    """Bars of at most `_BARS` columns, most important on top; the line is one standard deviation over the
    repeats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = np.argsort(means)[-_BARS:]
    height = 1.5 + 0.28 * len(order)
    with _Page(path, "Permutation importance on raw columns", f"loss of {metric}", "", height) as axes:
        # By place, so that two names that are drawn alike are two bars; a dollar would begin a formula.
        axes.barh(range(len(order)), np.asarray(means)[order], xerr=np.asarray(deviations)[order])
        axes.set_yticks(range(len(order)), [names[i].replace("$", r"\$") for i in order])
        axes.axvline(0, color="black", linewidth=0.8)
    return path


class _Page:
    """A figure with one plot that is saved when the block ends."""

    def __init__(self, path: Path, title: str, x: str, y: str, height: float = 5.0) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.path = path
        self.figure = Figure(figsize=(6.5, height), layout="constrained", dpi=110)
        FigureCanvasAgg(self.figure)
        self.axes: Axes = self.figure.add_subplot()
        self.axes.set(title=title, xlabel=x, ylabel=y)
        self.axes.grid(alpha=0.3)

    def __enter__(self) -> Axes:
        return self.axes

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            # No creation date in the file: the same model gives the same bytes.
            self.figure.savefig(self.path, metadata={"Software": None})


def _thin(*curves: Any) -> list[Any]:
    chosen = np.unique(np.linspace(0, len(curves[0]) - 1, _POINTS).astype(int))
    return [np.asarray(curve)[chosen] for curve in curves]


def _label(result: Evaluation, metric: str, name: str) -> str:
    interval = result.metrics.get(metric)
    return f"{name} {interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})" if interval else "model"


def _roc(path: Path, result: Evaluation, truth: Any, prediction: Any) -> Path:
    from sklearn.metrics import roc_curve

    title = f"ROC curve, {result.rows:,} test rows"
    with _Page(path, title, "false positive rate", "true positive rate") as axes:
        if 0 < np.mean(truth) < 1:
            wrong, right, _ = roc_curve(truth, prediction)
            axes.plot(*_thin(wrong, right), label=_label(result, "roc_auc", "AUC"))
        axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="chance")
        axes.legend(loc="lower right")
    return path


def _precision_recall(path: Path, result: Evaluation, truth: Any, prediction: Any) -> Path:
    from sklearn.metrics import precision_recall_curve

    title = f"Precision and recall, {result.rows:,} test rows"
    with _Page(path, title, "recall", "precision") as axes:
        if np.mean(truth) > 0:
            precision, recall, _ = precision_recall_curve(truth, prediction)
            label = _label(result, "average_precision", "average precision")
            axes.plot(*_thin(recall, precision), label=label)
        base = float(np.mean(truth))
        axes.axhline(base, linestyle=":", color="grey", label=f"base rate {base:.3f}")
        axes.set_ylim(0, 1.02)
        axes.legend(loc="upper right")
    return path


def _calibration(path: Path, result: Evaluation) -> Path:
    with _Page(path, "Calibration", "mean predicted probability", "observed share") as axes:
        axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="perfect")
        bins = result.calibration
        label = _label(result, "expected_calibration_error", "expected error")
        axes.plot([b.mean_prediction for b in bins], [b.observed_rate for b in bins], "o-", label=label)
        for one in bins:
            axes.annotate(
                f"{one.rows:,}",
                (one.mean_prediction, one.observed_rate),
                (4, -10),
                textcoords="offset points",
            )
        axes.legend(loc="upper left", title="numbers are rows in the bin")
    return path


def _residuals(path: Path, truth: Any, prediction: Any) -> Path:
    with _Page(path, "Prediction against truth", "truth", "prediction") as axes:
        axes.hexbin(truth, prediction, gridsize=60, mincnt=1, cmap="viridis")
        ends = [float(np.min(truth)), float(np.max(truth))]
        axes.plot(ends, ends, linestyle=":", color="grey")
    return path


def _confusion(path: Path, truth: Any, prediction: Any) -> Path:
    from sklearn.metrics import confusion_matrix

    with _Page(path, "Confusion matrix, share of the true class", "predicted class", "true class") as axes:
        labels = range(prediction.shape[1])
        shares = confusion_matrix(truth, prediction.argmax(axis=1), labels=labels, normalize="true")
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set(xticks=list(labels), yticks=list(labels))
    return path
