"""Networks of PyTorch, alone or at the end of a scikit-learn pipeline.

The estimator is saved by skops, its weights as the bytes of a safetensors file within. Beside it lie what
comes before the network and the network's own graph: where they answer the same, they are asked, and torch is
needed no more.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlops.serving.formats import Answer, Saved
from mlops.serving.formats import sklearn as skops
from mlops.serving.formats.canonical import rewrite
from mlops.spec import parts
from mlops.spec.schema import Task

REQUIREMENTS = (*skops.REQUIREMENTS, "safetensors", "torch")
PARTS = "network"
FRONT, GRAPH = "front.skops", "network.onnx"
ROWS, ANSWER = "rows", "answer"
"""Names of the graph's input and output."""
OPSET = 18
"""What torch.onnx writes of itself; skl2onnx is asked for the same where its graph is put in front."""


def fits(estimator: Any) -> bool:
    """A network of `mlops.networks`, or a pipeline that ends with one."""
    return network_of(estimator) is not None


def network_of(estimator: Any) -> Any:
    """The network at the end of `estimator`; None when there is none."""
    last = parts.final(estimator)
    return last if type(last).__module__ == "mlops.networks" else None


def save(estimator: Any, to: Saved) -> None:
    """MLflow's flavour of scikit-learn in skops' format, and the parts that answer without torch."""
    from skops import io

    skops.save(estimator, to, REQUIREMENTS)
    folder = to.folder / PARTS
    try:
        graph = exported(estimator)
    except Exception:  # noqa: BLE001 - the exporter is foreign code; without it torch itself answers
        return
    folder.mkdir()
    (folder / GRAPH).write_bytes(graph)
    if (front := front_of(estimator)) is not None:
        io.dump(front, folder / FRONT)
        rewrite(folder / FRONT)


def front_of(estimator: Any) -> Any:
    """The fitted steps before the network, as a pipeline; None when it stands alone."""
    if len(parts.stages(estimator)) < 2:
        return None
    from sklearn.pipeline import Pipeline

    return Pipeline(estimator.steps[:-1])


def exported(estimator: Any) -> bytes:
    """The network's graph: float32 [n, inputs] to probabilities or values. Raises what torch.onnx raises."""
    import logging

    import torch

    network = network_of(estimator)
    # It tells of every operator that other libraries would bring.
    talk = logging.getLogger("torch.onnx")
    level = talk.level
    talk.setLevel(logging.ERROR)
    try:
        program = torch.onnx.export(
            network.fitted(),
            (torch.zeros(3, network.inputs_),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("n")},),
            input_names=[ROWS],
            output_names=[ANSWER],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    finally:
        talk.setLevel(level)
    made: bytes = program.model_proto.SerializeToString()
    return made


def plainer(folder: Path) -> bool:
    """Take out what stands in for torch; False when nothing does."""
    if not (folder / PARTS).is_dir():
        return False
    shutil.rmtree(folder / PARTS)
    return True


def load(folder: Path, task: Task, trusted: Sequence[str]) -> Answer:
    """See `mlops.serving.formats.Format`."""
    if (folder / PARTS / GRAPH).is_file():
        return _Parts(folder / PARTS, task, trusted)
    import torch

    # Calls run side by side, so each is one thread.
    torch.set_num_threads(1)
    return skops.load(folder, task, trusted)


class _Parts:
    """What comes before the network by scikit-learn, the network by ONNX Runtime."""

    def __init__(self, folder: Path, task: Task, trusted: Sequence[str]) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.log_severity_level = 4
        self._session = ort.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
        self._front = None
        # As `skops.answer`: it was proven that an array is answered as the table is.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        if (folder / FRONT).is_file():
            self._front = skops.read(folder / FRONT, trusted)
            skops.one_thread(self._front)
        self._flat = task == "regression"

    def __call__(self, given: Any) -> Any:
        rows = given if self._front is None else self._front.transform(given)
        (values,) = self._session.run([ANSWER], {ROWS: _table(rows)})
        return values[:, 0] if self._flat and values.shape[1] == 1 else values


def _table(rows: Any) -> Any:
    """As the network has it in training; it is imported only where rows are no plain array."""
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "fiub":
        return np.ascontiguousarray(rows.reshape(len(rows), -1), dtype=np.float32)
    from importlib import import_module

    return import_module("mlops.networks").table(rows)
