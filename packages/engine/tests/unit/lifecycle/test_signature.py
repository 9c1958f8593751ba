"""A request that the live model took is taken by the next one: each rule that may only be loosened."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.lifecycle.decide.signature import breaking_changes
from mlops.spec.schema import Column, ModelSchema, TextRule

BASE: dict[str, dict[str, Any]] = {
    "number": {"type": "number", "dtype": "float32", "minimum": 0, "maximum": 9},
    "integer": {"type": "integer", "dtype": "int32", "values": [1, 2], "excluded": [5]},
    "text": {
        "type": "string",
        "min_length": 2,
        "max_length": 4,
        "excluded": ["?"],
        "texts": [{"kind": "contains", "text": "a"}],
    },
}


def changed(kind: str, **changes: Any) -> list[str]:
    live, new = (
        ModelSchema(
            model="one",
            task="regression",
            columns=[Column.model_validate({"name": "x", **BASE[kind], **some})],
        )
        for some in ({}, changes)
    )
    return breaking_changes(live, new)


TIGHTER: list[tuple[str, dict[str, Any], str]] = [
    ("number", {"exclusive_minimum": True}, "has the minimum 0"),
    ("number", {"exclusive_maximum": True}, "has the maximum 9"),
    ("number", {"minimum": 1}, "has the minimum 1"),
    ("number", {"maximum": 8}, "has the maximum 8"),
    ("number", {"values": [1.0]}, "takes 1.0 only"),
    ("number", {"excluded": [1.0]}, "no longer takes 1.0"),
    ("integer", {"dtype": "int8"}, "minimum -128"),
    ("integer", {"values": [1]}, "takes 1 only"),
    ("integer", {"excluded": [5, 6]}, "no longer takes 6"),
    ("text", {"min_length": 3}, "needs 3 characters"),
    ("text", {"max_length": 3}, "takes 3 characters"),
    ("text", {"excluded": ["?", "!"]}, "no longer takes !"),
    ("text", {"texts": [TextRule(kind="contains", text="b")]}, "contains 'b'"),
]
LOOSER: list[tuple[str, dict[str, Any]]] = [
    ("number", {}),
    ("number", {"minimum": -1, "exclusive_minimum": True}),
    ("number", {"minimum": None, "maximum": None}),
    ("number", {"dtype": "float64"}),
    ("integer", {"values": [1, 2, 3]}),
    ("integer", {"values": None, "excluded": []}),
    ("integer", {"dtype": "int64"}),
    ("integer", {"type": "number", "dtype": "float64"}),
    ("text", {"min_length": None, "max_length": None, "excluded": [], "texts": []}),
    ("text", {"min_length": 1, "max_length": 5}),
]


@pytest.mark.parametrize(("kind", "changes", "words"), TIGHTER)
def test_a_tighter_rule_breaks_clients(kind: str, changes: dict[str, Any], words: str) -> None:
    found = changed(kind, **changes)
    assert any(words in sentence for sentence in found), found


@pytest.mark.parametrize(("kind", "changes"), LOOSER)
def test_a_looser_rule_breaks_nobody(kind: str, changes: dict[str, Any]) -> None:
    assert changed(kind, **changes) == []


@pytest.mark.parametrize(
    "column",
    [
        {"type": "number", "dtype": "float32"},
        {"type": "boolean"},
        {"type": "string"},
        {"type": "string", "categories": ["a", "b"]},
        {"type": "string", "categories": ["a", "b"], "unknown_category": "refuse"},
    ],
    ids=str,
)
@pytest.mark.parametrize("nullable", [False, True])
def test_a_new_column_breaks_clients_unless_it_may_be_null(column: dict[str, Any], nullable: bool) -> None:
    base = Column.model_validate({"name": "x", **BASE["number"]})
    more = Column.model_validate({"name": "y", "nullable": nullable, **column})
    live, new = (ModelSchema(model="one", task="regression", columns=c) for c in ([base], [base, more]))
    assert len(breaking_changes(live, new)) == (0 if nullable else 1)
