"""Model monitors (`create_monitor`): signals that Azure ML knows, with thresholds that can be exceeded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops.errors import Problem
from mlops.pipeline.lint.graph import unknown
from mlops.spec._yaml import Document

_TOP = ("compute", "monitoring_target", "monitoring_signals", "alert_notification")
_SIGNALS = (
    "data_drift",
    "data_quality",
    "prediction_drift",
    "feature_attribution_drift",
    "model_performance",
    "generation_safety_quality",
    "generation_token_statistics",
    "custom",
)
_SHARES = ("null_value_rate", "data_type_error_rate", "out_of_bounds_rate", "accuracy", "precision", "recall")


def check_monitor(document: Document) -> Iterator[Problem]:
    """Problems of the `create_monitor` part, of which Azure ML says nothing before the first run."""
    monitor = document.value["create_monitor"]
    for key in monitor:
        if key not in _TOP:
            yield document.problem(("create_monitor", key), unknown(str(key), "field", _TOP))
    if "compute" not in monitor:
        yield document.problem(("create_monitor",), "needs `compute`")
    signals = monitor.get("monitoring_signals")
    if not isinstance(signals, dict) or not signals:
        yield document.problem(("create_monitor", "monitoring_signals"), "needs at least one signal")
        return
    for name, signal in signals.items():
        loc = ("create_monitor", "monitoring_signals", str(name))
        if not isinstance(signal, dict) or signal.get("type") not in _SIGNALS:
            yield document.problem((*loc, "type"), f"must be one of {', '.join(_SIGNALS)}")
            continue
        production = signal.get("production_data")
        if isinstance(production, dict) and "input_data" not in production:
            # Azure ML's loader ends with a TypeError that names neither the file nor the line.
            yield document.problem((*loc, "production_data"), "needs `input_data`")
        thresholds = signal.get("metric_thresholds")
        if not thresholds:
            yield document.problem(loc, "has no `metric_thresholds`, so it can never raise an alert")
        else:
            yield from _thresholds(document, (*loc, "metric_thresholds"), thresholds)


def _thresholds(document: Document, loc: tuple[str, ...], value: Any) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _thresholds(document, (*loc, str(key)), inner)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        yield document.problem(loc, f"must be a number; got {value!r}")
    elif value < 0 or (loc[-1] in _SHARES and value > 1):
        limit = "between 0 and 1" if loc[-1] in _SHARES else "0 or more"
        yield document.problem(loc, f"must be {limit}; got {value!r}")
