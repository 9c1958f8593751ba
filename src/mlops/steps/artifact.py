"""The model artifact: an MLflow model folder plus what serving needs, under one digest."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput, TargetError
from mlops.monitoring.rules import columns_of, unchecked
from mlops.spec.schema import FILE, ModelSchema
from mlops.steps.export import export
from mlops.steps.sample import ROWS
from mlops.steps.sample import write as write_sample

if TYPE_CHECKING:
    import pandas as pd

    from mlops.usecase import UseCase

REQUIREMENTS = ("mlflow-skinny", "numpy", "pandas", "scikit-learn", "skops")
"""What loading the scikit-learn flavour needs, pinned to what trained it."""


def save(folder: Path, usecase: UseCase, estimator: Any, inputs: pd.DataFrame) -> ModelSchema:
    """Write the fitted `estimator` to the empty or absent `folder` and return its `serving.json`.

    `inputs` are its training rows; the sample is spread evenly over them.
    Raises `InvalidInput` when the estimator holds types that cannot be loaded without trust.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise TargetError(f"{folder} is not empty; a model artifact is written once")
    sample = inputs.iloc[:: max(1, len(inputs) // ROWS)].head(ROWS).reset_index(drop=True)
    _save_mlflow(folder, estimator, sample, classifies=usecase.task != "regression")
    columns = columns_of(usecase.contract(), _categories(inputs))
    schema = ModelSchema(
        model=usecase.name,
        task=usecase.task,
        columns=columns,
        classes=[str(label) for label in getattr(estimator, "classes_", [])],
        onnx=export(estimator, columns, usecase.task, folder),
        unchecked=unchecked(usecase.contract()),
    )
    (folder / FILE).write_text(schema.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_sample(folder, schema, inputs)
    return schema


def _save_mlflow(folder: Path, estimator: Any, sample: pd.DataFrame, *, classifies: bool) -> None:
    import mlflow.sklearn
    from mlflow.exceptions import MlflowException
    from mlflow.models import infer_signature

    answer = estimator.predict_proba(sample) if classifies else estimator.predict(sample)
    with warnings.catch_warnings():
        # Integer columns without nulls are what the contract promises; MLflow warns of them all the same.
        warnings.filterwarnings("ignore", message="(?s).*Inferred schema contains integer column")
        try:
            mlflow.sklearn.save_model(
                estimator,
                str(folder),
                serialization_format="skops",
                skops_trusted_types=_trusted(estimator),
                signature=infer_signature(sample, answer),
                input_example=sample.head(3),
                pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
                pyfunc_predict_fn="predict_proba" if classifies else "predict",
            )
        except MlflowException as error:
            if refusal := _refusal(error):
                raise refusal from None
            raise


def _refusal(error: BaseException) -> OSError | None:
    """What the operating system said, when that is behind it: MLflow calls a full disk a wrong format."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _trusted(estimator: Any) -> list[str]:
    """Types beyond skops' own list; only scikit-learn's are vouched for."""
    from skops import io

    untrusted: list[str] = io.get_untrusted_types(data=io.dumps(estimator))
    if foreign := [name for name in untrusted if not name.startswith("sklearn.")]:
        raise InvalidInput(
            f"the model holds the types {', '.join(foreign)}, which cannot be loaded safely; "
            "build it from scikit-learn's own parts"
        )
    return untrusted


def _categories(inputs: pd.DataFrame) -> dict[str, list[str]]:
    return {str(c): sorted(inputs[c].dropna().unique().tolist()) for c in inputs.select_dtypes("object")}
