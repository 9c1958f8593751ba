"""Where a model has a threshold, whoever reads its answers is told what counts as yes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlops.serving.batch.batch_file import LABEL, PREDICTION, BatchJob, answers
from mlops.serving.http.openapi import document
from mlops.serving.score.core import Scorer
from mlops.spec.schema import Column, ModelSchema

ROWS = pa.table({"a": [1.0, 2.0, 3.0]})
PROBABILITY = np.array([0.29, 0.3, 0.9])


def schema(**given: Any) -> ModelSchema:
    """Of a model with one number as input."""
    columns = [Column(name="a", type="number")]
    return ModelSchema(
        **{"model": "mm", "task": "binary", "columns": columns, "classes": ["no", "yes"], **given}
    )


class Fixed(Scorer):
    """Answers the same for whatever is asked."""

    def predict_rows(self, rows: Any) -> Any:
        return PROBABILITY

    def predict_frame(self, frame: Any) -> Any:
        return PROBABILITY


def told(made: ModelSchema) -> Any:
    """A batch's table."""
    return answers(Fixed(made), BatchJob(Path(), "", Path(), Path()), ROWS, PROBABILITY)


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


def test_an_endpoint_answers_the_label_beside_the_probability() -> None:
    answer = Fixed(schema(threshold=0.3)).answer(PROBABILITY)
    assert answer == {"predictions": PROBABILITY.tolist(), "labels": ["no", "yes", "yes"]}
    assert answer["labels"] == told(schema(threshold=0.3))[LABEL].to_pylist()


@pytest.mark.parametrize(
    "given", [{"threshold": None}, {"task": "regression", "threshold": 0.5, "classes": []}]
)
def test_a_client_of_a_model_that_decides_nothing_sees_no_change(given: dict[str, Any]) -> None:
    assert Fixed(schema(**given)).answer(PROBABILITY) == {"predictions": PROBABILITY.tolist()}


def test_the_threshold_is_compared_with_what_the_client_reads() -> None:
    probability = np.array([0.7], dtype=np.float32)
    answer = Fixed(schema(threshold=0.7)).answer(probability)
    assert answer["predictions"][0] < 0.7 and answer["labels"] == ["no"]


@pytest.mark.parametrize("swagger", [False, True])
def test_the_description_has_the_labels_where_there_are_any(swagger: bool) -> None:
    def answer(made: ModelSchema) -> Any:
        ok = document(made, 1, swagger=swagger)["paths"]["/score"]["post"]["responses"]["200"]
        return ok["schema"] if swagger else ok["content"]["application/json"]["schema"]

    decided, open_one = answer(schema(threshold=0.3)), answer(schema())
    assert decided["properties"]["labels"]["items"]["enum"] == ["no", "yes"]
    assert decided["required"] == ["predictions", "labels"] and open_one["required"] == ["predictions"]
    assert "labels" not in open_one["properties"]
    assert "additionalProperties" not in decided, "a client made from it today reads tomorrow's answers"


@pytest.mark.parametrize("swagger", [False, True])
def test_the_description_says_from_where_on_a_row_counts(swagger: bool) -> None:
    text = str(document(schema(threshold=0.3, decision="cost:5"), 1, swagger=swagger))
    assert "From 0.3 on a row counts as 'yes', as cost:5 chose on training rows." in text
    assert "counts as" not in str(document(schema(), 1, swagger=swagger))
