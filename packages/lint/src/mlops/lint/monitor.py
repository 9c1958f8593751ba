"""Model monitors (`create_monitor`): signals, windows, thresholds, who is told."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint.asset import check_data
from mlops.lint.finding import Finding
from mlops.lint.machine import at_least
from mlops.lint.node import At
from mlops.lint.references import check_asset, is_placeholder
from mlops.lint.spark import INSTANCE_TYPES, check_runtime

DURATION = re.compile(
    r"P(?=\d|T\d)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_MINUTES = {
    "years": 525_600,
    "months": 43_200,
    "weeks": 10_080,
    "days": 1_440,
    "hours": 60,
    "minutes": 1,
    "seconds": 1 / 60,
}
_DEPLOYMENT = re.compile(r"azureml:[^:/\s]+:[^:/\s]+|azureml:/subscriptions/.+", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s.,;<>]{2,}")
_SHARES = (
    "null_value_rate",
    "data_type_error_rate",
    "out_of_bounds_rate",
    "accuracy",
    "precision",
    "recall",
    "normalized_discounted_cumulative_gain",
    "jensen_shannon_distance",
    "two_sample_kolmogorov_smirnov_test",
    "pearsons_chi_squared_test",
    "aggregated_coherence_pass_rate",
    "aggregated_fluency_pass_rate",
    "aggregated_groundedness_pass_rate",
    "aggregated_relevance_pass_rate",
    "aggregated_similarity_pass_rate",
)
"""What is a share, or the p-value of a test: more than 1 is never reached."""
_WINDOWS = ("lookback_window_size", "lookback_window_offset")


def minutes_of(duration: str) -> float | None:
    """The minutes of a duration such as PT30M, a month as 30 days; None when it is none."""
    match = DURATION.fullmatch(duration)
    return match and sum(float(match[part] or 0) * minutes for part, minutes in _MINUTES.items())


def check_monitor(monitor: At) -> Iterator[Finding]:
    """Problems of the `create_monitor` part, of which Azure ML says nothing before the first run."""
    if isinstance(monitor.value, dict) and "compute" not in monitor:
        yield monitor.says("missing-field", "needs `compute`: what the signals are computed on")
    compute = monitor["compute"]
    size = compute["instance_type"]
    if size.text is not None and size.word not in INSTANCE_TYPES:
        yield size.says("vm-size", f"must be one of {', '.join(INSTANCE_TYPES)}; got {size.value!r}")
    yield from check_runtime(compute["runtime_version"])
    yield from check_asset(monitor.at("monitoring_target", "model_id"))
    yield from _deployment(monitor.at("monitoring_target", "endpoint_deployment_id"))
    for _, signal in monitor["monitoring_signals"].fields():
        yield from _signal(signal)
    yield from check_told(monitor["alert_notification"])


def _deployment(place: At) -> Iterator[Finding]:
    text = place.text
    if text is None or is_placeholder(text) or "${{" in text or text.lower().startswith("/subscriptions/"):
        return
    if not _DEPLOYMENT.fullmatch(text):
        message = f"must be azureml:<endpoint>:<deployment>; got {text!r}"
        yield place.says("bad-reference", message)


def _signal(signal: At) -> Iterator[Finding]:
    production = signal["production_data"]
    for data in [production, *production.elements(), signal["reference_data"]]:
        yield from _data(data)
    if isinstance(production.value, dict) and "input_data" not in production:
        # Azure ML's loader ends with a TypeError that names neither the file nor the line.
        yield production.says("missing-field", "needs `input_data`")
    for _, data in signal["input_data"].fields():
        yield from _data(data)
    yield from at_least(signal.at("features", "top_n_feature_importance"), 1, "out-of-range")
    thresholds = signal["metric_thresholds"]
    if isinstance(signal.value, dict) and not thresholds.value:
        message = "has no `metric_thresholds`, so it can never raise an alert but by Azure's defaults"
        yield signal.says("silent-monitor", message)
    yield from _thresholds(thresholds)


def _data(data: At) -> Iterator[Finding]:
    yield from check_data(data["input_data"])
    window = data["data_window"]
    for field in _WINDOWS:
        place = window[field]
        if place.text is not None and place.word != "default" and not DURATION.fullmatch(place.text):
            message = f"must be a duration such as P7D or PT12H; got {place.value!r}"
            yield place.says("window", message)
    start, end = window["window_start"].text, window["window_end"].text
    if start is not None and end is not None and start >= end:
        yield window["window_end"].says("window", f"must be later than window_start ({start})")


def _thresholds(place: At) -> Iterator[Finding]:
    for name, inner in place.fields():
        number = inner.number
        if number is None:
            yield from _thresholds(inner)
        elif number < 0 and name != "threshold":
            yield inner.says("threshold", f"must be 0 or more; got {inner.value!r}")
        elif name in _SHARES and number > 1:
            yield inner.says("threshold", f"must be between 0 and 1; got {inner.value!r}")


def check_told(notification: At) -> Iterator[Finding]:
    """Whom a notification goes to."""
    emails = notification["emails"]
    for place in emails.elements():
        if place.text is not None and not _EMAIL.fullmatch(place.text):
            yield place.says("email", f"{place.value!r} is no e-mail address")
