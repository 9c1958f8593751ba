"""`sample.json` holds training rows exactly, and nothing that its own server would refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandera.pandas import Check, Column, DataFrameSchema

from mlops.errors import InvalidInput
from mlops.monitoring.rules import columns_of
from mlops.serving.score.request import RequestParser
from mlops.spec.schema import ModelSchema
from mlops.steps import sample


def written(folder: Path, contract: DataFrameSchema, frame: pd.DataFrame) -> list[Any]:
    schema = ModelSchema(model="sample", task="regression", columns=columns_of(contract))
    sample.write(folder, schema, frame)
    return RequestParser(schema).parse((folder / sample.FILE).read_bytes(), "score")


def test_values_are_exact(tmp_path: Path) -> None:
    contract = DataFrameSchema(
        {
            "tiny": Column("float32", Check.gt(0)),
            "edge": Column("float32", Check.le(0.1)),
            "id": Column("Int64", nullable=True),
            "flag": Column("boolean", nullable=True),
            'size 5"': Column("str", nullable=True),
            "loose": Column("int32", nullable=True),
        }
    )
    frame = pd.DataFrame(
        {
            "tiny": np.array([1e-12, 1e-30], "float32"),
            "edge": np.array([0.1, 0.05], "float32"),
            "id": pd.array([2**53 + 1, None], "Int64"),
            "flag": pd.array([None, True], "boolean"),
            'size 5"': ["ü\n", None],
            "loose": [3.0, np.nan],
        }
    )
    small, smaller = (float(np.float32(v)) for v in (1e-12, 1e-30))
    assert written(tmp_path, contract, frame) == [
        (small, float(np.float32(0.1)), 2**53 + 1, None, "ü\n", 3),
        (smaller, float(np.float32(0.05)), None, True, None, None),
    ]


def test_rows_are_spread_evenly_and_few(tmp_path: Path) -> None:
    contract = DataFrameSchema({"a": Column("int64")})
    rows = written(tmp_path, contract, pd.DataFrame({"a": np.arange(1_000)}))
    assert [a for (a,) in rows] == list(range(0, 1_000, 20))


def test_long_texts_leave_room_for_fewer_rows(tmp_path: Path) -> None:
    contract = DataFrameSchema({"a": Column("str")})
    rows = written(tmp_path, contract, pd.DataFrame({"a": ["x" * 100_000] * 50}))
    assert 1 < len(rows) <= 10
    assert (tmp_path / sample.FILE).stat().st_size <= sample.BYTES
    assert len(written(tmp_path, contract, pd.DataFrame({"a": ["x" * 1_100_000] * 3}))) == 1


def test_rows_that_break_the_contract_are_no_sample(tmp_path: Path) -> None:
    contract = DataFrameSchema({"a": Column("int64", Check.ge(0))})
    assert written(tmp_path, contract, pd.DataFrame({"a": [1, -1, 2]})) == [(1,), (2,)]
    (tmp_path / sample.FILE).unlink()
    with pytest.raises(InvalidInput, match="refuse every training row"):
        written(tmp_path, contract, pd.DataFrame({"a": [-1, -2]}))
    assert not (tmp_path / sample.FILE).exists()


def test_a_value_that_the_endpoint_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    """The contract calls it an object, the rows hold numbers: JSON would bring them as what they are not."""
    contract = DataFrameSchema({"a": Column("object")})
    with pytest.raises(InvalidInput):
        written(tmp_path, contract, pd.DataFrame({"a": pd.Series([1, 2], dtype=object)}))


def test_the_body_is_json_of_the_usual_shape(tmp_path: Path) -> None:
    contract = DataFrameSchema({"a": Column("int64")})
    written(tmp_path, contract, pd.DataFrame({"a": [1, 2]}))
    body = json.loads((tmp_path / sample.FILE).read_text(encoding="utf-8"))
    assert body == {"input_data": {"columns": ["a"], "index": [0, 1], "data": [[1], [2]]}}
