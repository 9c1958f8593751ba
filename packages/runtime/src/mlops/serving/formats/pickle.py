"""A pickle, for what no other file can hold: loading it runs what it says, so it is verified before.

Nothing comes here by itself. The use case asks for it (`pickled = True`), the gates file allows it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops.serving.formats import Answer, Saved, pinned
from mlops.serving.formats.sklearn import answer
from mlops.spec.schema import Task

REQUIREMENTS = ("cloudpickle", "mlflow-skinny", "numpy", "pandas", "scikit-learn")
FILE = "model.pkl"


def fits(estimator: Any) -> bool:
    """Nothing: somebody has to ask."""
    return False


def save(estimator: Any, to: Saved) -> None:
    """MLflow's flavour of scikit-learn, by cloudpickle."""
    import mlflow.sklearn

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*(Inferred schema contains integer column|pickle)")
        mlflow.sklearn.save_model(
            estimator,
            str(to.folder),
            serialization_format="cloudpickle",
            signature=to.signature,
            input_example=to.example,
            pip_requirements=pinned(REQUIREMENTS),
            pyfunc_predict_fn="predict" if to.task == "regression" else "predict_proba",
            code_paths=to.code_paths,
        )


def load(folder: Path, task: Task, trusted: Sequence[str]) -> Answer:
    """See `mlops.serving.formats.Format`. Whoever calls this has verified the folder."""
    import cloudpickle

    with (folder / FILE).open("rb") as file:
        return answer(cloudpickle.load(file), task)
