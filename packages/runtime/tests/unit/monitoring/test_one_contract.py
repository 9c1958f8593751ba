"""A contract has one meaning: what training refuses, endpoint, batch and monitor refuse, and nothing else.

A rule that only training keeps lets a request be answered that the model was never meant for.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from pandera.pandas import Check, Column, DataFrameSchema

from mlops.errors import InvalidInput
from mlops.monitoring.contract import check
from mlops.monitoring.rules import columns_of, unchecked
from mlops.serving.score.columns import allowed, json_schema
from mlops.serving.score.request import RequestError, RequestParser
from mlops.serving.score.table import check_table
from mlops.spec import schema as served
from mlops.spec.admits import arrow_type, refused

Rows = list[Any]


def training(column: Column, values: Rows) -> list[bool]:
    """Whether the contract admits each value; what the column's type cannot hold it does not."""
    kind = str(column.dtype)
    held = [i for i, value in enumerate(values) if _holds(kind, column.nullable, value)]
    some = pd.Series([values[i] for i in held], dtype="object" if kind == "str" else _pandas(kind, column))
    broken: set[int] = set()
    for row in range(len(some)):
        if check(
            pd.DataFrame({"x": some.iloc[[row]].reset_index(drop=True)}), DataFrameSchema({"x": column})
        ):
            broken.add(held[row])
    return [i in held and i not in broken for i in range(len(values))]


def _pandas(kind: str, column: Column) -> str:
    whole = kind.lower().startswith(("int", "uint"))
    if column.nullable and whole:
        return kind.title().replace("Uint", "UInt") if kind[0].islower() else kind
    return "boolean" if column.nullable and kind == "bool" else kind


def _holds(kind: str, nullable: bool, value: Any) -> bool:
    if value is None:
        return nullable or kind.startswith(("float", "str"))
    if kind.lower().startswith(("int", "uint")):
        limits = np.iinfo(kind.lower())
        return bool(limits.min <= value <= limits.max)
    return True


def endpoint(schema: served.ModelSchema, values: Rows) -> list[bool]:
    parser = RequestParser(schema)
    verdicts = []
    for value in values:
        for body in (
            {"input_data": {"columns": ["x"], "data": [[value]]}},
            {"input_data": [{"x": value}]},
        ):
            try:
                rows = parser.parse(json.dumps(body).encode(), "score")
            except RequestError as error:
                assert (error.status, error.error["field"], error.error["row"]) == (422, "x", 0)
                verdicts.append(False)
            else:
                assert rows == [(value,)]
                verdicts.append(True)
    assert verdicts[::2] == verdicts[1::2], "one shape of a request admits what another refuses"
    return verdicts[::2]


def batch(schema: served.ModelSchema, values: Rows) -> list[bool]:
    verdicts = []
    for value in values:
        try:
            check_table(schema, pa.table({"x": pa.array([value], _arrow(schema.columns[0], value))}))
        except InvalidInput:
            verdicts.append(False)
        else:
            verdicts.append(True)
    return verdicts


def _arrow(column: served.Column, value: Any) -> Any:
    """What keeps the value, also where no legal one is as large."""
    if column.type == "integer" and value is not None:
        return pa.uint64() if value >= 2**63 else pa.int64()
    return arrow_type(column)


def monitor(schema: served.ModelSchema, values: Rows) -> list[bool]:
    (column,) = schema.columns
    return [
        bool(
            not refused(column, pa.array([value], _arrow(column, value)))[0]
            and (value is not None or column.nullable)
        )
        for value in values
    ]


def agree(column: Column, values: Rows) -> list[bool]:
    """The verdict of all four on each value."""
    schema = served.ModelSchema(
        model="one", task="regression", columns=columns_of(DataFrameSchema({"x": column}))
    )
    expected = training(column, values)
    for place in (endpoint, batch, monitor):
        found = place(schema, values)
        different = [(v, e, f) for v, e, f in zip(values, expected, found, strict=True) if e != f]
        assert not different, f"{place.__name__}: (value, training, here) {different} by {schema.columns[0]}"
    return expected


