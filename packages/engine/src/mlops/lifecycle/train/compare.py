"""Two training runs beside each other: parameters, data, code, and metrics on the same test rows.

A difference counts when its interval, from the same resamples of the same rows, leaves out zero. Runs that
were tested on other rows are shown beside each other, and nothing is said of which is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlops.errors import MlopsError
from mlops.lifecycle.train.runs import Made, Way, direction, goodness
from mlops.lifecycle.train.scope import scope
from mlops.lifecycle.train.source import CodeDiff, code_diff
from mlops.metrics.intervals import paired_intervals
from mlops.metrics.scores import Scores
from mlops.spec.evaluation import FILE, PREDICTIONS, read_evaluation
from mlops.spec.gatepolicy import load_gates
from mlops.spec.gates import Interval
from mlops.spec.settings import load_settings
from mlops.steps.about import about
from mlops.targets.base import Registry
from mlops.usecase import UseCase, load_usecase

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["better", "worse", "same", "unknown"]
RESAMPLES = 200
CONFIDENCE = 0.95
_SEED = 2013
_SAY_THEIR_OUTPUTS = ("quantiles", "custom")
"""Tasks whose metrics go by the names of the values of an answer."""


@dataclass(frozen=True)
class MetricRow:
    """One metric of two runs."""

    name: str
    one: Interval | None
    other: Interval | None
    difference: Interval | None
    """`one` minus `other`, paired; None when the test rows differ."""
    verdict: Verdict
    """Of `one`; `same` when chance alone explains the difference."""


@dataclass(frozen=True)
class Comparison:
    """`one` against `other`."""

    one: Made
    other: Made
    metrics: tuple[MetricRow, ...]
    unpaired: str
    """Why the metrics cannot be compared; empty when they can."""
    params: Mapping[str, tuple[str, str]]
    """Those that differ: other, one. Empty text: it has none of that name."""
    data: Mapping[str, tuple[str, str]]
    """What differs of the data: other, one."""
    code: CodeDiff

    @property
    def equal(self) -> bool:
        """Whether nothing was changed between them."""
        return not (self.params or self.data or self.code.files or self.code.unknown)


@dataclass(frozen=True)
class Tested:
    """A run's predictions on its test rows."""

    scores: Scores
    rows: pd.DataFrame
    """What tells the rows apart: time, slices and truth."""


def compare(
    root: Path, registry: Registry, model: str, one: Made, other: Made, *, report: Path | None = None
) -> Comparison:
    """`report`: the folder of `one` that the step `evaluate` wrote, while the run has not ended yet.

    Raises `InvalidInput` for gates or a use case that cannot be read.
    """
    policy = load_gates(root, model)
    _, settings = load_settings(root).model(model)
    usecase = load_usecase(settings.usecase, root / "src")
    both = {**one.metrics, **other.metrics}
    ways = {name: direction(name, policy, both) for name in both}
    differences, unpaired = _paired(registry, usecase, (one, report), other)
    return Comparison(
        one=one,
        other=other,
        metrics=tuple(_rows(one, other, differences, ways)),
        unpaired=unpaired,
        params=changed(other.params, one.params),
        data=changed(_data(other), _data(one)),
        code=code_diff(root, other.tree, one.tree, scope(root, model)),
    )


def _paired(
    registry: Registry, usecase: UseCase, made: tuple[Made, Path | None], other: Made
) -> tuple[dict[str, Interval], str]:
    """Differences of the metrics, or why there are none."""
    one, report = made
    if one.test_window != other.test_window:
        return {}, f"{other.name} was tested on {other.test_window}, {one.name} on {one.test_window}"
    try:
        first, second = tested(registry, usecase, one, report), tested(registry, usecase, other)
    except MlopsError as error:
        return {}, str(error)
    if not first.rows.equals(second.rows):
        return {}, f"{one.name} and {other.name} were tested on other rows of {one.test_window}"
    intervals = paired_intervals(
        first.scores,
        second.scores,
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        seed=_SEED,
        extra=usecase.evaluate,
    )
    return intervals, ""


def tested(registry: Registry, usecase: UseCase, made: Made, report: Path | None = None) -> Tested:
    """What a run predicted. Raises `NotFound`, and `InvalidInput` where its rows lack what metrics need."""
    import pandas as pd

    def place(name: str) -> Path:
        return report / name if report is not None else registry.artifacts(made.run_id, f"report/{name}")

    evaluation = read_evaluation(place(FILE))
    frame = pd.read_parquet(place(PREDICTIONS))
    columns = [name for name in frame if str(name).startswith("prediction")]
    prediction = frame[columns[0]].to_numpy() if columns == ["prediction"] else frame[columns].to_numpy()
    outputs = tuple(str(name).removeprefix("prediction_") for name in columns)
    told = about(usecase, frame)
    told = replace(told, extra=None, outputs=outputs if evaluation.task in _SAY_THEIR_OUTPUTS else ())
    truth = np.array(frame["truth"].tolist())
    return Tested(
        Scores(evaluation.task, truth, prediction, evaluation.threshold, told), frame.drop(columns=columns)
    )


def _rows(
    one: Made, other: Made, differences: Mapping[str, Interval], ways: Mapping[str, Way | None]
) -> list[MetricRow]:
    names = [*one.metrics, *(name for name in other.metrics if name not in one.metrics)]
    metric_rows = []
    for name in names:
        difference = differences.get(name)
        first, second = one.metrics.get(name), other.metrics.get(name)
        metric_rows.append(
            MetricRow(name, first, second, difference, verdict(first, second, difference, ways[name]))
        )
    return metric_rows


def verdict(
    one: Interval | None, other: Interval | None, difference: Interval | None, way: Way | None
) -> Verdict:
    """What the paired interval says of `one`; pure."""
    if one is None or other is None or difference is None or way is None:
        return "unknown"
    if difference.low <= 0 <= difference.high:
        return "same"
    ahead = goodness(one.value, way) > goodness(other.value, way)
    return "better" if ahead else "worse"


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Names whose text differs, with what it was and what it is."""
    names = [*before, *(name for name in after if name not in before)]
    pairs = {name: (before.get(name, ""), after.get(name, "")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _data(made: Made) -> dict[str, str]:
    return {
        "data": made.data,
        "content": made.data_digest.removeprefix("sha256:")[:12],
        "window": made.window,
        "test window": made.test_window,
    }
