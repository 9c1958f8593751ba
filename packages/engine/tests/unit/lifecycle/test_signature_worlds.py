"""A change breaks clients exactly when a value that the live column takes is refused by the new one: every
pair of small columns, against an oracle that tries the values."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from mlops.lifecycle.decide.signature import breaking_changes
from mlops.spec import cells
from mlops.spec.schema import Column, ModelSchema


def schema(*columns: dict[str, Any], **fields: Any) -> ModelSchema:
    known = {"model": "freight", "task": "binary", "classes": ["a", "b"], **fields}
    return ModelSchema.model_validate({**known, "columns": list(columns)})


def breaks(live: dict[str, Any], new: dict[str, Any]) -> bool:
    return bool(breaking_changes(schema({"name": "x", **live}), schema({"name": "x", **new})))


# --- numbers ------------------------------------------------------------------------------------------------

TYPES = ("integer", "number")
BOUNDS = (None, 0, 1)
NUMBERS = [
    {"type": kind, "minimum": low, "maximum": high, "nullable": nullable}
    for kind, low, high, nullable in itertools.product(TYPES, BOUNDS, (None, 1, 2), (False, True))
]


def takes_number(column: dict[str, Any], value: float | None) -> bool:
    if value is None:
        return bool(column["nullable"])
    if column["type"] == "integer" and value != int(value):
        return False
    low, high = column["minimum"], column["maximum"]
    return (low is None or value >= low) and (high is None or value <= high)


def test_every_pair_of_number_columns():
    values = (None, -1, 0, 0.5, 1, 1.5, 2, 3)
    for live, new in itertools.product(NUMBERS, NUMBERS):
        lost = [v for v in values if takes_number(live, v) and not takes_number(new, v)]
        # A declared type is a promise of its own: from number to integer breaks, also where no value is lost.
        retyped = (live["type"], new["type"]) == ("number", "integer")
        assert breaks(live, new) == (bool(lost) or retyped), (live, new, lost)


EXCLUSIVE = [
    {"type": "number", "minimum": 0, "maximum": 1, "exclusive_minimum": low, "exclusive_maximum": high}
    for low, high in itertools.product((False, True), repeat=2)
]


@pytest.mark.parametrize("live", EXCLUSIVE)
@pytest.mark.parametrize("new", EXCLUSIVE)
def test_a_bound_that_no_longer_counts_itself(live: dict[str, Any], new: dict[str, Any]):
    tighter = (new["exclusive_minimum"] and not live["exclusive_minimum"]) or (
        new["exclusive_maximum"] and not live["exclusive_maximum"]
    )
    assert breaks(live, new) == tighter


def test_a_range_of_a_number_that_has_a_narrower_type_is_its_own():
    whole = {"type": "integer", "dtype": "int64", "minimum": 0, "maximum": 9}
    assert not breaks(whole, {**whole, "dtype": "int8"})
    assert breaks({**whole, "maximum": 200}, {**whole, "maximum": 200, "dtype": "int8"})
    real = {"type": "number", "dtype": "float32", "minimum": 0.5}
    assert not breaks({**real, "exclusive_minimum": True}, real)
    assert breaks(real, {**real, "exclusive_minimum": True})


def test_a_whole_number_that_may_be_any_number_keeps_its_ends():
    """The ends of an integer column are legal themselves, whatever its type's range makes of them."""
    for dtype in ("", "int64"):
        whole = {"type": "integer", "dtype": dtype, "minimum": 0, "maximum": 9}
        number = {"type": "number", "minimum": 0, "maximum": 9}
        assert not breaks(whole, number)
        assert breaks(whole, {**number, "exclusive_minimum": True})
        assert breaks(whole, {**number, "exclusive_maximum": True})


def test_a_type_that_was_not_known_is_any_whole_number():
    assert not breaks({"type": "integer"}, {"type": "integer", "dtype": "int64"})
    assert breaks({"type": "integer"}, {"type": "integer", "dtype": "int32"})


