"""A model that was trained in a way of its own: an MLflow model folder becomes an artifact of the lifecycle.

Its answers are the truth: what is asked here is whether it answers every request that the contract admits.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.serving.formats import canonical
from mlops.serving.formats.elsewhere import code_in
from mlops.serving.score.library import LibraryScorer
from mlops.spec._yaml import Document
from mlops.spec.artifact import leads_outside
from mlops.spec.schema import FILE, Library, ModelSchema
from mlops.spec.tasks import is_values
from mlops.steps import fidelity
from mlops.steps.artifact import MLMODEL, asked_of, described, dtypes_of, levels_of, stated
from mlops.steps.estimators import labels
from mlops.steps.sample import write as write_sample
from mlops.usecase import pickled, trusted_types

if TYPE_CHECKING:
    import pandas as pd

    from mlops.usecase import UseCase

log = logging.getLogger(__name__)

FORMAT = "mlflow"


def adopt(
    folder: Path, usecase: UseCase, made: Path, rows: pd.DataFrame, test: pd.DataFrame | None = None
) -> ModelSchema:
    """Copy the MLflow model `made` to the empty or absent `folder`, and complete it to an artifact.

    `rows` are its training rows, `test` those that it is tested on. Raises `InvalidInput` when it is no
    MLflow model with a signature of the contract's columns, would run code when it is loaded, or refuses
    what the contract admits; `TargetError` when it cannot be loaded.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise TargetError(f"{folder} is not empty; a model artifact is written once")
    names = list(usecase.contract().columns)
    runs = _checked(made, names, trusted_types(usecase))
    if runs and not pickled(usecase):
        raise InvalidInput(
            f"the model can run code when it is loaded ({', '.join(runs)}); save it in its "
            "library's own format "
            "(mlflow.sklearn with serialization_format='skops', mlflow.lightgbm, "
            "mlflow.xgboost, mlflow.onnx), or "
            "say `pickled = True` in the use case and allow_code in the gates file"
        )
    shutil.copytree(made, folder, dirs_exist_ok=True)
    canonical.described(folder / MLMODEL)
    inputs = rows[names]
    library = Library(
        format=f"{FORMAT}_code" if runs else FORMAT,
        dtypes=dtypes_of(inputs),
        levels=levels_of(inputs),
        trusted=sorted(trusted_types(usecase)),
    )
    schema = described(usecase, inputs, library, _classes(usecase, rows))
    schema = schema.model_copy(update={"runs_code": ", ".join(runs)})
    trained = LibraryScorer.load(schema, folder)
    _require_shape(schema, trained, inputs)
    schema, notes = fidelity.settled(schema, trained, inputs, stated(usecase))
    for note in notes:
        log.warning(note)
    asked_of(schema, trained, inputs, test)
    schema = schema.model_copy(
        update={"no_graph": "it was trained in a way of its own, and is asked by MLflow"}
    )
    (folder / FILE).write_text(schema.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_sample(folder, schema, inputs)
    return schema


def _checked(made: Path, names: list[str], trusted: tuple[str, ...]) -> list[str]:
    """What it would run when it is loaded, in words. Raises `InvalidInput` when it cannot be taken at all."""
    where = str(made / MLMODEL)
    if not (made / MLMODEL).is_file():
        raise InvalidInput(f"{made} is no MLflow model: it has no file {MLMODEL}; save it by save_model")
    value: Any = Document.read(made / MLMODEL).value
    if not isinstance(value, dict) or not isinstance(value.get("flavors"), dict):
        raise InvalidInput(Problem(where, "names no flavors; save the model by save_model"))
    if outside := leads_outside(value):
        raise InvalidInput(Problem(where, f"names files outside of the model ({'; '.join(outside)})"))
    try:
        given = [column["name"] for column in json.loads(value["signature"]["inputs"])]
    except (KeyError, TypeError, ValueError):
        raise InvalidInput(
            Problem(
                where, "has no signature that names input columns; save it with signature=infer_signature(…)"
            )
        ) from None
    if given != names:
        raise InvalidInput(
            Problem(
                where,
                f"takes the columns {', '.join(given)}, but the contract has {', '.join(names)}",
                "signature",
            )
        )
    return code_in(made, value, trusted)


def _classes(usecase: UseCase, rows: pd.DataFrame) -> list[str]:
    """The classes of the training rows, sorted: the order in which the model must give their
    probabilities."""
    if is_values(usecase.task):
        return []
    target = rows[usecase.target]
    return labels(target) if usecase.task == "multilabel" else [str(v) for v in sorted(target.unique())]


def _require_shape(schema: ModelSchema, trained: LibraryScorer, inputs: pd.DataFrame) -> None:
    """Ask once, and say what is wanted where the answer has another shape."""
    try:
        trained.predict_frame(inputs.head(8))
    except TargetError as error:
        wanted = f"{len(schema.outputs) or 'one'} value{'s' if schema.outputs else ''} a row"
        if schema.classes:
            wanted = f"{len(schema.classes)} probabilities a row, of {', '.join(schema.classes)}"
        raise InvalidInput(
            f"the model cannot be asked for training rows: {error}; it must answer {wanted}"
        ) from None