CASES: list[tuple[Column, Rows, Rows]] = [
    (Column("int32", Check.isin([1, 2, 3])), [1, 3], [0, 7]),
    (Column("float32", [Check.ge(0), Check.in_range(10, 20)]), [10.0, 20.0], [1.0, 9.999, 20.001]),
    (Column("float32", [Check.in_range(10, 20), Check.ge(0)]), [10.0], [1.0]),
    (Column("float32", Check.gt(0)), [1e-30, 0.5], [0.0, -1.0, 1e-50]),
    (Column("float32", Check.lt(1)), [0.999], [1.0, 0.99999999999]),
    (Column("float32", Check.in_range(0, 1, include_min=False)), [0.1, 1.0], [0.0]),
    (Column("float64", Check.in_range(0, 1, include_max=False)), [0.0], [1.0]),
    (Column("float32", [Check.ge(1), Check.gt(1)]), [1.5], [1.0]),
    (Column("float32", [Check.le(1), Check.lt(1)]), [0.5], [1.0]),
    (Column("float32", Check.ne(0)), [1.0], [0.0, -0.0, 1e-60]),
    (Column("float32", Check.eq(0.1)), [0.1, float(np.float32(0.1))], [0.2]),
    (Column("float64", Check.notin([0.1, 2])), [0.2], [0.1, 2.0]),
    (Column("float32", Check.le(0.1)), [0.1, float(np.float32(0.1))], [0.11]),
    (Column("float32", Check.ge(np.float64(0.3))), [0.4, 0.3], [0.29]),
    (Column("float32"), [3.4028234663852886e38, -3.4028234663852886e38], [3.5e38, 1e300]),
    (Column("str", Check.str_matches("^[A-Z]{3}$")), ["ABC"], ["nonsense", "", "AB"]),
    (Column("str", Check.str_matches("b")), ["bc"], ["abc"]),
    (Column("str", Check.str_contains("b+")), ["abbc"], ["ac"]),
    (Column("str", Check.str_matches(re.compile("b", re.IGNORECASE))), ["Bc", "b"], ["ab"]),
    (Column("str", Check.str_startswith("a.")), ["a.b"], ["axb"]),
    (Column("str", Check.str_endswith("(c")), ["(c"], ["c"]),
    (Column("str", Check.str_length(1, 3)), ["a", "abc", "日本"], ["", "long"]),
    (Column("str", Check.str_length(min_value=2)), ["ab"], ["a"]),
    (Column("str", [Check.isin(["a", "ab", "abc"]), Check.str_length(2, 2)]), ["ab"], ["a", "abc", "xy"]),
    (Column("str", [Check.str_length(2), Check.isin(["a", "ab"])]), ["ab"], ["a", "xy"]),
    (Column("str", [Check.isin(["a", "b1"]), Check.str_matches(r".\d")]), ["b1"], ["a", "c1"]),
    (Column("str", [Check.isin(["a", "b"]), Check.notin(["a"])]), ["b"], ["a", "c"]),
    (Column("str", Check.str_length(max_value=2)), ["", "ab"], ["abc"]),
    (Column("str", Check.str_length(exact_value=2)), ["ab"], ["a", "abc"]),
    (Column("str", Check.notin(["?"])), ["", "??"], ["?"]),
    (Column("str", Check.isin(["a", "b"])), ["a"], ["c", "", None]),
    (Column("str", [Check.isin(["a", "b"]), Check.isin(["b", "c"])]), ["b"], ["a", "c"]),
    (Column("str", [Check.isin(["a", "b"]), Check.notin(["b"])]), ["a"], ["b"]),
    (Column("str", Check.eq("a")), ["a"], ["b"]),
    (Column("str", Check.isin([1, "1 "])), ["1 "], ["1"]),
    (Column("str", Check.isin(["a"]), nullable=True), ["a", None], ["b"]),
    (Column("bool", Check.eq(True)), [True], [False]),
    (Column("boolean", Check.isin([False]), nullable=True), [False, None], [True]),
    (Column("bool", nullable=True), [True, False, None], []),
    (Column("Int64", nullable=True), [-1, None, 2**53 + 1, 2**63 - 1, -(2**63)], [2**63]),
    (Column("Int64", Check.isin([2**53 + 1])), [2**53 + 1], [2**53, None]),
    (Column("Int64", Check.notin([2**53]), nullable=True), [2**53 + 1, None], [2**53]),
    (Column("int32", nullable=True), [1, None], [2**31]),
    (Column("int8"), [-128, 127], [-129, 128, 300]),
    (Column("uint8"), [0, 255], [-1, 256]),
    (Column("uint64"), [2**64 - 1, 0], [-1, 2**64]),
    (Column("int64", Check.gt(2**53)), [2**53 + 1], [2**53]),
    (Column("int64", Check.ge(0.5)), [1], [0]),
    (Column("int64", Check.gt(0.5)), [1], [0]),
    (Column("int64", Check.lt(2.5)), [2], [3]),
    (Column("int64", Check.lt(2)), [1], [2]),
    (Column("int64", Check.ne(3)), [2], [3]),
    (Column("int64", Check.eq(3)), [3], [2]),
    (Column("float64", Check.ge(0, ignore_na=False), nullable=True), [1.0], [None, -1.0]),
    (Column("float64", Check.ne(0, ignore_na=False), nullable=True), [1.0, None], [0.0]),
    (Column("float32", Check.ge(0, name="not negative", error="must not be negative")), [0.0], [-1.0]),
]