def test_each_way_in_which_a_column_is_narrower_is_told():
    live = {"name": "x", "type": "string", "nullable": True}
    new = {
        "name": "x",
        "type": "integer",
        "minimum": 1,
        "maximum": 2,
        "values": [1, 2],
        "excluded": [5],
        "categories": ["a"],
        "unknown_category": "refuse",
    }
    found = breaking_changes(schema(live), schema(new))
    assert len(found) == 7, found


# --- texts --------------------------------------------------------------------------------------------------

CATEGORIES = (None, ["a"], ["a", "b"], ["b", "c"])
TEXTS = [
    {"type": "string", "categories": categories, "unknown_category": unknown, "nullable": nullable}
    for categories, unknown, nullable in itertools.product(CATEGORIES, ("accept", "refuse"), (False, True))
]


def takes_text(column: dict[str, Any], value: str | None) -> bool:
    if value is None:
        return bool(column["nullable"])
    known = column["categories"]
    return known is None or column["unknown_category"] == "accept" or value in known


def test_every_pair_of_text_columns():
    for live, new in itertools.product(TEXTS, TEXTS):
        lost = [v for v in (None, "a", "b", "c", "z") if takes_text(live, v) and not takes_text(new, v)]
        assert breaks(live, new) == bool(lost), (live, new, lost)


LENGTHS = [
    {"type": "string", "min_length": low, "max_length": high}
    for low, high in itertools.product((None, 0, 1, 2), (None, 2, 3))
]


def test_every_pair_of_lengths():
    def takes(column: dict[str, Any], size: int) -> bool:
        low, high = column["min_length"], column["max_length"]
        return (low is None or size >= low) and (high is None or size <= high)

    for live, new in itertools.product(LENGTHS, LENGTHS):
        lost = [size for size in range(6) if takes(live, size) and not takes(new, size)]
        assert breaks(live, new) == bool(lost), (live, new, lost)


SETS = [
    {"type": "integer", "values": values, "excluded": excluded}
    for values, excluded in itertools.product((None, [1], [1, 2], [2, 3]), ([], [5], [5, 6]))
]


def test_every_pair_of_legal_and_excluded_values():
    for live, new in itertools.product(SETS, SETS):
        fewer = new["values"] is not None and (
            live["values"] is None or bool(set(live["values"]) - set(new["values"]))
        )
        more = bool(set(new["excluded"]) - set(live["excluded"]))
        assert breaks(live, new) == (fewer or more), (live, new)


# --- moments, lists, vectors and images ---------------------------------------------------------------------

DAYS = (None, "2024-01-01", "2024-01-01T12:00:00", "2024-02-01")
MOMENTS = [
    {"type": "datetime", "earliest": first, "latest": last} for first, last in itertools.product(DAYS, DAYS)
]
LISTS = [
    *({"type": "vector", "size": size, "items": items} for size in (2, 3) for items in ("number", "string")),
    *(
        {"type": "list", "items": items, "min_length": low, "max_length": high}
        for items, low, high in itertools.product(("number", "string"), (None, 1, 2), (None, 2, 3))
    ),
]


def legal(column: dict[str, Any], values: list[Any]) -> list[bool]:
    return list(map(cells.legal(Column.model_validate({"name": "x", **column})), values))


def loses(live: dict[str, Any], new: dict[str, Any], values: list[Any]) -> bool:
    return any(a and not b for a, b in zip(legal(live, values), legal(new, values), strict=True))


def test_every_pair_of_moments():
    days = ["1700-01-01", "2023-12-31", "2024-01-01", "2024-01-01T12:00:00", "2024-01-15", "2024-02-01"]
    values = [*days, "2200-01-01"]
    for live, new in itertools.product(MOMENTS, MOMENTS):
        if loses(live, new, values):
            assert breaks(live, new), (live, new)
        later = (new["earliest"] or "") > (live["earliest"] or "")
        sooner = (new["latest"] or "9") < (live["latest"] or "9")
        assert breaks(live, new) == (later or sooner), (live, new)


def test_every_pair_of_lists_and_vectors():
    """A vector of another size is refused for every client, and it is still a vector."""
    values = [value * size for value in ([1.0], ["a"]) for size in range(5)]
    for live, new in itertools.product(LISTS, LISTS):
        retyped = live["type"] != new["type"]
        assert breaks(live, new) == (loses(live, new, values) or retyped), (live, new)


