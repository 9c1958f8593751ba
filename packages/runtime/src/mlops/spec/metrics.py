"""The standard metrics of each task, and which way is better. Names only: who lists runs computes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from mlops.spec.gatepolicy import Direction
from mlops.spec.schema import Task

METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": (
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier",
        "expected_calibration_error",
        "calibration_gap",
        "accuracy",
        "precision",
        "recall",
        "f1",
    ),
    "multiclass": ("accuracy", "log_loss", "f1_macro", "roc_auc_macro"),
    "multilabel": (
        "f1_micro",
        "f1_macro",
        "hamming_loss",
        "subset_accuracy",
        "log_loss",
        "roc_auc_macro",
    ),
    "regression": ("rmse", "mae", "r2", "bias"),
    "quantiles": ("pinball_loss", "coverage", "coverage_gap", "width", "crossing"),
    "forecast": ("mae", "rmse", "wape", "bias", "skill"),
    "ranking": ("ndcg", "ndcg_at_5", "mean_average_precision", "reciprocal_rank"),
    "custom": (),
}
"""Standard metrics by task. `calibration_gap` is mean prediction minus base rate; so is `bias` for values.

`coverage` is how much of the truth lies between the outermost quantiles, `coverage_gap` by how much that is
more than they promise; `skill` is 1 minus the error as a share of the baseline's (the seasonal naive
forecast).
"""
MAIN: Mapping[Task, tuple[str, Direction]] = {
    "binary": ("roc_auc", "higher"),
    "multiclass": ("accuracy", "higher"),
    "multilabel": ("log_loss", "lower"),
    "regression": ("rmse", "lower"),
    "quantiles": ("pinball_loss", "lower"),
    "forecast": ("mae", "lower"),
    "ranking": ("ndcg", "higher"),
}
"""The metric that says most of a task, and which way is better; a custom task names its own."""
LOWER_IS_BETTER = frozenset(
    (
        "log_loss",
        "brier",
        "expected_calibration_error",
        "rmse",
        "mae",
        "wape",
        "hamming_loss",
        "pinball_loss",
        "crossing",
        "width",
    )
)
NEAR_ZERO_IS_BETTER = frozenset(("calibration_gap", "bias", "coverage_gap"))
GAPS: Mapping[str, str] = {"coverage": "coverage_gap"}
"""Metrics that ought to be a value, which a model states, and the metric that says how far off they are."""