@pytest.mark.parametrize(("column", "good", "bad"), CASES)
def test_each_rule_is_kept_by_all_four(column: Column, good: Rows, bad: Rows) -> None:
    bad = [value for value in bad if value != 2**64]  # no Arrow type has it; the parser's own test does
    assert agree(column, [*good, *bad]) == [True] * len(good) + [False] * len(bad)
    assert unchecked(DataFrameSchema({"x": column})) == []


TYPES = ["float32", "float64", "int8", "int64", "Int64", "uint8", "bool", "boolean", "str"]
TEXTS = st.text(st.sampled_from("abA1 .é\n"), max_size=4)
BUILTIN: dict[str, list[Callable[[Any, Any], Check]]] = {
    "number": [
        lambda a, b: Check.ge(a),
        lambda a, b: Check.gt(a),
        lambda a, b: Check.le(a),
        lambda a, b: Check.lt(a),
        lambda a, b: Check.in_range(min(a, b), max(a, b)),
        lambda a, b: Check.in_range(min(a, b), max(a, b) + 1, include_min=False),
        lambda a, b: Check.in_range(min(a, b), max(a, b) + 1, include_max=False),
        lambda a, b: Check.isin([a, b]),
        lambda a, b: Check.notin([a, b]),
        lambda a, b: Check.eq(a),
        lambda a, b: Check.ne(a),
    ],
    "text": [
        lambda a, b: Check.isin([a, b]),
        lambda a, b: Check.notin([a, b]),
        lambda a, b: Check.eq(a),
        lambda a, b: Check.ne(a),
        lambda a, b: Check.str_startswith(a),
        lambda a, b: Check.str_endswith(a),
        lambda a, b: Check.str_contains(re.escape(a) + ".?"),
        lambda a, b: Check.str_matches(re.escape(a) + "$"),
        lambda a, b: Check.str_length(*sorted((len(a), len(b)))),
    ],
}


def _values(kind: str) -> st.SearchStrategy[Any]:
    if kind == "str":
        return TEXTS
    if kind in ("bool", "boolean"):
        return st.booleans()
    if kind.startswith("float"):
        near = st.sampled_from([0.0, 0.1, 0.3, 1.0, 100.1])
        return near | near.map(lambda v: float(np.float32(v))) | st.floats(-200, 200)
    if kind in {"int64", "Int64"}:
        return st.integers(-3, 3) | st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63 - 1])
    return st.integers(-3, 3) | st.sampled_from([127, 128, 255, 256, -128, -129])


@st.composite
def contracts(draw: st.DrawFn) -> tuple[Column, Rows]:
    kind = draw(st.sampled_from(TYPES))
    # Rules and rows that share values: two rules on one of them are where shells part.
    shared = draw(st.lists(_values(kind), min_size=1, max_size=3))
    values = st.sampled_from(shared) | _values(kind)
    rules = BUILTIN["text" if kind == "str" else "number"]
    if kind in ("bool", "boolean"):
        rules = rules[7:]
    made = [draw(st.sampled_from(rules))(draw(values), draw(values)) for _ in range(draw(st.integers(0, 2)))]
    return Column(kind, made, nullable=draw(st.booleans())), draw(
        st.lists(values | st.none(), min_size=1, max_size=5)
    )


