"""A request is either what the contract says or a 4xx that names the place: nothing is ever converted.

The corpus below is what servers in use turn into a 500 or, worse, into a prediction of something else.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mlops.serving.score.request import Limits, Protocol, RequestError, RequestParser, check_content_type
from mlops.spec.schema import Column, ModelSchema

SCHEMA = ModelSchema(
    model="freight",
    task="binary",
    classes=["0", "1"],
    columns=[
        Column(name="carrier", type="string", categories=["AA", "DL"]),
        Column(name="distance", type="number", nullable=True, minimum=0, maximum=10_000),
        Column(name="seats", type="integer", maximum=900),
        Column(name="is late?", type="boolean", nullable=True),
        Column(name="origin", type="string", categories=["EWR", "JFK"], unknown_category="refuse"),
    ],
)
NAMES = [c.name for c in SCHEMA.columns]
GOOD: list[Any] = ["AA", 12.5, 180, None, "JFK"]
PARSER = RequestParser(SCHEMA, Limits(body=20_000, rows=50))

SHAPES = ("input_data.split", "input_data.records", "data", "dataframe_split", "dataframe_records")
SHAPES += ("instances", "inputs.columns", "inputs.records")


def encode(shape: str, rows: list[list[Any]], names: list[str] | None = None) -> tuple[bytes, Protocol]:
    """`rows` as a body of one of the documented shapes."""
    names = names or NAMES
    key, _, kind = shape.partition(".")
    kind = kind or ("split" if key == "dataframe_split" else "records")
    value: Any = [dict(zip(names, row, strict=False)) for row in rows]
    if kind == "split":
        value = {"columns": names, "index": list(range(len(rows))), "data": rows}
    if kind == "columns":
        value = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    protocol: Protocol = "score" if key in ("input_data", "data") else "invocations"
    return json.dumps({key: value}).encode(), protocol


def refusal(body: bytes, protocol: Protocol = "score") -> RequestError:
    with pytest.raises(RequestError) as caught:
        PARSER.parse(body, protocol)
    assert 400 <= caught.value.status < 500
    assert set(caught.value.error) == {"field", "row", "value", "allowed", "message"}
    json.dumps(caught.value.body())
    return caught.value


@pytest.mark.parametrize("shape", SHAPES)
def test_every_documented_shape_gives_rows_in_signature_order(shape: str) -> None:
    other = ["ZZ", None, 3, True, "EWR"]
    assert PARSER.parse(*encode(shape, [GOOD, other])) == [tuple(GOOD), tuple(other)]


@pytest.mark.parametrize("shape", SHAPES)
def test_columns_may_come_in_any_order(shape: str) -> None:
    assert PARSER.parse(*encode(shape, [GOOD[::-1]], NAMES[::-1])) == [tuple(GOOD)]


WRONG: list[tuple[str, Any]] = [
    *(("carrier", v) for v in (None, 1, 1.5, True, [], {}, ["AA"], {"a": "AA"})),
    *(("distance", v) for v in ("3", "", True, False, -0.001, 10_000.1, 1e39, -1e300, [], {}, [1], "NaN")),
    *(("seats", v) for v in (None, "180", 1.5, True, 901, 1e30, -1e39, [180], {})),
    *(("is late?", v) for v in (0, 1, "true", "", 0.0, [], {})),
    *(("origin", v) for v in (None, "LGA", "jfk", "", 1, True, ["JFK"], {})),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named_with_column_row_and_what_is_allowed(
    shape: str, name: str, value: Any
) -> None:
    bad = list(GOOD)
    bad[NAMES.index(name)] = value
    error = refusal(*encode(shape, [GOOD, GOOD, bad]))
    assert error.status == 422
    assert error.error["field"] == name
    assert error.error["row"] == 2
    assert error.error["allowed"]
    if not isinstance(value, list | dict | float):
        assert error.error["value"] == value


@pytest.mark.parametrize("value", [180, 180.0, 1.8e2])
def test_a_whole_number_may_be_written_as_a_float(value: float) -> None:
    assert PARSER.parse(*encode("data", [["AA", 1, value, None, "JFK"]]))[0][2] == 180


def test_an_unknown_category_follows_the_contract() -> None:
    assert PARSER.parse(*encode("data", [["??", 1, 1, None, "JFK"]]))[0][0] == "??"
    assert "one of 'EWR', 'JFK'" in str(refusal(*encode("data", [["AA", 1, 1, None, "??"]])))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_a_missing_column_is_named_even_if_it_is_nullable(shape: str, name: str) -> None:
    i = NAMES.index(name)
    names, row = NAMES[:i] + NAMES[i + 1 :], GOOD[:i] + GOOD[i + 1 :]
    error = refusal(*encode(shape, [row], names))
    assert (error.status, error.error["field"]) == (422, name)
    assert "missing column" in str(error)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_unknown_column_is_named(shape: str) -> None:
    error = refusal(*encode(shape, [[*GOOD, 1]], [*NAMES, "carier"]))
    assert (error.status, error.error["field"]) == (422, "carier")
    assert "unknown column" in str(error)


SPLIT = {"columns": NAMES, "data": [GOOD]}
BODIES: list[tuple[Any, int]] = [
    (b"", 400),
    (b" ", 400),
    (b"{", 400),
    (b"nonsense", 400),
    (b"\xff\xfe", 400),
    (b'\xef\xbb\xbf{"data": []}', 400),
    (b"null", 422),
    (b"[]", 422),
    (b"3", 422),
    (b'"text"', 422),
    (b"{}", 422),
    (b'{"data": [}', 400),
    (b'{"data": []} trailing', 400),
    (b'{"data": [{"carrier": NaN}]}', 400),
    (b'{"data": [{"carrier": "AA", "distance": Infinity}]}', 400),
    (b'{"data": [{"carrier": "AA", "distance": -Infinity}]}', 400),
    (b'{"data": [{"carrier": "AA", "distance": 01}]}', 400),
    (b'{"data": [{"carrier": "AA", "distance": 1e999}]}', 422),
    (b'{"data": [{"carrier": "\xff"}]}', 400),
    (b'{"data": [{"carrier": "\\ud800"}]}', 400),
    (b"{'data': []}", 400),
    (b'{"data": ' + b"[" * 10_000, 400),
    (b'{"data": ' + b'{"a":' * 3_000, 400),
    ({"data": []}, 422),
    ({"data": {}}, 422),
    ({"data": None}, 422),
    ({"data": "rows"}, 422),
    ({"data": [1]}, 422),
    ({"data": [None]}, 422),
    ({"data": [[*GOOD]]}, 422),
    ({"data": [{}]}, 422),
    ({"input_data": None}, 422),
    ({"input_data": "x"}, 422),
    ({"input_data": {}}, 422),
    ({"input_data": {"columns": NAMES}}, 422),
    ({"input_data": {"data": [GOOD]}}, 422),
    ({"input_data": {**SPLIT, "index": [1, 2]}}, 422),
    ({"input_data": {**SPLIT, "index": "x"}}, 422),
    ({"input_data": {**SPLIT, "extra": 1}}, 422),
    ({"input_data": {**SPLIT, "columns": "carrier"}}, 422),
    ({"input_data": {**SPLIT, "columns": [1, 2, 3, 4, 5]}}, 422),
    ({"input_data": {**SPLIT, "columns": [*NAMES[:4], "carrier"]}}, 422),
    ({"input_data": {**SPLIT, "columns": [*NAMES, "carrier"]}}, 422),
    ({"input_data": {**SPLIT, "data": []}}, 422),
    ({"input_data": {**SPLIT, "data": GOOD}}, 422),
    ({"input_data": {**SPLIT, "data": [GOOD[:-1]]}}, 422),
    ({"input_data": {**SPLIT, "data": [[*GOOD, 1]]}}, 422),
    ({"input_data": {**SPLIT, "data": {}}}, 422),
    ({"input_data": {**SPLIT, "data": [[[*GOOD]]]}}, 422),
    ({"input_data": SPLIT, "data": []}, 422),
    ({"input_data": SPLIT, "params": {"threshold": 0.1}}, 422),
    ({"input_data": SPLIT, "extra": 1}, 422),
    ({"data": [dict(zip(NAMES, GOOD, strict=True))] * 51}, 413),
    ({"input_data": {**SPLIT, "data": [GOOD] * 51}}, 413),
    (b" " * 20_001, 413),
]


@pytest.mark.parametrize(("body", "status"), BODIES)
def test_a_malformed_body_is_refused(body: Any, status: int) -> None:
    assert refusal(body if isinstance(body, bytes) else json.dumps(body).encode()).status == status


@pytest.mark.parametrize(
    "value",
    [
        {"inputs": {}},
        {"inputs": {"carrier": "AA"}},
        {"inputs": {name: [cell, cell] for name, cell in zip(NAMES, GOOD, strict=True)} | {"seats": [1]}},
        {"instances": [GOOD]},
        {"instances": {}},
        {"dataframe_records": {}},
        {"dataframe_split": [GOOD]},
        {"input_data": SPLIT},
        {"dataframe_split": SPLIT, "instances": []},
    ],
)
def test_a_malformed_mlflow_body_is_refused(value: Any) -> None:
    assert refusal(json.dumps(value).encode(), "invocations").status == 422


@pytest.mark.parametrize("params", [None, {}])
def test_empty_parameters_are_no_parameters(params: Any) -> None:
    body = json.dumps({"input_data": SPLIT, "params": params}, separators=(",", ":")).encode()
    assert PARSER.parse(body, "score") == [tuple(GOOD)]


def test_many_column_orders_do_not_fill_the_memory() -> None:
    import itertools

    for order in itertools.permutations(range(5)):
        body, protocol = encode("dataframe_split", [[GOOD[i] for i in order]], [NAMES[i] for i in order])
        assert PARSER.parse(body, protocol) == [tuple(GOOD)]
    assert len(PARSER._orders) <= 32


def test_a_long_value_is_shown_shortened() -> None:
    error = refusal(*encode("data", [["AA", "9" * 5_000, 1, None, "JFK"]]))
    assert len(str(error)) < 500


@pytest.mark.parametrize("header", [None, b"application/json", b"Application/JSON; charset=UTF-8"])
def test_json_is_accepted(header: bytes | None) -> None:
    check_content_type(header)


@pytest.mark.parametrize(
    "header",
    [b"", b"text/csv", b"text/plain", b"application/json; charset=latin-1", b"application/jsonx", b"\xff"],
)
def test_other_content_types_are_refused(header: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        check_content_type(header)
    assert caught.value.status == 415


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from([*NAMES, "x"]), inner, max_size=6)
    ),
    max_leaves=12,
)
KEYS = ["input_data", "data", "params", "inputs", "instances", "dataframe_split", "dataframe_records"]


@examples(80)
@given(
    st.dictionaries(st.sampled_from(KEYS), JSON_VALUES, max_size=2),
    st.sampled_from(["score", "invocations"]),
)
def test_no_json_breaks_the_parser(value: Any, protocol: Protocol) -> None:
    body = json.dumps(value).encode()
    try:
        assert PARSER.parse(body, protocol)
    except RequestError as error:
        assert error.status in (400, 413, 422)


@examples(80)
@given(st.binary(max_size=40), st.integers(0, 150), st.integers(0, 150))
def test_no_damage_to_a_good_body_breaks_the_parser(noise: bytes, start: int, length: int) -> None:
    body, protocol = encode("input_data.split", [GOOD])
    damaged = body[:start] + noise + body[start + length :]
    try:
        PARSER.parse(damaged, protocol)
    except RequestError as error:
        assert error.status in (400, 413, 422)
