"""What a brought pipeline says of its own model: predictions with the truth, or a report of metrics.

It is kept as evidence that says what it is. The gates take it only where their file says so (`believe`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops.errors import InvalidInput
from mlops.lifecycle.train.evidence import REPORT, SAID
from mlops.spec.evaluation import FILE, PREDICTIONS, read_evaluation
from mlops.spec.gates import Interval
from mlops.spec.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd

    from mlops.usecase import UseCase

_NAMES = ("prediction", "predicted")
"""How the column of a single answer may be called."""


@dataclass(frozen=True)
class Said:
    """One of a table of truth and prediction, and the metrics of a report with the number of its rows."""

    table: pd.DataFrame | None = None
    metrics: Mapping[str, float] | None = None
    rows: int = 0

    @property
    def what(self) -> Literal["predictions", "report"]:
        """How `believe` calls it."""
        return "report" if self.table is None else "predictions"


def of_table(frame: pd.DataFrame, usecase: UseCase, schema: ModelSchema) -> Said | None:
    """The truth and the predictions of a table; None when it lacks one. Raises `InvalidInput`."""
    wanted = {f"prediction_{label}": f"prediction_{label}" for label in schema.listed}
    if not wanted:
        wanted = {name: "prediction" for name in _NAMES if name in frame}
        wanted = dict(list(wanted.items())[:1])
    if usecase.target not in frame or not wanted or any(name not in frame for name in wanted):
        return None
    if frame.empty:
        raise InvalidInput("the output `predictions` has no rows")
    kept = [column for column in (*usecase.slices, *_told(usecase)) if column in frame]
    table = frame[list(dict.fromkeys([*kept, usecase.target, *wanted]))]
    return Said(table.rename(columns={usecase.target: "truth", **wanted}), rows=len(table))


def columns_of_table(usecase: UseCase, schema: ModelSchema) -> str:
    """What `of_table` needs, in words."""
    columns = [f"prediction_{label}" for label in schema.listed] or [" or ".join(_NAMES)]
    return ", ".join([usecase.target, *_told(usecase), *columns])


def _told(usecase: UseCase) -> list[str]:
    """What metrics need of a row beside truth and prediction: its time, its group, the baseline's answer."""
    from mlops.usecase import Compares, Groups, beside

    known = {usecase.time}
    known |= {usecase.group} if isinstance(usecase, Groups) else set()
    known |= {usecase.baseline} if isinstance(usecase, Compares) else set()
    return [name for name in beside(usecase) if name in known and name != usecase.target]


def of_report(path: Path) -> Said:
    """The metrics of a JSON file, or of the one JSON file of a folder. Raises `InvalidInput`."""
    files = [path] if path.is_file() else sorted(path.rglob("*.json"))
    if len(files) != 1:
        there = "none" if not files else ", ".join(file.name for file in files)
        raise InvalidInput(f"the output `report` ({path}) must hold one JSON file of metrics; it has {there}")
    try:
        value: Any = json.loads(files[0].read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{files[0]} is no JSON: {error}") from None
    given = value.get("metrics", value) if isinstance(value, dict) else None
    metrics = {
        str(name): float(number)
        for name, number in (given.items() if isinstance(given, dict) else ())
        if _is_number(number) and name != "rows"
    }
    if not metrics:
        raise InvalidInput(f'{files[0]} names no metric; write {{"metrics": {{"r2": 0.41}}, "rows": 120}}')
    rows = value.get("rows", 0)
    return Said(metrics=metrics, rows=rows if isinstance(rows, int) and rows > 0 else 0)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def write(usecase: UseCase, schema: ModelSchema, said: Said, to: Path) -> None:
    """Put it in the place of what was measured on rows that the model has seen: those prove nothing."""
    report = to / REPORT
    measured = read_evaluation(report / FILE)
    for name in ("plots", PREDICTIONS):
        _remove(report / name)
    if said.table is not None:
        metrics, undefined = _metrics(usecase, schema, said.table)
        said.table.to_parquet(report / PREDICTIONS, index=False)
        said.table.to_parquet(to / SAID, index=False)
    else:
        metrics = {name: Interval(value=v, low=v, high=v) for name, v in (said.metrics or {}).items()}
        undefined = [f"{name} has no interval: it is a figure of the pipeline's report" for name in metrics]
    made = measured.model_copy(
        update={
            "believed": said.what,
            "rows": said.rows,
            "metrics": metrics,
            "undefined": undefined,
            "base_rate": None,
            "slices": [],
            "onnx": None,
            "calibration": [],
        }
    )
    (report / FILE).write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _metrics(
    usecase: UseCase, schema: ModelSchema, table: pd.DataFrame
) -> tuple[dict[str, Interval], list[str]]:
    import numpy as np

    from mlops.metrics.scores import Scores
    from mlops.metrics.truth import encode_truth
    from mlops.steps.about import about
    from mlops.steps.evaluate import intervals_of

    names = [f"prediction_{label}" for label in schema.listed] or ["prediction"]
    try:
        prediction = table[names].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise InvalidInput(f"the output `predictions` holds what is no number: {error}") from None
    if not np.isfinite(prediction).all():
        raise InvalidInput("the output `predictions` holds rows without a prediction")
    scores = Scores.of(
        schema,
        encode_truth(schema, table["truth"]),
        prediction if schema.listed else prediction[:, 0],
        # The use case's own metrics are asked for by themselves: where one fails, a sentence says why.
        replace(about(usecase, table), extra=None),
    )
    intervals, undefined = intervals_of(usecase, scores)
    if not intervals:
        raise InvalidInput("no metric is defined on the rows of the output `predictions`")
    return intervals, undefined


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
