"""Where a model has a threshold, whoever reads its answers is told what counts as yes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlops.serving.batch.batch_file import LABEL, PREDICTION, BatchJob, answers
from mlops.serving.http.openapi import document
from mlops.spec.schema import Column, ModelSchema

ROWS = pa.table({"a": [1.0, 2.0, 3.0]})
PROBABILITY = np.array([0.29, 0.3, 0.9])


def schema(**given: Any) -> ModelSchema:
    """Of a model with one number as input."""
    columns = [Column(name="a", type="number")]
    return ModelSchema(
        **{"model": "mm", "task": "binary", "columns": columns, "classes": ["no", "yes"], **given}
    )


def told(made: ModelSchema) -> Any:
    """A batch's table."""
    return answers(SimpleNamespace(schema=made), BatchJob(Path(), "", Path(), Path()), ROWS, PROBABILITY)  # type: ignore[arg-type]


def test_a_batch_has_the_label_beside_the_probability() -> None:
    table = told(schema(threshold=0.3))
    assert table[LABEL].to_pylist() == ["no", "yes", "yes"], "the threshold itself is yes, as it is judged"
    assert table[PREDICTION].to_pylist() == PROBABILITY.tolist()


def test_classes_without_names_are_numbers() -> None:
    assert told(schema(threshold=0.3, classes=[]))[LABEL].to_pylist() == ["0", "1", "1"]


@pytest.mark.parametrize(
    "given", [{"threshold": None}, {"task": "regression", "threshold": 0.5, "classes": []}]
)
def test_where_nothing_is_decided_there_is_no_label(given: dict[str, Any]) -> None:
    assert LABEL not in told(schema(**given)).column_names


@pytest.mark.parametrize("swagger", [False, True])
def test_the_description_says_from_where_on_a_row_counts(swagger: bool) -> None:
    text = str(document(schema(threshold=0.3, decision="cost:5"), 1, swagger=swagger))
    assert "From 0.3 on a row counts as 'yes', as cost:5 chose on training rows." in text
    assert "counts as" not in str(document(schema(), 1, swagger=swagger))
