"""Small real model artifacts for tests: a fast one, and ones that are slow, fail or answer something else.

They have the layout that `mlops train` writes, so that whoever tests an endpoint, an analysis or a gate
needs no training. Each is two columns: `carrier` (text) and `distance` (number), binary by default.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

from mlops.spec.digest import tree_digest
from mlops.spec.schema import FILE, Column, ModelSchema, OnnxGraph, Task

CARRIERS = {"AA": 0.4, "DL": -0.3, "UA": 0.1}
"""Weight of each known carrier; an unknown one weighs 0."""
PER_MILE = -0.001
THRESHOLD = 0.5

Behaviour = Literal["good", "slow", "failing"]


def columns() -> list[Column]:
    """The two input columns of all models of this module."""
    return [
        Column(name="carrier", type="string", categories=sorted(CARRIERS)),
        Column(name="distance", type="number", nullable=True, minimum=0, maximum=10_000),
    ]


def expected(carrier: str, distance: float | None, bias: float = 0.0) -> float:
    """What `write_onnx` and `write_pyfunc` models answer."""
    logit = CARRIERS.get(carrier, 0.0) + PER_MILE * (distance or 0.0) + bias
    return 1.0 / (1.0 + math.exp(-logit))


def write_onnx(
    folder: Path,
    *,
    bias: float = 0.0,
    fails_from: float | None = None,
    work: int = 0,
    model: str = "freight",
) -> str:
    """Write an artifact with an ONNX graph; returns its digest.

    `bias` shifts all predictions. The graph fails on rows with a distance of at least `fails_from` (its
    sample has 1). `work` multiplies two square matrices of that size a call: 1000 take some 50 ms.
    """
    from onnx import TensorProto as T
    from onnx import helper as h
    from onnx import save

    def const(name: str, kind: int, dims: list[int], values: list[Any]) -> Any:
        return h.make_tensor(name, kind, dims, values)

    nodes = [
        h.make_node(
            "LabelEncoder",
            ["strings"],
            ["carrier"],
            domain="ai.onnx.ml",
            keys_strings=list(CARRIERS),
            values_floats=list(CARRIERS.values()),
            default_float=0.0,
        ),
        h.make_node("IsNaN", ["floats"], ["absent"]),
        h.make_node("Where", ["absent", "zero", "floats"], ["filled"]),
        h.make_node("Mul", ["filled", "weight"], ["miles"]),
        h.make_node("Add", ["carrier", "miles"], ["sum"]),
        h.make_node("Add", ["sum", "bias"], ["logit"]),
        *_faults(fails_from, work),
        h.make_node("Sigmoid", ["burdened"], ["positive"]),
        h.make_node("Sub", ["one", "positive"], ["negative"]),
        h.make_node("Concat", ["negative", "positive"], ["probabilities"], axis=1),
    ]
    graph = h.make_graph(
        nodes,
        "testing",
        [
            h.make_tensor_value_info("strings", T.STRING, [None, 1]),
            h.make_tensor_value_info("floats", T.FLOAT, [None, 1]),
        ],
        [h.make_tensor_value_info("probabilities", T.FLOAT, [None, 2])],
        [
            const("zero", T.FLOAT, [1], [0.0]),
            const("one", T.FLOAT, [1], [1.0]),
            const("weight", T.FLOAT, [1], [PER_MILE]),
            const("bias", T.FLOAT, [1], [bias]),
            const("limit", T.FLOAT, [1], [math.inf if fails_from is None else fails_from]),
            const("square", T.INT64, [2], [max(work, 1)] * 2),
        ],
    )
    opsets = [h.make_opsetid("", 17), h.make_opsetid("ai.onnx.ml", 3)]
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    proto = h.make_model(graph, opset_imports=opsets, ir_version=9)
    save(proto, str(folder / "onnx" / "model.onnx"))
    onnx = OnnxGraph(strings="strings", floats="floats", output="probabilities")
    return _finish(folder, model, "binary", onnx)


def write_pyfunc(
    folder: Path,
    behaviour: Behaviour = "good",
    *,
    seconds: float = 0.0,
    bias: float = 0.0,
    model: str = "freight",
) -> str:
    """Write an artifact without ONNX; returns its digest.

    `slow` sleeps `seconds` a call, `failing` raises on each call but the one at load. A server that hosts
    one needs seconds to import MLflow: prefer `write_onnx` where its faults will do.
    """
    code = folder / "code"
    code.mkdir(parents=True, exist_ok=True)
    # The module's name carries the bias and behaviour, because two of them may live in one process.
    module = f"testing_{behaviour}_{abs(hash((bias, seconds))) % 10**8}"
    (code / f"{module}.py").write_text(_source(behaviour, seconds, bias), encoding="utf-8")
    (folder / "MLmodel").write_text(
        dedent(f"""\
            flavors:
              python_function:
                loader_module: {module}
                code: code
                python_version: "3.11"
            """),
        encoding="utf-8",
    )
    return _finish(folder, model, "binary", None)


def body(rows: int = 1, carrier: str = "AA", distance: float | None = 500.0) -> dict[str, Any]:
    """A valid request body of `rows` equal rows."""
    return {
        "input_data": {
            "columns": ["carrier", "distance"],
            "index": list(range(rows)),
            "data": [[carrier, distance]] * rows,
        }
    }


def _faults(fails_from: float | None, work: int) -> list[Any]:
    from onnx import helper as h

    nodes = []
    last = "logit"
    if fails_from is not None:
        # Index 1 of a tensor with one element: ONNX Runtime refuses at run time.
        nodes += [
            h.make_node("GreaterOrEqual", ["filled", "limit"], ["beyond"]),
            h.make_node("Cast", ["beyond"], ["index"], to=7),
            h.make_node("Gather", ["zero", "index"], ["nothing"]),
            h.make_node("Add", [last, "nothing"], ["checked"]),
        ]
        last = "checked"
    if work:
        nodes += [
            h.make_node("ReduceMax", ["filled"], ["largest"], keepdims=0),
            h.make_node("Expand", ["largest", "square"], ["matrix"]),
            h.make_node("MatMul", ["matrix", "matrix"], ["product"]),
            h.make_node("ReduceMin", ["product"], ["smallest"], keepdims=0),
            h.make_node("Mul", ["smallest", "zero"], ["zeroed"]),
            h.make_node("Add", [last, "zeroed"], ["worked"]),
        ]
        last = "worked"
    return [*nodes, h.make_node("Identity", [last], ["burdened"])]


def labels(predictions: Sequence[float]) -> list[str]:
    """What `THRESHOLD` makes of an answer's probabilities."""
    return ["1" if p >= THRESHOLD else "0" for p in predictions]


