"""Whole numbers and booleans that may be null keep their value from the request to the captured file.

A float has 53 bits: an identifier beyond them would become another one, silently.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.monitoring.profile import profile_file
from mlops.monitoring.scan import scan
from mlops.serving.capture.capture_files import FileSink
from mlops.serving.capture.recorder import Origin, Record
from mlops.serving.score.request import RequestError, RequestParser
from mlops.spec.capture import CaptureSettings
from mlops.spec.monitoring import TimeSpan
from mlops.spec.schema import Column, ModelSchema

SCHEMA = ModelSchema(
    model="ids",
    task="regression",
    columns=[
        Column(name="id", type="integer", dtype="int64", nullable=True),
        Column(name="big", type="integer", dtype="uint64", nullable=True),
        Column(name="flag", type="boolean", nullable=True),
    ],
)
ROWS: list[tuple[Any, ...]] = [
    (2**53 + 1, 2**64 - 1, True),
    (-1, 0, False),
    (None, None, None),
    (-(2**63), 2**63, None),
    (2**63 - 1, 3, True),
]
NAMES = ["id", "big", "flag"]


def parsed(rows: list[Any]) -> list[Any]:
    return RequestParser(SCHEMA).parse(
        json.dumps({"data": [dict(zip(NAMES, r, strict=True)) for r in rows]}).encode(), "score"
    )


def test_a_request_keeps_them() -> None:
    for rows in (ROWS, [list(r) for r in ROWS]):
        body = json.dumps({"input_data": {"columns": NAMES, "data": rows}}).encode()
        assert RequestParser(SCHEMA).parse(body, "score") == ROWS
    assert parsed(ROWS) == ROWS


def test_a_whole_number_written_as_a_float_is_exact_or_refused() -> None:
    ((value, _, _),) = parsed([(3.0, None, None)])
    assert (value, type(value)) == (3, int)
    assert parsed([(float(2**53), None, None)])[0][0] == 2**53
    for wrong in (float(2**53 + 2), 3.5, 1e300):
        with pytest.raises(RequestError) as refused:
            parsed([(wrong, None, None)])
        assert (refused.value.status, refused.value.error["field"]) == (422, "id")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ((2**63, None, None), "id"),
        ((None, 2**64, None), "big"),
        ((None, -1, None), "big"),
        ((None, None, 1), "flag"),
        ((True, None, None), "id"),
        (("1", None, None), "id"),
    ],
)
def test_what_the_type_cannot_hold_is_refused(row: tuple[Any, ...], field: str) -> None:
    with pytest.raises(RequestError) as refused:
        parsed([row])
    assert (refused.value.status, refused.value.error["field"]) == (422, field)


def test_captured_rows_keep_them_and_the_monitor_reads_them(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "capture", CaptureSettings(enabled=True))
    sink.add([Record(Origin(SCHEMA, "blue", 3), "r", 1_000.0, ROWS, np.zeros(len(ROWS)))])
    sink.flush(end=True)
    (path,) = (tmp_path / "capture").glob("*.parquet")
    kept = pq.read_table(path).select(NAMES)
    assert [tuple(row.values()) for row in kept.to_pylist()] == ROWS
    assert [str(kind) for kind in kept.schema.types] == ["int64", "uint64", "bool"]

    pq.write_table(pa.table({"id": [1, 2], "big": [1, 2], "flag": [True, False]}), tmp_path / "r.parquet")
    reference = profile_file(tmp_path / "r.parquet", SCHEMA.columns, "test")
    span = TimeSpan.model_validate({"start": "1970-01-01T00:00:00Z", "end": "1970-01-02T00:00:00Z"})
    facts = scan([path], span, 3, SCHEMA, reference).columns
    assert {n: (f.rows, f.nulls, f.out_of_bounds, f.wrong_type) for n, f in facts.items()} == {
        "id": (5, 1, 0, 0), "big": (5, 1, 0, 0), "flag": (5, 2, 0, 0),
    }  # fmt: skip


def test_files_from_before_whole_numbers_were_whole_are_read_beside_new_ones(tmp_path: Path) -> None:
    """An earlier server wrote every number as float64."""
    paths = []
    for number, values in enumerate((pa.array([1, 2], pa.int64()), pa.array([3.0, None], pa.float64()))):
        paths.append(tmp_path / f"{number}.parquet")
        moment = pa.array([1_000_000, 2_000_000], pa.timestamp("us", "UTC"))
        columns = {"_request_id": ["a", "b"], "_row": [0, 0], "_time": moment, "_version": [3, 3]}
        pq.write_table(pa.table({**columns, "_prediction": [0.5, 0.5], "id": values}), paths[-1])
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "r.parquet")
    schema = SCHEMA.model_copy(update={"columns": SCHEMA.columns[:1]})
    reference = profile_file(tmp_path / "r.parquet", schema.columns, "test")
    span = TimeSpan.model_validate({"start": "1970-01-01T00:00:00Z", "end": "1970-01-02T00:00:00Z"})
    found = scan(paths, span, 3, schema, reference, slices=["id"], labelled_ids=pa.array(["a", "b"]))
    assert found.labelled.column("id").to_pylist() == [1, 2, 3, None]
    assert (found.columns["id"].nulls, found.columns["id"].wrong_type) == (1, 0)