@examples(30, suppress_health_check=[HealthCheck.too_slow])
@given(contracts())
def test_any_contract_has_the_same_verdict_everywhere(given_: tuple[Column, Rows]) -> None:
    column, values = given_
    try:
        agree(column, values)
    except InvalidInput as impossible:
        assert "exclude each other" in str(impossible)
        assert not any(training(column, [v for v in values if v is not None]))


# --- what no request is held to is told -------------------------------------------------------------------

UNTOLD: list[tuple[Column, str]] = [
    (Column("float32", Check(lambda s: s > 0, name="positive")), "rule positive holds in training only"),
    (Column("float32", Check(lambda v: v > 0, element_wise=True)), "<lambda> holds in training only"),
    (Column("float32", Check.ge(0, element_wise=True)), "holds in training only"),
    (Column("float32", Check.unique_values_eq([1.0])), "unique_values_eq.*training only"),
    (Column("float32", Check.ge(0, raise_warning=True)), "only warns"),
    (Column("str", Check.ge("a")), "compares text"),
    (Column("float32", Check.str_length(1, 2)), "is for text"),
    (Column("str", unique=True), "unique holds in training only"),
]


@pytest.mark.parametrize(("column", "words"), UNTOLD)
def test_a_rule_that_the_endpoint_cannot_keep_is_told_by_column(column: Column, words: str) -> None:
    (sentence,) = unchecked(DataFrameSchema({"size": column}))
    assert sentence.startswith("column 'size'")
    assert re.search(words, sentence), sentence
    (made,) = columns_of(DataFrameSchema({"size": column}))
    bare = made.model_copy(update={"dtype": ""})
    assert bare == served.Column(name="size", type=made.type), "it must not be half kept either"


def test_rules_across_columns_are_told() -> None:
    def ordered(frame: pd.DataFrame) -> Any:
        return frame["a"] < frame["b"]

    schema = DataFrameSchema(
        {"a": Column("float32"), "b": Column("float32")}, checks=Check(ordered), unique=["a", "b"]
    )
    assert [s.split(":")[0] for s in unchecked(schema)] == ["all columns", "all columns"]
    assert "ordered" in unchecked(schema)[0]


def test_a_function_that_is_named_like_a_rule_is_not_taken_for_it() -> None:
    def isin(values: pd.Series[Any]) -> Any:
        return values.isin(["a"])

    schema = DataFrameSchema({"x": Column("str", Check(isin, statistics={"allowed_values": ["b"]}))})
    assert columns_of(schema)[0].categories is None
    assert len(unchecked(schema)) == 1


REFUSED: list[tuple[dict[Any, Column], str]] = [
    ({"_row": Column("float32")}, "name that is taken"),
    ({"_prediction": Column("float32")}, "name that is taken"),
    ({"": Column("float32")}, "name that is taken"),
    ({"a\nb": Column("float32")}, "control character"),
    ({"a\tb": Column("float32")}, "control character"),
    ({"a\ud800": Column("float32")}, "control character"),
    ({1: Column("float32")}, "named by int"),
    ({"a.*": Column("float32", regex=True)}, "pattern of names"),
    ({"a": Column("float32", default=1.0)}, "has a default"),
    ({"a": Column("float32", Check.ge(math.inf))}, "bound inf"),
    ({"a": Column("float32", Check.ge("a"))}, "no number"),
    ({"a": Column("str", [Check.isin(["a"]), Check.isin(["b"])])}, "exclude each other"),
    ({"a": Column("int64", [Check.isin([1]), Check.eq(2)])}, "exclude each other"),
    ({"a": Column("str", [Check.str_length(1, 2), Check.str_length(3, 4)])}, "exclude each other"),
    ({"a": Column("str", Check.isin(["a"]), metadata={"unknown_category": "accept"})}, "take one"),
]