def _finish(folder: Path, model: str, task: Task, onnx: OnnxGraph | None) -> str:
    schema = ModelSchema(
        model=model, task=task, columns=columns(), classes=["0", "1"], threshold=THRESHOLD, onnx=onnx
    )
    (folder / FILE).write_text(schema.model_dump_json(indent=2), encoding="utf-8")
    (folder / "sample.json").write_text(json.dumps(body(3, distance=1.0)), encoding="utf-8")
    return tree_digest(folder)


def _source(behaviour: Behaviour, seconds: float, bias: float) -> str:
    fault = {
        "good": "",
        "slow": f"time.sleep({seconds})",
        "failing": "self.fail()",
    }[behaviour]
    return dedent(f"""\
        import time

        import numpy as np

        CARRIERS = {CARRIERS!r}


        class Model:
            calls = 0

            def fail(self):
                self.calls += 1
                if self.calls > 1:
                    raise RuntimeError("the weights have melted")

            def predict(self, frame):
                {fault}
                carrier = frame["carrier"].map(CARRIERS).fillna(0.0).to_numpy(dtype=float)
                miles = frame["distance"].fillna(0.0).to_numpy(dtype=float) * {PER_MILE!r}
                return 1.0 / (1.0 + np.exp(-(carrier + miles + {bias!r})))


        def _load_pyfunc(path):
            return Model()
        """)
