"""A column that is sent twice has two values: whichever wins, the caller meant the other one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlops.serving.score.request import Limits, Protocol, RequestError, RequestParser
from mlops.spec.schema import Column, ModelSchema

PARSER = RequestParser(
    ModelSchema(
        model="freight",
        task="regression",
        columns=[Column(name="a", type="number"), Column(name="b", type="number")],
    )
)
SPLITS: list[tuple[Protocol, str]] = [("score", "input_data"), ("invocations", "dataframe_split")]


def asked(protocol: Protocol, key: str, columns: list[str], row: list[Any]) -> RequestError:
    body = json.dumps({key: {"columns": columns, "index": [0], "data": [row]}}).encode()
    with pytest.raises(RequestError) as refused:
        PARSER.parse(body, protocol)
    assert refused.value.status == 422
    return refused.value


@pytest.mark.parametrize(("protocol", "key"), SPLITS)
@pytest.mark.parametrize(
    ("columns", "field"),
    [
        (["a", "b", "a"], "a"),
        (["b", "a", "b"], "b"),
        (["a", "a"], "b"),  # the missing one is told first
        (["a", "b", "c"], "c"),
        (["a"], "b"),
    ],
)
def test_each_column_is_sent_once(protocol: Protocol, key: str, columns: list[str], field: str) -> None:
    assert asked(protocol, key, columns, [1.0] * len(columns)).error["field"] == field


@pytest.mark.parametrize(("protocol", "key"), SPLITS)
def test_two_values_that_are_equal_are_two_as_well(protocol: Protocol, key: str) -> None:
    assert asked(protocol, key, ["a", "a", "b"], [1.0, 1.0, 2.0]).error["field"] == "a"


# --- limits, envelopes, values: each condition by itself ----------------------------------------------------

RULED = ModelSchema(
    model="freight",
    task="regression",
    columns=[
        Column(name="a", type="number", excluded=[7.0], nullable=True),
        Column(name="n", type="integer"),
        Column(name="m", type="integer"),
    ],
)
ODD = ModelSchema(
    model="freight",
    task="regression",
    columns=[Column(name='a "quoted"', type="number"), Column(name="b", type="number")],
)
"""A name that msgspec can't have as a field: its records and columns are read another way."""


def table(rows: list[list[Any]], columns: list[str], **more: Any) -> bytes:
    return json.dumps({"input_data": {"columns": columns, "data": rows, **more}}).encode()


def refused(schema: ModelSchema, body: bytes | str, protocol: Protocol = "score") -> RequestError:
    with pytest.raises(RequestError) as found:
        RequestParser(schema).parse(body.encode() if isinstance(body, str) else body, protocol)
    return found.value


@pytest.mark.parametrize("columns", [["a", "b"], ["b", "a"]], ids=["usual", "another order"])
def test_a_limit_may_be_reached_and_not_passed(columns: list[str]) -> None:
    body = table([[1.0, 2.0], [3.0, 4.0]], columns)
    for limits, status in (
        (Limits(body=len(body), rows=2), 0),
        (Limits(body=len(body) - 1, rows=2), 413),
        (Limits(body=len(body), rows=1), 413),
    ):
        parser = RequestParser(PARSER.schema, limits)
        if status:
            with pytest.raises(RequestError) as found:
                parser.parse(body, "score")
            assert found.value.status == status
        else:
            assert len(parser.parse(body, "score")) == 2


@pytest.mark.parametrize("columns", [["a", "n", "m"], ["m", "n", "a"]], ids=["usual", "another order"])
def test_a_rule_holds_in_every_row_and_says_nothing_of_a_null(columns: list[str]) -> None:
    def rows(*values: float | None) -> bytes:
        given = [{"a": value, "n": 1, "m": 2} for value in values]
        return table([[row[name] for name in columns] for row in given], columns)

    parser = RequestParser(RULED)
    assert [row[0] for row in parser.parse(rows(1.0, None, 0.0), "score")] == [1.0, None, 0.0]
    error = refused(RULED, rows(1.0, None, 7.0)).error
    assert (error["field"], error["row"], error["value"]) == ("a", 2, 7.0)


@pytest.mark.parametrize("rows", [[[1.0, 2, 3], [1.0, 2, 3.0]], [[1.0, 2.0, 3], [1.0, 2, 3]]])
def test_a_whole_number_is_one_in_every_row_and_column(rows: list[list[Any]]) -> None:
    for row in RequestParser(RULED).parse(table(rows, ["a", "n", "m"]), "score"):
        assert [type(value) for value in row] == [float, int, int]


