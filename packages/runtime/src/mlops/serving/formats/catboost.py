"""CatBoost: saved as its own binary (cbm), which is read and never run. Text columns may be categories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops.serving.formats import Answer, Saved, pinned
from mlops.spec.schema import Task

REQUIREMENTS = ("catboost", "mlflow-skinny", "numpy", "pandas")
FILE = "model.cb"


def fits(estimator: Any) -> bool:
    """A fitted estimator of the library itself; a class that is derived from one may answer otherwise."""
    return type(estimator).__module__.startswith("catboost.") and hasattr(
        estimator, "get_cat_feature_indices"
    )


def save(estimator: Any, to: Saved) -> None:
    """MLflow's flavour of CatBoost, in its binary format."""
    import mlflow.catboost

    # When, and a name that was drawn: equal models would be different files, and different graphs.
    written = estimator.get_metadata()
    written["train_finish_time"] = written["model_guid"] = ""
    mlflow.catboost.save_model(
        estimator,
        str(to.folder),
        signature=to.signature,
        input_example=to.example,
        pip_requirements=pinned(REQUIREMENTS),
        format="cbm",
    )


def load(folder: Path, task: Task, trusted: Sequence[str]) -> Answer:
    """See `mlops.serving.formats.Format`."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    model = (CatBoostRegressor if task == "regression" else CatBoostClassifier)()
    model.load_model(str(folder / FILE), format="cbm")
    method = model.predict if task == "regression" else model.predict_proba

    def answer(given: Any) -> Any:
        # Calls run side by side, so each is one thread.
        return method(given, thread_count=1)

    return answer
