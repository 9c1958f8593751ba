"""What one column admits: as a type that msgspec checks in C while it parses, and as a sentence."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from mlops.spec.schema import Column

FLOAT32_MAX = 3.4028234663852886e38
"""Beyond it a float32 is infinite; integers beyond 2**24 are rounded, as they were in training."""


def wire_type(column: Column) -> Any:
    """The msgspec type of a cell: strict, so that "3" is no number and true is no 1."""
    kind: Any
    if column.type == "string":
        refuse = column.categories is not None and column.unknown_category == "refuse"
        kind = Literal[tuple(column.categories or ())] if refuse else str
    elif column.type == "boolean":
        kind = bool
    else:
        low, high = _bounds(column)
        # An integer is read as a float without fraction: JSON has one kind of number, and 3.0 is 3.
        whole = 1.0 if column.type == "integer" else None
        kind = Annotated[float, Meta(ge=low, le=high, multiple_of=whole)]
    return kind | None if column.nullable else kind


def allowed(column: Column) -> str:
    """What a client may send, in words."""
    if column.type == "string":
        text = "text"
        if column.categories is not None and column.unknown_category == "refuse":
            text = "one of " + ", ".join(repr(c) for c in column.categories[:50])
            text += ", …" if len(column.categories) > 50 else ""
    elif column.type == "boolean":
        text = "true or false"
    else:
        text = "a whole number" if column.type == "integer" else "a finite number"
        if column.minimum is not None and column.maximum is not None:
            text += f" between {column.minimum:g} and {column.maximum:g}"
        elif column.minimum is not None:
            text += f" of at least {column.minimum:g}"
        elif column.maximum is not None:
            text += f" of at most {column.maximum:g}"
    return f"{text}, or null" if column.nullable else text


def json_schema(column: Column) -> dict[str, Any]:
    """The column as JSON Schema (the subset that OpenAPI 2 and 3.0 share)."""
    schema: dict[str, Any] = {"type": column.type}
    if column.type in ("number", "integer"):
        if column.minimum is not None:
            schema["minimum"] = column.minimum
        if column.maximum is not None:
            schema["maximum"] = column.maximum
        if column.type == "number":
            schema["format"] = "double"
    if column.categories is not None and column.unknown_category == "refuse":
        schema["enum"] = list(column.categories)
    if column.description:
        schema["description"] = column.description
    return schema


def _bounds(column: Column) -> tuple[float, float]:
    low = -FLOAT32_MAX if column.minimum is None else max(column.minimum, -FLOAT32_MAX)
    high = FLOAT32_MAX if column.maximum is None else min(column.maximum, FLOAT32_MAX)
    return low, high
