"""A request is read the quick way where there is one, and both ways find the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlops.serving.score import request
from mlops.serving.score.request import Protocol, RequestError, RequestParser
from mlops.spec.schema import Column, ModelSchema


def schema(*columns: Column) -> ModelSchema:
    return ModelSchema(model="freight", task="regression", columns=list(columns))


TWO = schema(Column(name="a", type="number"), Column(name="b", type="number"))
ODD = schema(Column(name='a "quoted"', type="number"), Column(name="b", type="number"))
"""A name that msgspec can't have as a field."""
WIDE = schema(*(Column(name=f"c{i:02}", type="number") for i in range(40)))
"""So many that the order of keys is looked at."""
NAMES = [column.name for column in WIDE.columns]


def split(columns: list[str], rows: list[list[Any]], **more: Any) -> dict[str, Any]:
    return {"columns": columns, "data": rows, **more}


def refused(of: ModelSchema, body: str, protocol: Protocol = "score") -> RequestError:
    with pytest.raises(RequestError) as found:
        RequestParser(of).parse(body.encode(), protocol)
    return found.value


@pytest.mark.parametrize(("protocol", "key"), [("score", "input_data"), ("invocations", "dataframe_split")])
@pytest.mark.parametrize("more", [{}, {"index": [0, 1]}], ids=["no index", "an index"])
def test_a_table_in_the_usual_order_is_read_in_one_pass(
    monkeypatch: pytest.MonkeyPatch, protocol: Protocol, key: str, more: dict[str, Any]
) -> None:
    parser = RequestParser(TWO)
    monkeypatch.setattr(parser, "_parse", lambda *_: pytest.fail("read again"))
    body = json.dumps({key: split(["a", "b"], [[1, 2], [3, 4]], **more)})
    assert parser.parse(body.encode(), protocol) == [(1.0, 2.0), (3.0, 4.0)]


def test_an_order_is_learned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = RequestParser(TWO)
    body = json.dumps({"input_data": split(["b", "a"], [[1, 2]])}).encode()
    first = parser.parse(body, "score")
    monkeypatch.setattr(parser, "_order", lambda *_: pytest.fail("learned again"))
    assert parser.parse(body, "score") == first == [(2.0, 1.0)]


def records(names: list[str], rows: int = 2) -> str:
    """Each record in the order of `names`."""
    return json.dumps([{name: number for number, name in enumerate(names)} for _ in range(rows)])


@pytest.mark.parametrize(
    ("of", "protocol", "body"),
    [
        (TWO, "score", f'{{"data": {records(["a", "b"])}}}'),
        (ODD, "score", f'{{"data": {records([ODD.columns[0].name, "b"])}}}'),
        (WIDE, "score", f'{{"data": {records(NAMES)}}}'),
        (WIDE, "score", f'{{"data": {records(NAMES[::-1])}}}'),
        (TWO, "invocations", '{"inputs": {"a": [1, 2], "b": [3, 4]}}'),
        (ODD, "invocations", '{"inputs": {"a \\"quoted\\"": [1, 2], "b": [3, 4]}}'),
    ],
    ids=["records", "odd records", "many", "another order", "columns", "odd columns"],
)
def test_a_text_whose_keys_add_up_is_not_read_again(
    monkeypatch: pytest.MonkeyPatch, of: ModelSchema, protocol: Protocol, body: str
) -> None:
    monkeypatch.setattr(request, "twice", lambda _: pytest.fail("read again"))
    assert len(RequestParser(of).parse(body.encode(), protocol)) == 2


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1]], ids=["usual", "another order"])
def test_a_key_that_a_later_record_has_twice_is_found(names: list[str]) -> None:
    first, second = records(names, 1)[1:-1], records(names, 1)[1:-2]
    error = refused(WIDE, f'{{"data": [{first}, {second}, "{NAMES[7]}": 5}}]}}').error
    assert error["field"] == NAMES[7] and "twice" in error["message"]


