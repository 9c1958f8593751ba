"""What one column admits: as a type that msgspec checks in C while it parses, and as a sentence."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from mlops.spec import cells
from mlops.spec.admits import EXACT, RICH, real_bounds, whole_bounds
from mlops.spec.schema import Column

SHOWN = 50
"""Legal values that a sentence lists."""
_INT64 = 2**63
_TEXT = {
    "matches": "that begins with a match of",
    "contains": "with a match of",
    "starts_with": "that starts with",
    "ends_with": "that ends with",
}


def wire_type(column: Column, *, lenient: bool = False) -> Any:
    """The msgspec type of a cell: strict, so that "3" is no number and true is no 1.

    With `lenient` a whole number may also be written as a float (3.0): as exactly as a float has it. What
    msgspec cannot express is in `mlops.spec.admits.value_rule`.
    """
    kind: Any
    if column.type == "string":
        listed = column.categories is not None and column.unknown_category == "refuse"
        if listed:
            kind = Literal[tuple(column.categories or ())]
        else:
            kind = Annotated[str, Meta(min_length=column.min_length, max_length=column.max_length)]
    elif column.type in RICH:
        kind = cells.wire(column)
    elif column.type == "boolean":
        kind = bool
    elif column.type == "integer":
        low, high = whole_bounds(column)
        # msgspec's own bounds are those of 64 bits with a sign.
        least, most = min(low, _INT64 - 1), max(high, -_INT64)
        kind = Annotated[int, Meta(ge=least, le=most if most < _INT64 else None)]
        if lenient:
            first, last = float(max(least, -EXACT)), float(min(most, EXACT))
            kind |= Annotated[float, Meta(ge=first, le=last, multiple_of=1.0)]
    else:
        first, last = real_bounds(column)
        kind = Annotated[float, Meta(ge=first, le=last)]
    return kind | None if column.nullable else kind


def allowed(column: Column) -> str:
    """What a client may send, in words."""
    if column.type in RICH:
        text = cells.words(column)
    elif column.values is not None:
        text = "one of " + _joined(column.values)
    elif column.type == "string":
        text = _allowed_text(column)
    elif column.type == "boolean":
        text = "true or false"
    else:
        text = "a whole number" if column.type == "integer" else "a finite number"
        text += _range(column)
    if column.excluded:
        text += " other than " + _joined(column.excluded)
    return f"{text}, or null" if column.nullable else text


def _allowed_text(column: Column) -> str:
    if column.categories is not None and column.unknown_category == "refuse":
        text = "one of " + _joined(column.categories)
    elif column.min_length is not None and column.max_length is not None:
        text = f"text of {column.min_length} to {column.max_length} characters"
    elif column.min_length is not None:
        text = f"text of at least {column.min_length} characters"
    elif column.max_length is not None:
        text = f"text of at most {column.max_length} characters"
    else:
        text = "text"
    return text + "".join(f" {_TEXT[rule.kind]} {rule.text!r}" for rule in column.texts)


def _range(column: Column) -> str:
    low, high = column.minimum, column.maximum
    least = "above" if column.exclusive_minimum else "of at least"
    most = "below" if column.exclusive_maximum else "of at most"
    if low is not None and high is not None:
        if not column.exclusive_minimum and not column.exclusive_maximum:
            return f" between {low} and {high}"
        return f" {least} {low} and {most.removeprefix('of ')} {high}"
    if low is not None:
        return f" {least} {low}"
    return "" if high is None else f" {most} {high}"


def _joined(values: list[Any]) -> str:
    words = ", ".join(str(v).lower() if isinstance(v, bool) else repr(v) for v in values[:SHOWN])
    return words + (", …" if len(values) > SHOWN else "")


def json_schema(column: Column) -> dict[str, Any]:
    """The column as JSON Schema (the subset that OpenAPI 2 and 3.0 share).

    Rules that the subset lacks, or whose regular expressions are Python's, are in the description.
    """
    if column.type in RICH:
        made = cells.json_schema(column)
        told = [text for text in (column.description, str(made.get("description", ""))) if text]
        return {**made, "description": " ".join(told)} if told else made
    parts: dict[str, Any] = {
        "minimum": column.minimum,
        "maximum": column.maximum,
        "exclusiveMinimum": column.exclusive_minimum or None,
        "exclusiveMaximum": column.exclusive_maximum or None,
        "format": "double" if column.type == "number" else None,
        "enum": column.categories if column.unknown_category == "refuse" else column.values,
        "minLength": column.min_length,
        "maxLength": column.max_length,
    }
    about = [column.description] if column.description else []
    if column.texts or column.excluded:
        about.append(f"Must be {allowed(column)}.")
    if about:
        parts["description"] = " ".join(about)
    return {"type": column.type, **{key: value for key, value in parts.items() if value is not None}}
