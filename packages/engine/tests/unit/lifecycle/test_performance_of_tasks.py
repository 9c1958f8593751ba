"""What turned out to be true of each kind of task, recorded as `mlops labels add` records it, tells a good
model from a bad one. A task whose labels were read as text would be judged by nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlops.lifecycle.watch.labels import known_labels
from mlops.lifecycle.watch.performance import judged_performance
from mlops.monitoring.scan import Scanned
from mlops.spec.monitoring import MonitoringPolicy, Signal
from mlops.spec.schema import Column, ModelSchema, Task
from mlops.targets.local.observations import LocalObservations

ROWS = 300
DRAW = np.random.default_rng(4)
VALUE = DRAW.normal(350, 20, ROWS)
HOT, WET = DRAW.random(ROWS) < 0.5, DRAW.random(ROWS) < 0.3
GRADE = DRAW.integers(0, 4, ROWS)
BESIDE = DRAW.permutation(ROWS)
"""Another row's answer: what a model that knows nothing of the row would say."""


def cost(truth: Any, prediction: Any) -> dict[str, float]:
    return {"cost": float(np.abs(truth - prediction).mean())}


@dataclass(frozen=True)
class Case:
    task: Task
    metric: str
    limit: dict[str, float]
    truth: list[Any]
    answers: Any
    members: dict[str, list[str]]
    extra: Callable[[Any, Any], dict[str, float]] | None = None


CASES = {
    "multilabel": Case(
        "multilabel", "f1_micro", {"min": 0.9},
        [[n for n, yes in (("hot", hot), ("wet", wet)) if yes] for hot, wet in zip(HOT, WET, strict=True)],
        np.column_stack([HOT, WET]) * 0.8 + 0.1, {"classes": ["hot", "wet"], "listed": []},
    ),
    "quantiles": Case(
        "quantiles", "pinball_loss", {"max": 2}, list(VALUE),
        VALUE[:, None] + np.array([-3.0, 0.0, 3.0]), {"outputs": ["0.1", "0.5", "0.9"]},
    ),
    "forecast": Case("forecast", "mae", {"max": 2}, list(VALUE), VALUE + 1, {}),
    "ranking": Case("ranking", "ndcg", {"min": 0.95}, list(GRADE), GRADE + 0.1, {}),
    "one number": Case("custom", "cost", {"max": 2}, list(VALUE), VALUE + 1, {}, cost),
    "two numbers": Case(
        "custom", "cost", {"max": 2}, np.column_stack([VALUE, -VALUE]).tolist(),
        np.column_stack([VALUE, -VALUE]) + 1, {"outputs": ["x", "y"]}, cost,
    ),
}  # fmt: skip


def judged(case: Case, answers: Any, folder: Path) -> Signal:
    """As `mlops monitor` judges it; six rows a request."""
    from mlops.lifecycle.watch import labels

    ids = pd.DataFrame({"request": [f"r{i // 6}" for i in range(ROWS)], "row": np.arange(ROWS) % 6})
    told = pd.DataFrame({"request_id": ids["request"], "row": ids["row"], "label": case.truth})
    told.to_parquet(folder / "labels.parquet", index=False)
    kept = labels._checked(pd.read_parquet(folder / "labels.parquet"), "labels.parquet")
    observations = LocalObservations(folder)
    (folder / "kept").mkdir()
    kept.to_parquet(folder / "kept" / "1.parquet", index=False)
    observations.files = lambda *_: [folder / "kept" / "1.parquet"]  # type: ignore[method-assign]
    captured = pa.table(
        {
            "_request_id": ids["request"],
            "_row": ids["row"],
            "_time": pd.date_range("2026-01-01", periods=ROWS),
            "_prediction": list(answers),
            "a": np.zeros(ROWS),
        }
    )
    members = {key: value for key, value in case.members.items() if key != "listed"}
    columns = [Column(name="a", type="number")]
    schema = ModelSchema(model="toy", task=case.task, columns=columns, **members)  # type: ignore[arg-type]
    limit = {"metric": case.metric, **case.limit}
    policy = MonitoringPolicy.model_validate({"min_labels": 200, "performance": [limit]})
    extra = case.extra
    found = Scanned(rows=ROWS, labelled=captured)
    evaluation: Any = Known({case.metric: 1.0}) if extra else None
    rows, (signal,) = judged_performance(
        schema, found, known_labels(observations, "prod", "toy"), policy, evaluation, extra=extra
    )
    assert rows == ROWS
    return signal


class Known:
    """Of an evaluation, what is asked for: the metrics that the use case gave at training."""

    def __init__(self, metrics: dict[str, float]) -> None:
        from mlops.spec.gates import Interval

        self.metrics = {name: Interval(value=v, low=v, high=v) for name, v in metrics.items()}
        self.slices: list[Any] = []
        self.weight: str | None = None


@pytest.mark.parametrize("name", CASES)
def test_the_truth_that_comes_later_tells_a_good_model_from_a_bad_one(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    for folder, answers, verdict in (
        ("good", case.answers, "pass"),
        ("bad", np.asarray(case.answers)[BESIDE], "breach"),
    ):
        (tmp_path / folder).mkdir()
        signal = judged(case, answers, tmp_path / folder)
        assert signal.verdict == verdict, (signal.observed, signal.detail)
        assert signal.observed is not None and np.isfinite(signal.observed)
