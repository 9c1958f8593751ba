"""An object with the same key twice has two answers: every reader refuses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import InvalidInput
from mlops.serving.score import rows
from mlops.serving.score.request import RequestError, RequestParser
from mlops.spec.schema import ModelSchema


def schema(*names: str) -> ModelSchema:
    columns: Any = [{"name": name, "type": "string" if name == "t" else "number"} for name in names]
    return ModelSchema(model="toy", task="regression", columns=columns)


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        ("score", '{"input_data": [{"a": 1, "t": "x", "a": 2}]}'),
        ("score", '{"data": [{"a": 1, "t": "x"}, {"a": 1, "t": "a:b", "\\u0061": 2}]}'),
        ("score", '{"input_data": [{"a": 1, "t": "x"}], "input_data": [{"a": 2, "t": "x"}]}'),
        ("score", '{"input_data": {"columns": ["a", "t"], "data": [[1, "x"]], "data": [[2, "x"]]}}'),
        ("invocations", '{"dataframe_records": [{"t": "x", "a": 1, "t": "y"}]}'),
        ("invocations", '{"inputs": {"a": [1], "t": ["x"], "a": [2]}}'),
        ("invocations", '{"instances": [{"a": 1, "a": 1, "t": "x"}]}'),
    ],
)
def test_a_request_is_refused(protocol: Any, body: str):
    for names in (("a", "t"), ("a", "t", 'odd "name')):
        given = body if len(names) == 2 else body.replace('"t": "x"', '"t": "x", "odd \\"name": 1')
        with pytest.raises(RequestError, match="is given twice") as refused:
            RequestParser(schema(*names[:2])).parse(body.encode(), protocol)
        assert refused.value.status == 422
        if "columns" not in given and "inputs" not in given and given.count('"t": "x"') == given.count('"t"'):
            with pytest.raises(RequestError, match="is given twice"):
                RequestParser(schema(*names)).parse(given.encode(), protocol)


@pytest.mark.parametrize(
    ("protocol", "key", "good"),
    [
        ("score", "input_data", '[{"a": 1, "t": "x"}]'),
        ("score", "data", '[{"a": 1, "t": "x"}]'),
        ("invocations", "dataframe_split", '{"columns": ["t", "a"], "data": [["x", 1]]}'),
        ("invocations", "dataframe_records", '[{"a": 1, "t": "x"}]'),
        ("invocations", "inputs", '[{"a": 1, "t": "x"}]'),
        ("invocations", "instances", '[{"a": 1, "t": "x"}]'),
    ],
)
def test_a_table_that_is_nothing_at_first_is_given_twice_as_well(protocol: Any, key: str, good: str):
    with pytest.raises(RequestError) as refused:
        RequestParser(schema("a", "t")).parse(f'{{"{key}": null, "{key}": {good}}}'.encode(), protocol)
    assert (refused.value.status, refused.value.error["field"]) == (422, key)


TABLE = '{"columns": ["a", "t"], "data": [[1, "x"]]}'
RECORDS = '[{"a": 1, "t": "x"}]'
PARTS = {"columns": '["a", "t"]', "index": "[0]", "data": '[[1, "x"]]'}


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize(
    ("protocol", "key", "value"),
    [
        ("score", "input_data", TABLE),
        ("score", "input_data", RECORDS),
        ("score", "data", RECORDS),
        ("score", "params", "{}"),
        ("invocations", "dataframe_split", TABLE),
        ("invocations", "dataframe_records", RECORDS),
        ("invocations", "inputs", RECORDS),
        ("invocations", "instances", RECORDS),
        *(("score", f"input_data.{key}", value) for key, value in PARTS.items()),
        *(("invocations", f"dataframe_split.{key}", value) for key, value in PARTS.items()),
    ],
)
def test_no_key_around_the_rows_is_there_twice(protocol: Any, key: str, value: str, *, escaped: bool):
    """Also where one of the two is written with an escape: a reader takes both for the same."""
    outer, _, inner = key.partition(".")
    name = inner or outer
    again = f'"\\u{ord(name[0]):04x}{name[1:]}"' if escaped else f'"{name}"'
    if inner:
        rest = ", ".join(f'"{part}": {text}' for part, text in PARTS.items() if part != inner)
        body = f'{{"{outer}": {{{rest}, "{name}": {value}, {again}: {value}}}}}'
    else:
        more = f', "data": {RECORDS}' if name == "params" else ""
        body = f'{{"{name}": {value}, {again}: {value}{more}}}'
    with pytest.raises(RequestError) as refused:
        RequestParser(schema("a", "t")).parse(body.encode(), protocol)
    assert (refused.value.status, refused.value.error["field"]) == (422, name)


def test_an_escape_in_a_value_or_in_a_single_key_is_legal():
    parser = RequestParser(schema("a", "t"))
    for body in (
        '{"input_data": {"columns": ["a", "t"], "data": [[1, "\\u0041"]]}}',
        '{"input\\u005fdata": {"columns": ["\\u0061", "t"], "data": [[1, "\\u0041"]]}}',
    ):
        assert parser.parse(body.encode(), "score") == [(1, "A")]


@pytest.mark.parametrize("text", ["12:30", 'a": 1', '"a"', "data", '"input_data": '])
def test_a_value_that_looks_like_a_key_is_none(text: str):
    row = {"a": 1, "t": text}
    for body in (
        {"input_data": [row, row]},
        {"input_data": {"columns": ["a", "t"], "data": [[1, text]] * 2}},
    ):
        assert len(RequestParser(schema("a", "t")).parse(json.dumps(body).encode(), "score")) == 2


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("r.json", '[{"a": 1, "t": "x", "a": 2}]', "with the key 'a' twice"),
        ("r.json", '{"input_data": [{"a": 1, "t": "x", "a": 2}]}', "'a' is given twice"),
        ("r.jsonl", '{"a": 1, "t": "x"}\n{"a": 1, "t": "x", "a": 2}\n', "line 2: has the key 'a' twice"),
    ],
)
def test_a_file_is_refused(name: str, text: str, words: str, tmp_path: Path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInput, match=words):
        list(rows.batches(schema("a", "t"), tmp_path / name))
