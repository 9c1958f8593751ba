"""What each refusal tells a program: status, field, row, value and what is allowed. A client that shows them
beside a form has nothing else to go by."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from mlops.serving.score import request
from mlops.serving.score.request import Limits, Protocol, RequestError, RequestParser, check_content_type
from mlops.spec.schema import Column, ModelSchema

ODD = 'a "quoted"'


def schema(*names: str, **fields: Any) -> ModelSchema:
    columns = [Column(name=name, type="number", **fields) for name in names]
    return ModelSchema(model="freight", task="regression", columns=columns)


PLAIN, QUOTED = schema("a", "b"), schema(ODD, "b")
SPLIT = '{"columns": [names], "data": [[values of a row]]}'
RECORDS = "a list with one object a row"
COLUMNS = "an object with a list of values a column"
JSON = "JSON (RFC 8259); it has no NaN or Infinity: send null where the column admits it"
NUMBER = "a finite number"
ROW = "each row must be a list of 2 values, in the order of columns"
SCORE, MLFLOW = "input_data, data", "dataframe_split, dataframe_records, inputs, instances"
GOOD = '{"a": 1, "b": 2}'


def refused(given: ModelSchema, body: str | bytes, protocol: Protocol, limits: Limits) -> RequestError:
    with pytest.raises(RequestError) as caught:
        RequestParser(given, limits).parse(body.encode() if isinstance(body, str) else body, protocol)
    return caught.value


CASES: list[tuple[str, str, int, str | None, int | None, Any, str]] = [
    ("score", "", 400, None, None, None, "input_data or data"),
    ("invocations", "", 400, None, None, None, "dataframe_split or dataframe_records or inputs or instances"),
    ("score", "x" * 201, 413, None, None, None, "at most 200 bytes"),
    ("score", f'{{"data": [{GOOD}, {GOOD}, {GOOD}, {GOOD}]}}', 413, None, None, 4, "at most 3 rows"),
    ("score", '{"data": []}', 422, None, None, None, "at least one row"),
    ("score", "{", 400, None, None, None, JSON),
    ("score", "[]", 422, None, None, None, SCORE),
    ("score", "{}", 422, None, None, None, SCORE),
    ("invocations", "{}", 422, None, None, None, MLFLOW),
    ("score", '{"extra": 1}', 422, "extra", None, None, SCORE),
    ("invocations", '{"extra": 1}', 422, "extra", None, None, MLFLOW),
    ("invocations", f'{{"instances": [{GOOD}], "extra": 1}}', 422, "extra", None, None, MLFLOW),
    ("score", f'{{"data": [{GOOD}], "params": {{"x": 1}}}}', 422, "params", None, None, "absent or empty"),
    ("score", '{"data": 7}', 422, "data", None, 7, RECORDS),
    ("score", '{"input_data": 7}', 422, "input_data", None, 7, f"{SPLIT} or {RECORDS}"),
    ("invocations", '{"inputs": 7}', 422, "inputs", None, 7, f"{COLUMNS} or {RECORDS}"),
    ("score", '{"input_data": {"columns": ["b"]}}', 422, "input_data", None, None, SPLIT),
    ("score", '{"input_data": {"columns": ["b"], "data": }}', 400, None, None, None, JSON),
    (
        "score",
        '{"input_data": {"columns": ["b", "a"], "data": [[1, 2]], "index": [1, 2, 3]}}',
        422, "index", None, 3, "one entry a row, or no index",
    ),
    ("score", '{"input_data": {"columns": ["c", "a", "b"], "data": []}}', 422, "c", None, None, "a, b"),
    ("score", '{"input_data": {"columns": ["a"], "data": []}}', 422, "b", None, None, "a, b"),
    ("score", '{"input_data": {"columns": ["a", "b", "b"], "data": []}}', 422, "b", None, None, "a, b"),
    ("score", '{"input_data": {"columns": ["b", "a"], "data": [[1, 2], 5]}}', 422, "data", 1, 5, ROW),
    ("score", '{"input_data": {"columns": ["b", "a"], "data": [[1, 2], [1]]}}', 422, "data", 1, "[1]", ROW),
    ("score", '{"input_data": {"columns": ["b", "a"], "data": {}}}', 422, "data", None, "{}", ROW),
    ("score", '{"input_data": {"columns": ["b", "a"], "data": [[1, "x"]]}}', 422, "a", 0, "x", NUMBER),
    ("score", '{"data": [{"a": 1, "b": 2}, {"a": 1}]}', 422, "b", 1, None, "a, b"),
    ("score", '{"data": [{"a": 1, "b": 2, "c": 3}]}', 422, "c", 0, None, "a, b"),
    ("score", '{"data": [{"a": 1, "b": 2}, {"a": 1, "b": "x"}]}', 422, "b", 1, "x", NUMBER),
    ("score", '{"data": [{"a": 1, "b": 2}, 5]}', 422, "data", 1, 5, RECORDS),
    ("score", '{"data": [{"a": 1, "a": 1, "b": 2}]}', 422, "a", None, None, "a, b"),
    ("score", f'{{"data": [{GOOD}], "data": [{GOOD}]}}', 422, "data", None, None, "each key once"),
    ("invocations", '{"inputs": {"a": [1, 2], "b": [3]}}', 422, "inputs", None, None, "equal lengths"),
    ("invocations", '{"inputs": {"a": [1, 2], "b": [3, "x"]}}', 422, "b", 1, "x", NUMBER),
    ("invocations", '{"inputs": {"a": [1, 2], "b": 3}}', 422, "b", None, 3, f"{COLUMNS} or {RECORDS}"),
    ("invocations", '{"inputs": {"a": [1], "a": [1], "b": [3]}}', 422, "a", None, None, "a, b"),
    ("invocations", '{"inputs": {"a": [1]}}', 422, "b", None, None, "a, b"),
    ("invocations", '{"inputs": {"a": [1], "b": [1], "c": [1]}}', 422, "c", None, None, "a, b"),
]  # fmt: skip


def told(error: RequestError) -> tuple[Any, ...]:
    return (error.status, *(error.error[key] for key in ("field", "row", "value", "allowed")))


@pytest.mark.parametrize(("protocol", "body", "status", "field", "row", "value", "allowed"), CASES)
def test_a_refusal_says_it_in_its_fields(
    *, protocol: Protocol, body: str, status: int, field: Any, row: Any, value: Any, allowed: str
) -> None:
    found = refused(PLAIN, body, protocol, Limits(body=200, rows=3))
    assert told(found) == (status, field, row, value, allowed)
    assert found.body() == {"error": found.error} and found.error["message"] == str(found)


LIST_LIKE = ('{"data": [', '{"inputs": {')


@pytest.mark.parametrize(
    ("protocol", "body", "status", "field", "row", "value", "allowed"),
    [case for case in CASES if case[1].startswith(LIST_LIKE) and '"a"' in case[1]],
)
def test_where_names_are_odd_it_says_the_same(
    *, protocol: Protocol, body: str, status: int, field: Any, row: Any, value: Any, allowed: str
) -> None:
    """Their records and columns are read another way."""
    found = refused(QUOTED, body.replace('"a"', json.dumps(ODD)), protocol, Limits(body=400, rows=3))
    names = allowed.replace("a, b", f"{ODD}, b")
    column = field == "b" and row is None and value == 3  # read as a column by itself
    assert told(found) == (
        status, ODD if field == "a" else field, row, value, NUMBER if column else names
    )  # fmt: skip


def test_what_is_shown_is_cut() -> None:
    name = "c" * 500
    for body in (
        {"input_data": {"columns": [name], "data": []}},
        {"data": [{"a": 1, "b": 2, name: 3}]},
        {"data": [{name: 1}]},
    ):
        field = refused(PLAIN, json.dumps(body), "score", Limits()).error["field"]
        assert field == name[: request.SHOWN]
    odd = refused(QUOTED, json.dumps({"data": [{name: 1}]}), "score", Limits()).error["field"]
    assert odd == name[: request.SHOWN]
    twice = f'{{"data": [{{"a": 1, "b": 2, "{name}": 1, "{name}": 1}}]}}'
    assert len(refused(PLAIN, twice, "score", Limits()).error["field"]) <= request.SHOWN


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (None, True),
        (b"application/json", True),
        (b" Application/JSON ; charset=utf8", True),
        (b'application/json; charset="UTF-8"; x=1', True),
        (b"application/json; charset=us-ascii", True),
        (b"application/json; charset=utf-8; charset=latin-1", False),
        (b"text/json; charset=utf-8", False),
        (b"application/json; charset=utf-16", False),
    ],
)
def test_the_type_of_content(header: bytes | None, taken: bool) -> None:
    if taken:
        check_content_type(header)
        return
    assert header is not None
    with pytest.raises(RequestError) as caught:
        check_content_type(header)
    assert told(caught.value) == (415, "content-type", None, header.decode(), "application/json")


def test_a_long_header_is_cut() -> None:
    with pytest.raises(RequestError) as caught:
        check_content_type(b"x" * 500)
    assert caught.value.error["value"] == "x" * request.SHOWN


# --- what is kept and guessed -------------------------------------------------------------------------------


def test_limits_that_nobody_names() -> None:
    assert RequestParser(PLAIN).limits == Limits() == Limits(body=2 * 1024 * 1024, rows=10_000)


def test_orders_of_a_table_that_are_kept_are_bounded_and_used() -> None:
    parser = RequestParser(schema(*"abcde"))
    sizes = []
    for order in itertools.islice(itertools.permutations("abcde"), 1, 70):
        body = {"input_data": {"columns": order, "data": [[ord(name) for name in order]]}}
        assert parser.parse(json.dumps(body).encode(), "score") == [tuple(map(float, map(ord, "abcde")))]
        sizes.append(len(parser._orders))
    assert max(sizes) == 32 and sizes[:32] == list(range(1, 33)) and sizes[32] == 1


MANY = [f"c{i:02}" for i in range(32)]


def shuffled(names: list[str], turn: int) -> bytes:
    order = [*names[turn:], *names[:turn]]
    return json.dumps({"data": [{name: names.index(name) for name in order}]}).encode()


def test_orders_of_records_that_are_kept_are_bounded() -> None:
    names = [f"c{i:02}" for i in range(40)]
    parser, sizes = RequestParser(schema(*names)), []
    for turn in range(1, 40):
        assert parser.parse(shuffled(names, turn), "score") == [tuple(map(float, range(40)))]
        sizes.append(len(parser._record_orders))
    assert max(sizes) == 32 and sizes[32] == 1


@pytest.mark.parametrize(("names", "kept"), [(MANY, 1), (MANY[:31], 0)])
def test_the_order_of_keys_is_looked_at_from_so_many_columns_on(names: list[str], kept: int) -> None:
    parser = RequestParser(schema(*names))
    parser.parse(shuffled(names, 7), "score")
    assert len(parser._record_orders) == kept
    parser.parse(shuffled(names, 0), "score")
    assert len(parser._record_orders) == kept, "the usual order needs no decoder of its own"


def test_a_record_without_all_columns_is_read_the_usual_way() -> None:
    parser = RequestParser(schema(*MANY))
    for wrong in (MANY[:0:-1], [*MANY[::-1], "more"], [*MANY[:0:-1], "more"]):
        body = json.dumps({"data": [dict.fromkeys(wrong, 1)]}).encode()
        with pytest.raises(RequestError) as caught:
            parser.parse(body, "score")
        assert caught.value.error["field"] == ("more" if "more" in wrong else "c00")
    assert parser._record_orders == {}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('[{"b": 1, "a": 2}, {"c": 3}]', ("b", "a")),
        ('[{"b": "}", "a": 2}]', ("b", "a")),
        ('[{"b": "' + "}" * 7 + '", "a": 2}]', ("b", "a")),
        ('[{"b": "' + "}" * 8 + '", "a": 2}]', None),
        ('[{"b": {"x": 1}, "a": 2}]', ("b", "a")),
        ("[]", None),
        ("[1}", None),
        ('[{"b": 1', None),
    ],
)
def test_the_keys_of_the_first_record(text: str, keys: tuple[str, ...] | None) -> None:
    assert request._first_keys(text.encode()) == keys


def test_whether_records_seem_to_be_in_the_usual_order() -> None:
    parser = RequestParser(schema(*MANY))

    def seems(*records: list[str]) -> bool:
        return parser._seems_usual(json.dumps([dict.fromkeys(names, 1) for names in records]).encode())

    assert seems(MANY) and seems(MANY, MANY)
    assert not seems(MANY[::-1]) and not seems([*MANY[16:], *MANY[:16]])
    assert not seems(MANY[:31]), "the last is looked for"
    assert not seems(MANY[:16], [*MANY[:1], *MANY[16:]]), "not all in one record"
    assert len(parser._marks) == 9 and parser._marks[0] == b'"c00"' and parser._marks[-1] == b'"c31"'
    assert RequestParser(schema("a"))._marks == [b'"a"']


@pytest.mark.parametrize("kind", [Limits])
def test_what_decides_is_changed_by_nobody(kind: type):
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