@pytest.mark.parametrize("columns", [["a", "b"], ["b", "a"]], ids=["usual", "another order"])
def test_an_index_has_one_entry_a_row(columns: list[str]) -> None:
    rows = [[1.0, 2.0], [3.0, 4.0]]
    assert len(PARSER.parse(table(rows, columns, index=[0, 1]), "score")) == 2
    for index in ([0], [0, 1, 2], []):
        error = refused(PARSER.schema, table(rows, columns, index=index))
        assert (error.status, error.error["field"]) == (422, "index")


LIST, SPLIT, COLUMNS = (
    '[{"a": 1, "b": 2}]',
    '{"columns": ["a", "b"], "data": [[1, 2]]}',
    '{"a": [1], "b": [2]}',
)


@pytest.mark.parametrize(
    ("protocol", "key", "fits"),
    [
        ("score", "input_data", (LIST, SPLIT)),
        ("score", "data", (LIST,)),
        ("invocations", "dataframe_split", (SPLIT,)),
        ("invocations", "dataframe_records", (LIST,)),
        ("invocations", "inputs", (LIST, COLUMNS)),
        ("invocations", "instances", (LIST,)),
    ],
)
def test_each_key_has_its_shapes_and_no_other(protocol: Protocol, key: str, fits: tuple[str, ...]) -> None:
    for text in (LIST, SPLIT, COLUMNS, "3"):
        body = f'{{"{key}": {text}}}'
        if text in fits:
            assert PARSER.parse(body.encode(), protocol) == [(1.0, 2.0)]
        else:
            assert refused(PARSER.schema, body, protocol).status == 422


@pytest.mark.parametrize(
    ("params", "taken"), [("{}", True), ("null", True), ('{"x": 1}', False), ("[]", False), ('""', False)]
)
def test_parameters_are_refused_and_none_are_none(params: str, taken: bool) -> None:
    body = f'{{"data": {LIST}, "params": {params}}}'
    if taken:
        assert PARSER.parse(body.encode(), "score") == [(1.0, 2.0)]
    else:
        assert refused(PARSER.schema, body).error["field"] == "params"


@pytest.mark.parametrize("keys", [(), ("data", "input_data")])
def test_a_body_has_one_table(keys: tuple[str, ...]) -> None:
    body = "{" + ", ".join(f'"{key}": {LIST}' for key in keys) + "}"
    assert refused(PARSER.schema, body).status == 422


@pytest.mark.parametrize(
    ("schema", "protocol", "body", "field", "row", "value"),
    [
        (PARSER.schema, "score", {"data": [{"a": 1, "b": 2}, {"a": 1, "b": "x"}]}, "b", 1, "x"),
        (ODD, "score", {"data": [{'a "quoted"': 1, "b": 2}, {'a "quoted"': 1, "b": "x"}]}, "b", 1, "x"),
        (PARSER.schema, "invocations", {"inputs": {"a": [1, 2], "b": [3, "x"]}}, "b", 1, "x"),
        (ODD, "invocations", {"inputs": {'a "quoted"': [1, 2], "b": [3, "x"]}}, "b", 1, "x"),
        (PARSER.schema, "invocations", {"inputs": {"a": [1, 2], "b": 3}}, "b", None, 3),
        (ODD, "invocations", {"inputs": {'a "quoted"': [1, 2], "b": 3}}, "b", None, 3),
        (PARSER.schema, "invocations", {"inputs": {"a": [1, 2], "b": [3]}}, "inputs", None, None),
        (ODD, "invocations", {"inputs": {'a "quoted"': [1, 2], "b": [3]}}, "inputs", None, None),
        (PARSER.schema, "score", {"data": [{"a": 1, "b": 2}, 5]}, "data", 1, 5),
        (PARSER.schema, "score", {"input_data": {"columns": ["b", "a"], "data": [[1, 2], 5]}}, "data", 1, 5),
        (
            PARSER.schema,
            "score",
            {"input_data": {"columns": ["b", "a"], "data": [[1, 2], [1, "x"]]}},
            "a",
            1,
            "x",
        ),
        (PARSER.schema, "score", {"data": [{"a": 1, "b": 2}, {"a": 1}]}, "b", 1, None),
        (ODD, "score", {"data": [{'a "quoted"': 1, "b": 2}, {"b": 1}]}, 'a "quoted"', 1, None),
        (
            ODD,
            "score",
            {"data": [{'a "quoted"': 1, "b": 2}, {'a "quoted"': 1, "b": 1, "c": 1}]},
            "c",
            1,
            None,
        ),
    ],
)
def test_a_refusal_names_the_cell(
    *, schema: ModelSchema, protocol: Protocol, body: dict[str, Any], field: str, row: int | None, value: Any
) -> None:
    error = refused(schema, json.dumps(body), protocol)
    assert error.status == 422
    assert (error.error["field"], error.error["row"], error.error["value"]) == (field, row, value)
