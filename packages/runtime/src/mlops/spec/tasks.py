"""What a task means for whoever asks a model, and for whoever looks at its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from mlops.spec.schema import ModelSchema, Task

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Asked = Literal["binary", "multiclass", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)
CLASSES: tuple[Task, ...] = ("binary", "multiclass", "multilabel")
"""Tasks whose answers are probabilities of named classes."""
CALLED = 0.5
"""A label is called where its probability is at least this."""


def asked_as(task: Task) -> Asked:
    """How a library is asked: for probabilities of two or several classes, or for values."""
    if task in ("binary", "multiclass"):
        return cast("Asked", task)
    return "multiclass" if task == "multilabel" else "regression"


def is_values(task: Task) -> bool:
    """Whether answers are values of the target's own scale, and no probabilities."""
    return task not in CLASSES


def one_number(schema: ModelSchema, predictions: Array) -> Array:
    """[n] numbers that stand for the answers in a histogram: the likeliest class, the middle value."""
    if predictions.ndim == 1:
        return predictions
    return predictions.argmax(axis=1) if schema.classes else predictions[:, predictions.shape[1] // 2]


def named(schema: ModelSchema) -> bool:
    """Whether `summary` gives texts."""
    return schema.task in ("multiclass", "multilabel")


def summary(schema: ModelSchema, predictions: Array) -> Array:
    """[n] texts or numbers whose distribution is watched: the likeliest class, the labels called, the
    value."""
    if not named(schema):
        return one_number(schema, predictions)
    import numpy as np

    classes = np.array(schema.classes, dtype=object)
    if schema.task == "multiclass":
        return np.asarray(classes[predictions.argmax(axis=1)])
    called = predictions >= CALLED
    return np.array(["+".join(classes[row]) or "none" for row in called], dtype=object)