@pytest.mark.parametrize(("columns", "words"), REFUSED)
def test_a_contract_that_cannot_mean_one_thing_is_refused(columns: dict[Any, Column], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        columns_of(DataFrameSchema(columns))


def test_all_that_is_wrong_is_said_at_once() -> None:
    schema = DataFrameSchema({"_row": Column("float32"), "b": Column("timedelta64[ns]")})
    with pytest.raises(InvalidInput, match=r"'_row'.*\n.*'b'"):
        columns_of(schema)


# --- what pandera would do for the check alone ----------------------------------------------------------


def test_rows_are_not_dropped_converted_or_filled_for_the_check() -> None:
    frame = pd.DataFrame({"a": ["1", "2"]})
    loose = DataFrameSchema({"a": Column("int64", coerce=True)}, coerce=True)
    assert [v.column for v in check(frame, loose)] == ["a"]
    assert check(pd.DataFrame({"a": [1.5]}), loose)
    assert not check(pd.DataFrame({"a": [1.0]}), loose)
    assert not check(pd.DataFrame({"a": np.array([1], "int32")}), loose)
    dropping = DataFrameSchema({"a": Column("int64", Check.ge(2))}, drop_invalid_rows=True)
    assert check(pd.DataFrame({"a": [1, 2]}), dropping)
    optional = DataFrameSchema({"a": Column("int64"), "b": Column("int64", required=False)})
    assert [v.rule for v in check(pd.DataFrame({"a": [1]}), optional)] == ["column present"]


def test_a_nullable_whole_number_may_be_what_pandas_made_of_it() -> None:
    schema = DataFrameSchema(
        {"a": Column("int32", Check.ge(0), nullable=True), "b": Column("bool", nullable=True)}
    )
    good = pd.DataFrame({"a": [1.0, np.nan], "b": [True, None]})
    assert not check(good, schema)
    assert [v.column for v in check(good.assign(a=[1.5, np.nan]), schema)] == ["a"]
    assert [v.rule for v in check(good.assign(a=[-1.0, np.nan]), schema)] == ["greater_than_or_equal_to(0)"]
    assert check(good.assign(a=[2.0**31, np.nan]), schema)


def test_a_number_that_a_float32_cannot_hold_breaks_every_contract() -> None:
    schema = DataFrameSchema({"a": Column("float64")})
    assert not check(pd.DataFrame({"a": [3.4e38]}), schema)
    assert [v.rule for v in check(pd.DataFrame({"a": [3.5e38]}), schema)] == ["finite"]


# --- words and documents --------------------------------------------------------------------------------

WORDS: list[tuple[Column, str]] = [
    (Column("float32", Check.gt(0)), "a finite number above 0"),
    (Column("float32", Check.in_range(0, 1)), "a finite number between 0 and 1"),
    (Column("float32", [Check.ge(0), Check.lt(1)]), "a finite number of at least 0 and below 1"),
    (Column("float32", [Check.gt(0), Check.le(0.5)]), "a finite number above 0 and at most 0.5"),
    (Column("int64", Check.isin([3, 1])), "one of 1, 3"),
    (Column("int64", Check.ne(3), nullable=True), "a whole number other than 3, or null"),
    (Column("str", Check.str_length(1, 3)), "text of 1 to 3 characters"),
    (Column("str", Check.str_length(max_value=3)), "text of at most 3 characters"),
    (Column("str", Check.str_matches("a+")), "text that begins with a match of 'a+'"),
    (Column("bool", Check.eq(True)), "one of true"),
]


@pytest.mark.parametrize(("column", "words"), WORDS)
def test_a_client_is_told_what_is_allowed(column: Column, words: str) -> None:
    assert allowed(columns_of(DataFrameSchema({"x": column}))[0]) == words


def test_the_rules_are_in_the_endpoints_description() -> None:
    def of(*rules: Check, kind: str = "float32") -> dict[str, Any]:
        return json_schema(columns_of(DataFrameSchema({"x": Column(kind, list(rules))}))[0])

    assert of(Check.gt(0), Check.lt(1)).items() >= {
        "minimum": 0, "exclusiveMinimum": True, "maximum": 1, "exclusiveMaximum": True,
    }.items()  # fmt: skip
    assert "exclusiveMinimum" not in of(Check.ge(0))
    assert of(Check.isin([1, 2]), kind="int64")["enum"] == [1, 2]
    assert of(Check.str_length(1, 9), kind="str").items() >= {"minLength": 1, "maxLength": 9}.items()
    assert "'^a'" in of(Check.str_matches("^a"), kind="str")["description"]
    assert "other than 'b'" in of(Check.ne("b"), kind="str")["description"]
