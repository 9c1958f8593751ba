"""AutoML jobs and nodes: data, limits, columns."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint.asset import check_data
from mlops.lint.finding import Finding
from mlops.lint.machine import at_least, between
from mlops.lint.node import At
from mlops.lint.sweep import check_space

_COUNTS = ("max_trials", "max_concurrent_trials", "timeout_minutes", "trial_timeout_minutes", "max_nodes")
_ALL_CORES = -1
_OF_FORECASTS = {"forecast_horizon": 1, "target_lags": 1, "target_rolling_window_size": 2, "cv_step_size": 1}
"""The least number of periods; `seasonality` may be none."""
_MODEL = "best_model"
_COLUMN_TYPES = ("numeric", "categorical", "categoricalhash", "datetime", "text", "ignore", "hashes")
_FREQUENCY = re.compile(
    r"-?\d*(?:[BCDWMQAYHTSLUN]|C?[BS]?M[SE]?|SM[SE]?|[BS]?[QYA][SE]?|B[QAY]S?|BA?S|BYS|BH|CBH|ME|"
    r"h|min|s|ms|us|ns)(?:-[A-Z]{3})?"
)
_PAIRS = (
    ("max_concurrent_trials", "max_trials", "is more than max_trials"),
    ("trial_timeout_minutes", "timeout_minutes", "is longer than timeout_minutes"),
)


def check_automl(job: At) -> Iterator[Finding]:
    """Problems of an AutoML job."""
    if "training_data" not in job:
        yield job.says("missing-field", "needs `training_data`")
    for field in ("training_data", "validation_data", "test_data"):
        yield from check_data(job[field])
    sampling = job["sweep"]["sampling_algorithm"]
    for part in job["search_space"].elements():
        for _, space in part.fields():
            yield from check_space(space, sampling.word or sampling["type"].word)
    limits = job["limits"]
    for field in _COUNTS:
        yield from at_least(limits[field], 1, "task")
    cores = limits["max_cores_per_trial"]
    if cores.number is not None and cores.number < 1 and cores.number != _ALL_CORES:
        yield cores.says("task", f"must be at least 1, or -1 for all cores; got {cores.value!r}")
    for smaller, larger, why in _PAIRS:
        low, high = limits[smaller].number, limits[larger].number
        if low is not None and high is not None and low > high:
            yield limits[smaller].says("task", f"{why} ({high:g})")
    yield from between(job["n_cross_validations"], 2, 1000, "task")
    yield from _sizes(job)
    yield from _columns(job)
    yield from _outputs(job["outputs"])
    target = job["target_column_name"]
    if target.text is not None and not target.text.strip():
        yield target.says("task", "names no column")
    if job["task"].word == "forecasting":
        yield from _forecasting(job["forecasting"])
    early = job["sweep"]["early_termination"]
    yield from at_least(early["evaluation_interval"], 1, "termination")


def _forecasting(settings: At) -> Iterator[Finding]:
    if "time_column_name" not in settings:
        yield settings.says("task", "forecasting needs `time_column_name`")
    horizon = settings["forecast_horizon"]
    if horizon.text is not None and horizon.word != "auto" and horizon.number is None:
        yield horizon.says("task", f"must be auto or a number of periods; got {horizon.value!r}")
    frequency, country = settings["frequency"], settings["country_or_region_for_holidays"]
    if frequency.text is not None and not _FREQUENCY.fullmatch(frequency.text):
        message = f"is no offset of pandas, as D, W-SUN, MS or 15min; got {frequency.value!r}"
        yield frequency.says("task", message)
    if country.text is not None and not re.fullmatch("[A-Za-z]{2}", country.text):
        yield country.says("task", f"must be a country's two letters, as US; got {country.value!r}")
    for field, least in _OF_FORECASTS.items():
        for place in [settings[field], *settings[field].elements()]:
            yield from at_least(place, least, "task")


def _sizes(job: At) -> Iterator[Finding]:
    for field in ("validation_data_size", "test_data_size"):
        size = job[field]
        yield from between(size, 0, 1, "task")
        if size.number == 0:
            yield size.says("task", "must be more than 0; leave it out for none")


def _columns(job: At) -> Iterator[Finding]:
    for column, kind in job.at("featurization", "column_name_and_types").fields():
        if kind.text is not None and kind.word.replace("_", "") not in _COLUMN_TYPES:
            message = f"a column ({column}) is one of {', '.join(_COLUMN_TYPES)}; got {kind.value!r}"
            yield kind.says("wrong-value", message)


def _outputs(outputs: At) -> Iterator[Finding]:
    """The model is all that AutoML gives."""
    for name, output in outputs.fields():
        if name != _MODEL:
            yield output.says("unknown-output", f"AutoML has one output, `{_MODEL}`; got {name!r}")
        elif output["type"].text is not None and output["type"].word not in ("mlflow_model", "custom_model"):
            yield output["type"].says("type-mismatch", f"is a model of MLflow; got {output['type'].value!r}")
