"""What the register step leaves for monitoring: how training inputs and test predictions were distributed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput
from mlops.monitoring.profile import FILE, PREDICTION, ColumnProfile, profile_file, profile_values
from mlops.monitoring.scan import summarised
from mlops.spec.evaluation import PREDICTIONS
from mlops.spec.schema import ModelSchema
from mlops.spec.tasks import named
from mlops.steps.dataset import ROWS, read_manifest

ARTIFACT = "monitoring"
"""Folder of the run's artifacts."""


def write_profile(train: Path, report: Path, schema: ModelSchema, folder: Path) -> None:
    """Write `profile.json` to `folder`, from the outputs of the steps prep and evaluate."""
    window = read_manifest(train).window
    made = profile_file(train / ROWS, schema.columns, f"training rows of {window}")
    predictions = report / PREDICTIONS
    if predictions.is_file():
        made = made.model_copy(update={"prediction": prediction_profile(predictions, schema)})
    (folder / FILE).write_text(made.model_dump_json(), encoding="utf-8")


def prediction_profile(path: Path, schema: ModelSchema) -> ColumnProfile:
    """How the predictions of `predictions.parquet` were distributed; of lists, what stands for them.

    Raises `InvalidInput` when the file lacks them.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = [f"{PREDICTION}_{label}" for label in schema.listed] or [PREDICTION]
    try:
        table = pq.read_table(path, columns=wanted)
        columns = [np.asarray(table.column(name)) for name in wanted]
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InvalidInput(f"{path} cannot be read as predictions: {error}") from None
    if not schema.listed:
        return profile_values(PREDICTION, pa.array(columns[0]), "number")
    lists: Any = pa.array(list(np.stack(columns, axis=1)), pa.list_(pa.float64()))
    return profile_values(PREDICTION, summarised(lists, schema), "string" if named(schema) else "number")
