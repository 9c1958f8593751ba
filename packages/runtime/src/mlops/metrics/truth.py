"""Labels of the test rows as the arrays that metrics take."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops.errors import InvalidInput
from mlops.spec.schema import ModelSchema
from mlops.spec.tasks import is_values

Array = np.ndarray[Any, np.dtype[Any]]


def encode_truth(schema: ModelSchema, values: Any) -> Array:
    """Labels as float64 [n]: 0/1 for binary (1 is the last class), class indices, or values as they are; for
    several labels 0/1 [n, labels]. Of a custom task they stay what they are, or are numbers [n, outputs].

    Raises `InvalidInput` when a label is missing or not one of the model's classes.
    """
    if schema.task == "custom":
        return several(values, len(schema.outputs)) if schema.outputs else _as_they_are(values)
    if schema.task == "multilabel":
        return indicators(values, schema.classes)
    raw = np.asarray(values)
    if is_values(schema.task):
        truth = raw.astype(np.float64)
        if not np.isfinite(truth).all():
            raise InvalidInput("the target has missing values in the test rows")
        return truth
    known = {label: float(index) for index, label in enumerate(schema.classes)}
    labels, inverse = np.unique(raw, return_inverse=True)
    codes = [known.get(str(v), known.get(_integer_text(v))) for v in labels]
    if None in codes:
        wrong = [str(v) for v, code in zip(labels, codes, strict=True) if code is None]
        raise InvalidInput(
            f"the target has the values {', '.join(wrong[:5])}, "
            f"but the model knows the classes {', '.join(schema.classes)}"
        )
    return np.array(codes, dtype=np.float64)[inverse]


def indicators(values: Any, labels: Sequence[str]) -> Array:
    """Lists of labels (or one text with `+` or `;` between them) as 0/1 [n, labels].

    Raises `InvalidInput` for a label that is none of `labels`.
    """
    place = {label: index for index, label in enumerate(labels)}
    table = np.zeros((len(values), len(labels)))
    unknown: set[str] = set()
    for row, given in enumerate(values):
        for label in labels_of(given):
            if label in place:
                table[row, place[label]] = 1.0
            else:
                unknown.add(label)
    if unknown:
        raise InvalidInput(
            f"the target has the labels {', '.join(sorted(unknown)[:5])}, but the model knows "
            f"{', '.join(labels)}"
        )
    return table


def labels_of(value: Any) -> list[str]:
    """The labels of a row, whatever it holds them in."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, str):
        return [part for part in value.replace(";", "+").split("+") if part and part != "none"]
    return [str(label) for label in value]


def _as_they_are(values: Any) -> Array:
    """Numbers as float64, also [n, k] where each row is a list of k of them; anything else as objects, one
    a row."""
    with contextlib.suppress(ValueError):  # lists of several lengths
        raw = np.asarray(values)
        if raw.dtype == object:  # a column whose cells are lists
            raw = np.array([np.asarray(value) for value in values])
        if raw.dtype.kind in "iufb":
            return raw.astype(np.float64)
    objects = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        objects[row] = value
    return objects


def several(values: Any, outputs: int) -> Array:
    """Targets of a model with several outputs: float64 [n, outputs], where each row is a list of as many
    numbers (or its JSON, as in a file of labels); else what they are, one a row."""
    rows = [_read(value) for value in values]
    try:
        table = np.array([np.asarray(row, dtype=np.float64) for row in rows])
    except (ValueError, TypeError):
        table = np.empty(0)
    return table if table.shape == (len(rows), outputs) else _as_they_are(rows)


def _read(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("["):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


def _integer_text(value: Any) -> str:
    number = float(value) if isinstance(value, int | float | np.number | np.bool_) else float("nan")
    return str(int(number)) if number.is_integer() else ""
