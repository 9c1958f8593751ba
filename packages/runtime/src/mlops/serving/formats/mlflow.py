"""Any MLflow model, asked by its pyfunc: for models that were trained in a way of their own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput
from mlops.serving.formats import Answer, Saved

if TYPE_CHECKING:
    from mlops.spec.schema import Task

REQUIREMENTS = ("mlflow-skinny", "numpy", "pandas")


def fits(estimator: Any) -> bool:
    """Nothing: such a model saves itself."""
    return False


def save(estimator: Any, to: Saved) -> None:
    """See `fits`."""
    raise InvalidInput("a model of this format is saved by who trains it")


def load(folder: Path, task: Task, trusted: Sequence[str]) -> Answer:
    """See `mlops.serving.formats.Format`. Raises `InvalidInput` when loading it could run code."""
    from mlops.serving.formats.elsewhere import code_in
    from mlops.spec._yaml import Document

    described: Any = Document.read(folder / "MLmodel").value
    if runs := code_in(folder, described, trusted):
        raise InvalidInput(f"it can run code when it is loaded ({', '.join(runs)})")
    return pyfunc(folder)


def pyfunc(folder: Path) -> Answer:
    """MLflow's own loader, whatever it does."""
    import mlflow.pyfunc

    # Byte code written beside the model's own modules would change the artifact's digest.
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    finally:
        sys.dont_write_bytecode = keep
    return lambda table: _plain(model.predict(table))


def _plain(answer: Any) -> Any:
    return answer.to_numpy() if hasattr(answer, "to_numpy") else answer
