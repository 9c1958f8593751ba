"""Whatever a column is called, a model with it trains, starts, is asked in every shape, captured and scored.

A name that only breaks in the server is found by the deployment, not by who chose it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pandera.pandas import Column, DataFrameSchema

from mlops.errors import InvalidInput
from mlops.monitoring.rules import RESERVED, columns_of
from mlops.serving.capture.capture_files import FileSink
from mlops.serving.capture.recorder import Origin, Record
from mlops.serving.http.openapi import document
from mlops.serving.score.request import Protocol, RequestError, RequestParser
from mlops.serving.score.table import check_table
from mlops.spec.capture import CaptureSettings
from mlops.spec.schema import ModelSchema

ODD = [
    'size 5"',
    "back\\slash",
    "a.b",
    "`$[0]`",
    "Größe (cm)",
    "日本",
    " padded ",
    "a,b",
    "'",
    "a]",
    "c0",
    "$",
    "%s{x}",
]
ROW = (2.5, "x", 7)
SHAPES: list[tuple[Protocol, str]] = [
    ("score", "split"),
    ("score", "records"),
    ("invocations", "columns"),
    ("invocations", "instances"),
]


def schema_of(names: list[str]) -> ModelSchema:
    kinds = [Column("float64"), Column("str"), Column("int64")]
    contract = DataFrameSchema(dict(zip(names, kinds, strict=True)))
    return ModelSchema(model="odd", task="regression", columns=columns_of(contract))


def body_of(shape: str, names: list[str], row: tuple[Any, ...]) -> bytes:
    record = dict(zip(names, row, strict=True))
    bodies: dict[str, Any] = {
        "split": {"input_data": {"columns": names, "data": [row]}},
        "records": {"input_data": [record]},
        "instances": {"instances": [record]},
        "columns": {"inputs": {name: [value] for name, value in record.items()}},
    }
    return json.dumps(bodies[shape]).encode()


def works(names: list[str], folder: Path | None = None) -> None:
    """Every way in and out of a model whose columns have these names."""
    schema = schema_of(names)
    parser = RequestParser(schema)
    described = document(schema, 1, swagger=False)["paths"]["/score"]["post"]["requestBody"]
    form = described["content"]["application/json"]["schema"]["properties"]["data"]
    Draft7Validator.check_schema(form)
    assert not list(Draft7Validator(form).iter_errors([dict(zip(names, ROW, strict=True))]))
    for protocol, shape in SHAPES:
        assert parser.parse(body_of(shape, names, ROW), protocol) == [ROW]
        assert parser.parse(body_of(shape, names[::-1], ROW[::-1]), protocol) == [ROW]
        for place, bad in enumerate(("no number", 1, 1.5)):
            wrong = [*ROW[:place], bad, *ROW[place + 1 :]]
            with pytest.raises(RequestError) as refused:
                parser.parse(body_of(shape, names, tuple(wrong)), protocol)
            assert (refused.value.status, refused.value.error["field"]) == (422, names[place])
            assert refused.value.error["row"] == 0
    check_table(schema, pa.table({n: [v] for n, v in zip(names, ROW, strict=True)}))
    if folder is not None:
        sink = FileSink(folder, CaptureSettings(enabled=True))
        origin = Origin(schema, "blue", 1)
        sink.add([Record(origin, "r", 0.0, [ROW], np.array([0.5]))])
        sink.flush(end=True)
        (path,) = folder.glob("*.parquet")
        (row,) = pq.read_table(path).select(names).to_pylist()
        assert tuple(row.values()) == ROW


@pytest.mark.parametrize("name", ODD)
def test_a_column_may_be_called_so(name: str, tmp_path: Path) -> None:
    works([name, "plain", "other"], tmp_path)
    works(["plain", "other", name], tmp_path / "last")


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(
    lambda name: name not in RESERVED
)


@examples(20)
@given(st.lists(NAMES, min_size=3, max_size=3, unique=True))
def test_any_name_without_control_characters_works_in_every_shape(names: list[str]) -> None:
    works(names)


@examples(20)
@given(st.text(max_size=3))
def test_any_other_name_is_refused_in_training_or_works(name: str) -> None:
    try:
        columns_of(DataFrameSchema({name: Column("float64")}))
    except InvalidInput as error:
        assert repr(name) in str(error)
    else:
        works([name, "plain", "other"] if name not in ("plain", "other") else ["plain", "other", "third"])


@pytest.mark.parametrize("shape", ["records", "columns"])
@pytest.mark.parametrize(
    ("change", "field"), [({"more": 1}, "more"), ({'size 5"': None}, 'size 5"')], ids=["unknown", "missing"]
)
def test_records_of_odd_names_are_held_to_the_columns(shape: str, change: dict[str, Any], field: str) -> None:
    names = ['size 5"', "plain", "other"]
    record = dict(zip(names, ROW, strict=True)) | change
    if change.get(field, 0) is None:
        del record[field]
    protocol: Protocol = "score" if shape == "records" else "invocations"
    with pytest.raises(RequestError) as refused:
        RequestParser(schema_of(names)).parse(body_of(shape, list(record), tuple(record.values())), protocol)
    assert (refused.value.status, refused.value.error["field"]) == (422, field)


@pytest.mark.parametrize(
    "body",
    [
        b'{"input_data": [1]}',
        b'{"input_data": [{"size 5\\"": ]}',
        b'{"input_data": ["a"]}',
        b'{"data": [[1, 2, 3]]}',
        b'{"data": [{"size 5\\"": 1, "plain": "\xff", "other": 1}]}',
    ],
)
def test_no_body_is_a_fault_of_the_server_where_names_are_odd(body: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        RequestParser(schema_of(['size 5"', "plain", "other"])).parse(body, "score")
    assert 400 <= refused.value.status < 500


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": {"size 5\\"": 1, "plain": ["x"], "other": [1]}}',
        b'{"inputs": {"size 5\\"": [1, 2], "plain": ["x"], "other": [1]}}',
    ],
)
def test_lists_by_odd_names_are_lists_of_one_length(body: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        RequestParser(schema_of(['size 5"', "plain", "other"])).parse(body, "invocations")
    assert refused.value.status == 422
