"""What one column admits on the wire, in words and in JSON Schema: each rule on its line and beside it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mlops.serving.score.columns import SHOWN, allowed, json_schema, wire_type
from mlops.spec.schema import Column


def column(kind: str, **fields: Any) -> Column:
    return Column.model_validate({"name": "x", "type": kind, **fields})


def takes(given: Column, text: str, *, lenient: bool = False) -> bool:
    try:
        msgspec.json.decode(text.encode(), type=wire_type(given, lenient=lenient))
    except msgspec.ValidationError:
        return False
    return True


KNOWN = {"categories": ["a", "b"]}


@pytest.mark.parametrize(
    ("kind", "fields", "legal", "refused"),
    [
        ("string", {}, ['""', '"z"'], ["1", "true", "null"]),
        ("string", {**KNOWN, "unknown_category": "refuse"}, ['"a"', '"b"'], ['"c"', '""', "1"]),
        ("string", {**KNOWN, "unknown_category": "accept"}, ['"a"', '"c"'], ["1"]),
        ("string", {"unknown_category": "refuse"}, ['"c"'], ["1"]),
        ("string", {"min_length": 2, "max_length": 3}, ['"ab"', '"abc"'], ['"a"', '"abcd"']),
        ("string", {"nullable": True}, ["null", '"a"'], ["1"]),
        ("string", {**KNOWN, "unknown_category": "refuse", "nullable": True}, ["null", '"a"'], ['"c"']),
        ("boolean", {}, ["true", "false"], ["1", "0", '"true"', "null"]),
        ("integer", {"dtype": "int8"}, ["-128", "127"], ["-129", "128", "1.5", "true", '"1"', "null"]),
        ("integer", {"dtype": "uint8"}, ["0", "255"], ["-1", "256"]),
        ("integer", {"minimum": 2, "maximum": 4}, ["2", "4"], ["1", "5"]),
        (
            "integer",
            {"minimum": 2, "maximum": 4, "exclusive_minimum": True, "exclusive_maximum": True},
            ["3"],
            ["2", "4"],
        ),
        ("integer", {}, [str(-(2**63)), str(2**63 - 1)], [str(2**63), str(-(2**63) - 1)]),
        ("integer", {"dtype": "uint64"}, ["0", str(2**64 - 1)], ["-1"]),
        (
            "integer",
            {"dtype": "uint64", "minimum": 2**63 + 5},
            [str(2**63 + 5), str(2**64 - 1)],
            [str(2**63 - 2)],
        ),
        ("integer", {"dtype": "uint64", "maximum": 2**63}, [str(2**63)], ["-1"]),
        ("integer", {"dtype": "int64", "maximum": 2**62}, [str(2**62)], [str(2**62 + 1)]),
        ("number", {}, ["1", "-1.5", "3.4e38"], ["1e39", "-1e39", '"1"', "true", "null"]),
        ("number", {"minimum": 0, "maximum": 1}, ["0", "1"], ["-0.1", "1.1"]),
        ("number", {"minimum": 0, "exclusive_minimum": True}, ["0.1"], ["0"]),
        ("vector", {"size": 2}, ["[1, 2.5]"], ['["a"]', "1", "null"]),
        ("list", {"items": "string"}, ['["a"]', "[]"], ["[1]", '"a"']),
        ("datetime", {}, ['"2024-03-01"'], ["1"]),
    ],
)
def test_the_wire_takes_what_the_column_admits(
    kind: str, fields: dict[str, Any], legal: list[str], refused: list[str]
) -> None:
    given = column(kind, **fields)
    assert [text for text in legal if not takes(given, text)] == []
    assert [text for text in refused if takes(given, text)] == []


def test_a_whole_number_may_be_a_float_only_where_that_is_said_and_it_is_exact() -> None:
    given = column("integer", minimum=2, maximum=2**60)
    assert not takes(given, "3.0")
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"3.0", type=wire_type(given))
    for text in ("3", str(2**53 + 1)):
        found = msgspec.json.decode(text.encode(), type=wire_type(given, lenient=True))
        assert (type(found), found) == (int, int(text)), "one that is written whole stays exact"
    for text, legal in (
        ("3.0", True),
        ("2.0", True),
        ("1.0", False),
        ("3.5", False),
        (f"{2**53}.0", True),
        (f"{2**53 + 2}.0", False),
        ('"3"', False),
    ):
        assert takes(given, text, lenient=True) == legal, text
    below = column("integer", dtype="int64")
    assert takes(below, f"-{2**53}.0", lenient=True) and not takes(below, f"-{2**53 + 2}.0", lenient=True)
    assert not takes(column("integer", maximum=4), "5.0", lenient=True)


RULES = [{"kind": "starts_with", "text": "a"}, {"kind": "ends_with", "text": "z"}]
MATCHES = [{"kind": "matches", "text": "a+"}, {"kind": "contains", "text": "b"}]


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("string", {}, "text"),
        ("string", {"min_length": 2}, "text of at least 2 characters"),
        ("string", {"max_length": 3}, "text of at most 3 characters"),
        ("string", {"min_length": 2, "max_length": 3}, "text of 2 to 3 characters"),
        ("string", {"min_length": 0, "max_length": 3}, "text of 0 to 3 characters"),
        ("string", {**KNOWN, "unknown_category": "refuse"}, "one of 'a', 'b'"),
        ("string", {**KNOWN, "unknown_category": "accept"}, "text"),
        ("string", {"unknown_category": "refuse"}, "text"),
        ("string", {"texts": RULES}, "text that starts with 'a' that ends with 'z'"),
        ("string", {"texts": MATCHES}, "text that begins with a match of 'a+' with a match of 'b'"),
        ("string", {"excluded": ["?"]}, "text other than '?'"),
        ("string", {"excluded": ["?"], "nullable": True}, "text other than '?', or null"),
        ("boolean", {}, "true or false"),
        ("boolean", {"values": [True]}, "one of true"),
        ("integer", {}, "a whole number"),
        ("number", {}, "a finite number"),
        ("number", {"nullable": True}, "a finite number, or null"),
        ("number", {"values": [1.5, 2.5]}, "one of 1.5, 2.5"),
        ("integer", {"minimum": 0}, "a whole number of at least 0"),
        ("integer", {"maximum": 0}, "a whole number of at most 0"),
        ("integer", {"minimum": 0, "exclusive_minimum": True}, "a whole number above 0"),
        ("integer", {"maximum": 0, "exclusive_maximum": True}, "a whole number below 0"),
        ("integer", {"minimum": 0, "maximum": 9}, "a whole number between 0 and 9"),
        (
            "integer",
            {"minimum": 0, "maximum": 9, "exclusive_minimum": True},
            "a whole number above 0 and at most 9",
        ),
        (
            "integer",
            {"minimum": 0, "maximum": 9, "exclusive_maximum": True},
            "a whole number of at least 0 and below 9",
        ),
        ("vector", {"size": 3}, "a list of 3 finite numbers"),
    ],
)
def test_a_client_is_told_what_it_may_send(kind: str, fields: dict[str, Any], words: str) -> None:
    assert allowed(column(kind, **fields)) == words


def test_a_sentence_lists_fifty_values() -> None:
    assert allowed(column("integer", values=list(range(SHOWN)))).endswith(", 49")
    assert allowed(column("integer", values=list(range(SHOWN + 1)))).endswith(", 49, …")


@pytest.mark.parametrize(
    ("kind", "fields", "wanted"),
    [
        ("string", {}, {"type": "string"}),
        ("boolean", {"description": "late?"}, {"type": "boolean", "description": "late?"}),
        ("integer", {"minimum": 0, "maximum": 0}, {"type": "integer", "minimum": 0, "maximum": 0}),
        ("number", {}, {"type": "number", "format": "double"}),
        (
            "integer",
            {"maximum": 1, "exclusive_maximum": True},
            {"type": "integer", "maximum": 1, "exclusiveMaximum": True},
        ),
        (
            "integer",
            {"minimum": 1, "exclusive_minimum": True},
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
        ),
        (
            "number",
            {"minimum": 0, "maximum": 1, "exclusive_minimum": True, "exclusive_maximum": True},
            {
                "type": "number",
                "format": "double",
                "minimum": 0,
                "maximum": 1,
                "exclusiveMinimum": True,
                "exclusiveMaximum": True,
            },
        ),
        (
            "string",
            {**KNOWN, "unknown_category": "refuse", "min_length": 1, "max_length": 2},
            {"type": "string", "enum": ["a", "b"], "minLength": 1, "maxLength": 2},
        ),
        ("string", KNOWN, {"type": "string"}),
        ("integer", {"values": [1, 2]}, {"type": "integer", "enum": [1, 2]}),
        (
            "string",
            {"description": "a code", "excluded": ["?"]},
            {"type": "string", "description": "a code Must be text other than '?'."},
        ),
        (
            "string",
            {"texts": RULES[:1]},
            {"type": "string", "description": "Must be text that starts with 'a'."},
        ),
        (
            "vector",
            {"size": 2, "description": "where"},
            {
                "type": "array",
                "items": {"type": "number", "format": "double"},
                "minItems": 2,
                "maxItems": 2,
                "description": "where",
            },
        ),
        ("list", {"items": "string"}, {"type": "array", "items": {"type": "string"}}),
    ],
)
def test_the_column_as_json_schema(kind: str, fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert json_schema(column(kind, **fields)) == wanted


def test_a_moment_is_described_by_its_author_and_by_its_rule() -> None:
    described = json_schema(column("datetime", description="when it left"))
    assert described["description"].startswith("when it left a date or time")
    assert json_schema(column("datetime"))["description"].startswith("a date or time")
