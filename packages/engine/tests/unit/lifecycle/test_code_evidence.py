"""A gate that loads a pickle to judge whether pickles are allowed has run it already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.errors import MlopsError, NotFound
from mlops.lifecycle.train import evidence
from mlops.spec.schema import FILE, ModelSchema
from mlops.steps.stored import File
from tests.unit.steps.toy import Toy

SCHEMA = ModelSchema.model_validate(
    {
        "model": "toy", "task": "regression", "columns": [{"name": "a", "type": "number"}],
        "library": {"format": "pickle", "dtypes": {"a": "float32"}}, "runs_code": "its file is a pickle",
    }
)  # fmt: skip


class Registry:
    """One version, whose artifact is no model at all: loading it would raise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fetch(self, *_: object) -> Path:
        return self.folder

    def artifacts(self, *_: object) -> Path:
        raise NotFound("no report")


class Version:
    model, version, run_id, tags = "toy", 1, "run", {"mlops.digest": "sha256:" + "0" * 64}


def test_a_candidate_that_runs_code_is_loaded_only_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(SCHEMA.model_dump_json())
    registry: Any = Registry(tmp_path)
    version: Any = Version()
    frame = pd.DataFrame({"a": [1.0], "y": [2.0], "t": pd.to_datetime(["2024-01-01"])})
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    rows = File(tmp_path / "rows.parquet")
    usecase = Toy("regression", {"a": "float32"})
    found, scorer = evidence._candidate(registry, usecase, version, rows, runs_code=False)
    assert scorer is None and found.prediction is None
    assert found.problem == "it was not loaded, because that runs code: its file is a pickle"
    with pytest.raises(MlopsError, match="digest"):
        evidence._candidate(registry, usecase, version, rows, runs_code=True)