@pytest.mark.parametrize(("rows", "field"), [("[]", None), ("[5]", "data")])
def test_many_columns_and_no_record(rows: str, field: str | None) -> None:
    error = refused(WIDE, f'{{"data": {rows}}}')
    assert (error.status, error.error["field"]) == (422, field)


def test_a_null_meets_every_rule() -> None:
    """Also in a column that admits only some values, and beside a whole number that is written as 1.0."""
    of = schema(
        Column(name="a", type="number", values=[1.0, 2.0], nullable=True),
        Column(name="n", type="integer", values=[1, 2], nullable=True),
    )
    for columns in (["a", "n"], ["n", "a"]):
        rows = [{"a": None, "n": 1.0}, {"a": 1.0, "n": None}, {"a": 2.0, "n": 2}]
        body = {"input_data": split(columns, [[row[name] for name in columns] for row in rows])}
        found = RequestParser(of).parse(json.dumps(body).encode(), "score")
        assert found == [(None, 1), (1.0, None), (2.0, 2)]
        assert [type(row[1]) for row in found] == [int, type(None), int]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{}", "it has none of them"),
        ('{"data": [], "input_data": []}', "it has input_data and data"),
    ],
)
def test_what_the_body_has_instead_of_one_table(body: str, words: str) -> None:
    assert refused(TWO, body).error["message"].endswith(words)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ('{"a \\"quoted\\"": 1}', "missing column b;"),
        ('{"a \\"quoted\\"": 1, "b": 1, "c": 1}', "unknown column c;"),
    ],
)
def test_what_an_odd_record_has_not(record: str, words: str) -> None:
    assert refused(ODD, f'{{"data": [{record}]}}').error["message"].startswith(words)


def test_a_column_that_may_be_null_is_still_sent() -> None:
    of = schema(*(column.model_copy(update={"nullable": True}) for column in ODD.columns))
    name = json.dumps(ODD.columns[0].name)
    for body, protocol in (
        (f'{{"data": [{{{name}: 1}}]}}', "score"),
        (f'{{"inputs": {{{name}: [1]}}}}', "invocations"),
    ):
        found = refused(of, body, protocol)
        assert (found.status, found.error["field"]) == (422, "b")


@pytest.mark.parametrize("text", ["3", '"x"', "null", "true"])
def test_what_is_no_table_is_refused_by_its_key(text: str) -> None:
    found = refused(TWO, f'{{"inputs": {text}}}', "invocations")
    assert (found.status, found.error["field"], found.error["row"]) == (422, "inputs", None)
    assert found.error["message"] == f"inputs must be {found.error['allowed']}"


def test_the_cell_is_shown_and_not_a_place_within_it() -> None:
    of = schema(Column(name="a", type="vector", size=2))
    error = refused(of, json.dumps({"input_data": split(["a"], [[[1, "x"]]])})).error
    assert (error["field"], error["row"], error["value"]) == ("a", 0, '[1,"x"]')


@pytest.mark.parametrize(
    ("columns", "words"),
    [(["a", "b", "c"], "unknown column c; allowed: a, b"), (["a"], "missing column b; needed: a, b")],
)
def test_what_a_table_has_not(columns: list[str], words: str) -> None:
    body = json.dumps({"input_data": split(columns, [[1.0] * len(columns)])})
    assert refused(TWO, body).error["message"] == words


@pytest.mark.parametrize(
    ("body", "words"),
    [('{"datum": []}', "unknown field datum; allowed: "), ("[]", "the body must be a JSON object; ")],
)
def test_what_is_no_envelope(body: str, words: str) -> None:
    assert refused(TWO, body).error["message"].startswith(words)


def test_a_row_of_one_column_is_a_row() -> None:
    parser = RequestParser(schema(Column(name="n", type="integer")))
    body = json.dumps({"input_data": split(["n"], [[1.0], [2]])})
    assert parser.parse(body.encode(), "score") == [(1,), (2,)]