@pytest.mark.parametrize(
    ("live", "new", "broken"),
    [
        ({"width": 32}, {"width": 64}, True),
        ({"height": 32}, {"height": 64}, True),
        ({}, {"height": 64}, True),
        ({"width": 32, "height": 32}, {"width": 32}, False),
        ({"mode": "L"}, {"mode": "RGB"}, True),
        ({}, {"mode": "L"}, True),
        ({"mode": "L"}, {}, False),
        ({"max_length": 2 * cells.MOST_BYTES}, {}, True),
        ({"max_length": 9}, {}, False),
        ({}, {"max_length": 2 * cells.MOST_BYTES}, False),
        ({}, {"max_length": cells.MOST_BYTES - 1}, True),
    ],
)
def test_images(live: dict[str, Any], new: dict[str, Any], broken: bool):
    assert breaks({"type": "image", **live}, {"type": "image", **new}) == broken


@pytest.mark.parametrize(
    ("kind", "unit"), [("image", "bytes"), ("list", "entries"), ("string", "characters")]
)
def test_a_length_is_told_in_its_unit(kind: str, unit: str):
    live = {"name": "x", "type": kind, "max_length": 9}
    found = breaking_changes(schema(live), schema({**live, "min_length": 2, "max_length": 8}))
    assert [f"needs 2 {unit}" in found[0], f"takes 8 {unit}" in found[1], len(found)] == [True, True, 2]


def test_text_that_has_no_longest_is_longer_than_any_image():
    assert breaks({"type": "string"}, {"type": "string", "max_length": 2 * cells.MOST_BYTES})


# --- columns, task and classes ------------------------------------------------------------------------------

X = {"name": "x", "type": "number"}
Y = {"name": "y", "type": "string"}


def numbers(*outputs: str) -> ModelSchema:
    return schema(X, task="regression", classes=[], outputs=list(outputs))


@pytest.mark.parametrize(
    ("live", "new", "broken"),
    [
        (schema(X, Y), schema(Y, X), False),
        (schema({**X, "nullable": True}), schema({**X, "nullable": True}, Y), True),
        (schema(X), schema(X, {**Y, "nullable": True}), False),
        (schema(X), schema(X, Y), True),
        (schema(X, Y), schema(X), True),
        (schema(X, {**Y, "nullable": True}), schema(X), True),
        (schema(X), schema({**X, "name": "z"}), True),
        (schema(X), schema(X, classes=["b", "a"]), True),
        (schema(X), schema(X, classes=["a", "b", "c"]), True),
        (schema(X), schema(X, task="multiclass", classes=["a", "b"]), True),
        (schema(X), schema(X, task="regression", classes=[]), True),
        (schema(X), schema(X, threshold=0.3), False),
        (numbers(), numbers("low", "high"), True),
        (numbers("low", "high"), numbers("high", "low"), True),
        (numbers("low", "high"), numbers(), True),
        (numbers("low", "high"), numbers("low", "high"), False),
        (schema(X), schema({**X, "description": "minutes"}), False),
        (schema(X), schema({**X, "type": "string"}), True),
        (schema(X), schema({**X, "type": "boolean"}), True),
    ],
)
def test_columns_task_and_classes(live: ModelSchema, new: ModelSchema, broken: bool):
    assert bool(breaking_changes(live, new)) == broken


def test_other_values_of_an_answer_are_named():
    (found,) = breaking_changes(numbers(), numbers("low", "high"))
    assert "one number" in found and "low, high" in found


def test_a_changed_task_is_told_once():
    found = breaking_changes(schema(X), schema(X, task="regression", classes=[]))
    assert len(found) == 1


def test_a_rule_for_text_that_stays_is_no_change():
    rule = {"kind": "contains", "text": "a"}
    assert not breaks({"type": "string", "texts": [rule]}, {"type": "string", "texts": [rule]})
    assert breaks({"type": "string"}, {"type": "string", "texts": [rule]})
    assert not breaks({"type": "string", "texts": [rule]}, {"type": "string"})
