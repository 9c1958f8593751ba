"""A fitted estimator or pipeline as one ONNX graph: raw columns in, probabilities or values out.

The graph takes two inputs, because a call with twenty costs twice as much: `strings` [N, k] and `floats`
[N, m] float32, each in the order of the signature. Null is NaN among the numbers. ONNX has no null text, so
it is "" among the strings: what an encoder has learned of None, the graph does with "".
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops.serving.formats import torch
from mlops.serving.formats.torch import network_of
from mlops.spec.admits import RICH
from mlops.spec.parts import final, inside, stages
from mlops.spec.schema import Column, OnnxGraph, Task
from mlops.steps import converters

STRINGS, FLOATS = "strings", "floats"
_NAME = "model"
"""Of a graph: without one the converter draws a name, and equal models would be different files."""


class NoGraphError(Exception):
    """The model cannot be expressed as a graph that loads wherever it is served: a sentence that says why."""


def export(model: Any, columns: Sequence[Column], task: Task, folder: Path) -> OnnxGraph:
    """Write the graph of `model` below `folder`. It is a candidate: nothing says yet that it answers the
    same.

    Raises `NoGraphError`. `model` is a fitted estimator, or a pipeline that may start with a
    `ColumnTransformer`, and has seen a frame with exactly `columns`.
    """
    if odd := [c.name for c in columns if c.type in RICH]:
        raise NoGraphError(f"a graph takes texts and numbers, and no {', '.join(odd)}")
    graph = OnnxGraph(
        strings=STRINGS if any(c.type == "string" for c in columns) else None,
        floats=FLOATS if any(c.type != "string" for c in columns) else None,
        output="predictions" if task == "regression" else "probabilities",
    )
    try:
        data = _convert(model, columns, task, graph, folder)
    except NoGraphError:
        raise
    except Exception as error:
        # A converter is foreign code and raises what it likes.
        said = " ".join(str(error).split())[:400]
        raise NoGraphError(f"it cannot be exported ({type(error).__name__}: {said})") from error
    path = folder / graph.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return graph


def _convert(model: Any, columns: Sequence[Column], task: Task, graph: OnnxGraph, folder: Path) -> bytes:
    from skl2onnx import convert_sklearn

    if type(model).__module__.startswith("catboost."):
        return converters.of_catboost(model, graph)
    if network_of(model) is not None:
        return _of_network(model, columns, graph, folder)
    by_position, inputs = _positioned(model, columns)
    options = {} if task == "regression" else {id(final(by_position)): {"zipmap": False}}
    made = convert_sklearn(
        by_position, _NAME, initial_types=inputs, options=options, target_opset=converters.register()
    )
    _refuse_locales(made.graph)
    _keep_only(made.graph, -1, graph.output)
    serialized: bytes = made.SerializeToString()
    return serialized


def _positioned(model: Any, columns: Sequence[Column]) -> tuple[Any, list[tuple[str, Any]]]:
    """`model` as `_by_position` has it, and the inputs of its graph."""
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    texts = [c.name for c in columns if c.type == "string"]
    numbers = [c.name for c in columns if c.type != "string"]
    inputs: list[tuple[str, Any]] = []
    if texts:
        inputs.append((STRINGS, StringTensorType([None, len(texts)])))
    if numbers:
        inputs.append((FLOATS, FloatTensorType([None, len(numbers)])))
    return _by_position(model, [c.name for c in columns], [*texts, *numbers]), inputs


def _of_network(model: Any, columns: Sequence[Column], graph: OnnxGraph, folder: Path) -> bytes:
    """The graph of what comes before a network, and behind it the one that torch.onnx writes."""
    import onnx
    from skl2onnx import convert_sklearn

    made = folder / torch.PARTS / torch.GRAPH
    network = onnx.load_from_string(made.read_bytes() if made.is_file() else torch.exported(model))
    front = torch.front_of(model)
    if front is None:
        if graph.strings is not None:
            raise NoGraphError("a network takes numbers, and there are columns of text before it")
        return converters.renamed(network, {torch.ROWS: FLOATS, torch.ANSWER: graph.output})
    copied, inputs = _positioned(front, columns)
    before = convert_sklearn(
        copied, _NAME, initial_types=inputs, target_opset={"": torch.OPSET, "ai.onnx.ml": 3}
    )
    _refuse_locales(before.graph)
    return converters.behind(before, network, (torch.ROWS, torch.ANSWER), graph.output)


def _refuse_locales(graph: Any) -> None:
    """ONNX Runtime changes the case of text by a locale of the operating system: a slim image has none."""
    for node in graph.node:
        cased = [a.s for a in node.attribute if a.name == "case_change_action"]
        if node.op_type == "StringNormalizer" and cased not in ([], [b"NONE"]):
            raise NoGraphError(
                "its graph lowers the case of text by the locale en_US.UTF-8, which slim images lack; "
                "the graph "
                "would not load there"
            )


def _by_position(model: Any, original: list[str], positions: list[str]) -> Any:
    """A copy whose `ColumnTransformer` picks columns by their place in `strings` + `floats`.

    Raises `ValueError` when text and numbers are mixed but nothing tells them apart.
    """
    from sklearn.compose import ColumnTransformer

    copied = copy.deepcopy(model)
    _empty_for_null(copied)
    _round_thresholds_down(copied)
    converters.ready(copied, _down)
    first = next(iter(stages(copied)), copied)
    if not isinstance(first, ColumnTransformer):
        if original != positions:
            raise ValueError("the pipeline must start with a ColumnTransformer when text follows numbers")
        return copied
    place = {name: i for i, name in enumerate(positions)}
    first.transformers_ = [
        (name, transformer, [place[c] for c in _names(chosen, original)])
        for name, transformer, chosen in first.transformers_
    ]
    return copied


def _empty_for_null(part: Any) -> None:
    """Let every encoder in `part` expect "" where it has learned None.

    Raises `ValueError` for NaN among text, which the converter would turn into the text "nan".
    """
    import numpy as np

    for inner in inside(part):
        _empty_for_null(inner)
    for values in getattr(part, "categories_", []):
        if values.dtype != np.object_:
            continue
        if any(isinstance(value, float) for value in values):
            raise ValueError("an encoder has learned NaN in a text column; null text must be None")
        values[[value is None for value in values]] = ""


def _round_thresholds_down(part: Any) -> None:
    """Let histogram boosting in `part` split at the largest float32 that is not above its own threshold.

    The graph has float32 thresholds, which the converter rounds to the nearest. Where a threshold lies
    between two neighbouring float32 values, rounded up it sends the larger one down the other branch.
    For other trees the converter takes care of that itself.
    """
    for inner in inside(part):
        _round_thresholds_down(inner)
    for predictor in _flat(getattr(part, "_predictors", [])):
        predictor.nodes["num_threshold"] = _down(predictor.nodes["num_threshold"])


def _flat(parts: Any) -> list[Any]:
    """Histogram boosting keeps one list a stage."""
    import numpy as np

    return list(np.asarray(parts, dtype=object).ravel())


def _down(threshold: Any) -> Any:
    import numpy as np

    nearest = threshold.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > threshold, below, nearest).astype(np.float64)


def _names(chosen: Any, original: list[str]) -> list[str]:
    """Column names that a `ColumnTransformer` selector means: names, positions, a slice or a mask."""
    import pandas as pd

    names = pd.Series(original, index=original)
    if isinstance(chosen, str | int):
        chosen = [chosen]
    probe = chosen.start if isinstance(chosen, slice) else next(iter(chosen), None)
    picked = names.loc[chosen] if isinstance(probe, str) else names.iloc[chosen]
    return list(picked)


def _keep_only(graph: Any, index: int, name: str) -> None:
    """Make output `index` the graph's only one, called `name`; the runtime then skips the label."""
    kept = graph.output[index]
    for node in graph.node:
        for i, output in enumerate(node.output):
            if output == kept.name:
                node.output[i] = name
        for i, used in enumerate(node.input):
            if used == kept.name:
                node.input[i] = name
    kept.name = name
    del graph.output[:-1]
