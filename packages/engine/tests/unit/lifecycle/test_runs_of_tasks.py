"""Runs of every task are compared by what its metrics need: the group of a row, the names of an answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.board.changes import change, way_of
from mlops.errors import InvalidInput
from mlops.lifecycle.train import compare, said
from mlops.lifecycle.train.compare import verdict
from mlops.lifecycle.train.runs import Made, direction, goodness
from mlops.spec.gatepolicy import load_gates
from mlops.spec.gates import Interval
from mlops.spec.schema import Column, ModelSchema
from mlops.targets.base import TrainingRun
from mlops.targets.memory import MemoryRegistry

ROOT = Path(__file__).parents[5]


def at(value: float) -> Interval:
    """A metric."""
    return Interval(value=value, low=value - 0.01, high=value + 0.01)


class _Case:
    """A use case of any task; what it says of its rows is set by a test."""

    name = "case"
    target = "y"
    time = None
    slices: tuple[str, ...] = ()

    def __init__(self, task: str, **told: Any) -> None:
        self.task = task
        self.__dict__.update(told)

    def contract(self) -> Any:
        """One column."""
        from pandera.pandas import Column, DataFrameSchema

        return DataFrameSchema({"a": Column("float64")})

    def evaluate(self, truth: Any, prediction: Any) -> dict[str, float]:
        """Nothing of its own."""
        return {}

    load = features = build = None


def case(task: str, **told: Any) -> Any:
    """As much of a use case as is asked for here."""
    return _Case(task, **told)


def kept(folder: Path, task: str, frame: pd.DataFrame) -> tuple[MemoryRegistry, Made]:
    """A run with a report."""
    report = folder / "report"
    report.mkdir()
    frame.to_parquet(report / "predictions.parquet")
    latency = {"seconds": 0.1, "repeats": 1, "reference_seconds": 0.1}
    told = {
        "task": task,
        "rows": len(frame),
        "confidence": 0.95,
        "resamples": 1,
        "seed": 1,
        "metrics": {"m": {"value": 1, "low": 1, "high": 1}},
    }
    (report / "evaluation.json").write_text(json.dumps({**told, "artifact_bytes": 1, "latency": latency}))
    registry = MemoryRegistry()
    registry.add_artifacts("aaaa1111", report, "report")
    return registry, Made.of(TrainingRun("aaaa1111", datetime(2026, 11, 29, tzinfo=UTC), {}, {}, {}))


RANKED = pd.DataFrame({"query": [1, 1, 2, 2], "truth": [1.0, 0.0, 0.0, 1.0], "prediction": [9.0, 1, 2, 8]})


@pytest.mark.parametrize(
    ("task", "told", "frame", "expected"),
    [
        ("ranking", {"group": "query"}, RANKED, ("ndcg", 1.0)),
        (
            "quantiles",
            {"quantiles": (0.1, 0.5, 0.9)},
            pd.DataFrame(
                {
                    "truth": [1.0, 9.0],
                    "prediction_0.1": [0.0, 0.0],
                    "prediction_0.5": [1.0, 1.0],
                    "prediction_0.9": [2.0, 2.0],
                }
            ),
            ("coverage_gap", -0.3),
        ),
        (
            "multilabel",
            {},
            pd.DataFrame(
                {
                    "truth": [[1.0, 0.0], [0.0, 1.0]],
                    "prediction_a": [0.9, 0.2],
                    "prediction_b": [0.2, 0.7],
                }
            ),
            ("subset_accuracy", 1.0),
        ),
    ],
)
def test_a_run_of_any_task_is_read_again_with_what_its_metrics_need(
    task: str, told: dict[str, Any], frame: pd.DataFrame, expected: tuple[str, float], tmp_path: Path
) -> None:
    registry, made = kept(tmp_path, task, frame)
    found = compare.tested(registry, case(task, **told), made)
    assert found.scores.value(expected[0]) == pytest.approx(expected[1])


def test_rows_that_belong_together_are_drawn_together(tmp_path: Path) -> None:
    registry, made = kept(tmp_path, "ranking", RANKED)
    assert compare.tested(registry, case("ranking", group="query"), made).scores.groups == 2


def schema() -> ModelSchema:
    """Of a model that ranks."""
    return ModelSchema(model="case", task="ranking", columns=[Column(name="a", type="number")])


def test_predictions_of_a_pipeline_keep_the_group_of_a_row() -> None:
    frame = RANKED.rename(columns={"truth": "y"}).assign(other=1)
    usecase = case("ranking", group="query")
    found = said.of_table(frame, usecase, schema())
    assert found is not None and found.table is not None
    assert list(found.table) == ["query", "truth", "prediction"]
    metrics, _ = said._metrics(usecase, schema(), found.table)
    assert metrics["ndcg"].value == pytest.approx(1.0)
    assert said.columns_of_table(usecase, schema()) == "y, query, prediction or predicted"


def test_predictions_that_rank_and_say_no_group_are_refused() -> None:
    frame = RANKED.rename(columns={"truth": "y"}).drop(columns="query")
    usecase = case("ranking", group="query")
    found = said.of_table(frame, usecase, schema())
    assert found is not None and found.table is not None
    with pytest.raises(InvalidInput, match="names 'query' as its group"):
        said._metrics(usecase, schema(), found.table)


def test_coverage_ought_to_be_what_the_quantiles_promise() -> None:
    """0.99 is no better than 0.81 where 0.8 was promised."""
    policy = load_gates(ROOT, "flights")
    way = direction("coverage", policy, {"coverage": at(0.99), "coverage_gap": at(0.19)})
    assert way is not None and way == pytest.approx(0.8)
    assert goodness(0.81, way) > goodness(0.99, way)
    assert goodness(0.79, way) > goodness(0.99, way)
    apart = Interval(value=0.18, low=0.1, high=0.2)
    assert verdict(at(0.99), at(0.81), apart, way) == "worse"
    assert direction("coverage", policy) is None, "without the gap nobody knows what was promised"


def test_the_board_says_what_a_metric_ought_to_be() -> None:
    assert way_of(0.8) == "nearer to 0.8000 is better"
    found = change(Interval(value=0.99, low=0.98, high=1.0, champion=0.81), 0.8)
    assert found is not None and found.word == "worse"
    assert way_of("zero") == "nearer to 0 is better"
    assert np.isfinite(goodness(0.3, "zero"))
