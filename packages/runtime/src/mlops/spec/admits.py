"""What one column of `serving.json` admits: the one meaning that endpoint, batch and monitor share.

Training checks whole frames by the use case's own contract (pandera), of which these rules are made. A number
is compared as training saw it: rounded to the column's type. Nulls are asked for apart, by `nullable`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlops.spec import arrays
from mlops.spec.schema import Column, Value

Array = np.ndarray[Any, np.dtype[Any]]

FLOAT32_MAX = 3.4028234663852886e38
"""Beyond it a float32 is infinite, and a model's input may be one: no column admits more."""
RICH = ("datetime", "vector", "list", "image")
"""Types whose cells `mlops.spec.cells` knows."""
EXACT = 2**53
"""Whole numbers up to here are exact when they are written as a float."""
_UNBOUND = 2**63
_UNSIGNED = 2**64 - 1


def whole_bounds(column: Column) -> tuple[int, int]:
    """The lowest and the highest legal value of an integer column."""
    low, high = -_UNBOUND, _UNBOUND - 1
    if column.dtype:
        limits = np.iinfo(column.dtype)
        low, high = int(limits.min), int(limits.max)
    if column.minimum is not None:
        first = math.ceil(column.minimum)
        low = max(low, first + 1 if column.exclusive_minimum and first == column.minimum else first)
    if column.maximum is not None:
        last = math.floor(column.maximum)
        high = min(high, last - 1 if column.exclusive_maximum and last == column.maximum else last)
    return low, high


def real_bounds(column: Column) -> tuple[float, float]:
    """The lowest and the highest float64 that a column of numbers admits: those that round to a legal one."""
    kind = np.dtype(column.dtype or "float64").type
    largest = kind(min(FLOAT32_MAX, float(np.finfo(kind).max)))
    low, high = -largest, largest
    with np.errstate(over="ignore"):
        if column.minimum is not None:
            bound = kind(column.minimum)
            low = max(low, np.nextafter(bound, kind(np.inf)) if column.exclusive_minimum else bound)
        if column.maximum is not None:
            bound = kind(column.maximum)
            high = min(high, np.nextafter(bound, kind(-np.inf)) if column.exclusive_maximum else bound)
    return -_highest(-low), _highest(high)


def _highest(value: Any) -> float:
    """The highest float64 that rounds to `value` of a narrower type."""
    kind = type(value)
    exact = float(value)
    if kind is np.float64 or not math.isfinite(exact):
        return exact
    with np.errstate(over="ignore"):
        above = float(np.nextafter(value, kind(np.inf)))
        if not math.isfinite(above):  # the step that the largest number would make
            above = exact + (exact - float(np.nextafter(value, kind(-np.inf))))
        middle = (exact + above) / 2
        return middle if kind(middle) == value else math.nextafter(middle, -math.inf)


def rounding(column: Column) -> Callable[[Any], Any]:
    """A number as training saw it, as float64; for one value or an array of them."""
    if column.type != "number" or column.dtype in ("", "float64"):
        return lambda value: value
    kind = np.dtype(column.dtype)
    # `[()]` makes a scalar of an array without dimensions: it can be looked up in a set.
    return lambda value: np.asarray(value, dtype=np.float64).astype(kind).astype(np.float64)[()]


def text_rule(column: Column) -> Callable[[str], bool] | None:
    """Everything that is asked of a text; None when any text will do."""
    parts: list[Callable[[str], Any]] = []
    if column.categories is not None and column.unknown_category == "refuse":
        parts.append(frozenset(column.categories).__contains__)
    if column.excluded:
        refused = frozenset(column.excluded)
        parts.append(lambda text: text not in refused)
    shortest, longest = column.min_length, column.max_length
    if shortest is not None or longest is not None:
        low, high = shortest or 0, math.inf if longest is None else longest
        parts.append(lambda text: low <= len(text) <= high)
    parts += [_text_test(rule.kind, rule.text) for rule in column.texts]
    if not parts:
        return None
    return lambda text: all(part(text) for part in parts)


def _text_test(kind: str, text: str) -> Callable[[str], Any]:
    if kind == "matches":
        return re.compile(text).match
    if kind == "contains":
        return re.compile(text).search
    if kind == "starts_with":
        return lambda value: value.startswith(text)
    return lambda value: value.endswith(text)


def value_rule(column: Column) -> Callable[[Any], bool] | None:
    """What is asked of a value beyond its type, its bounds and its length; None when that is nothing."""
    if column.type in RICH:
        from mlops.spec import cells

        return cells.legal(column)
    if column.type == "string":
        rest = column.model_copy(update={"min_length": None, "max_length": None, "categories": None})
        return text_rule(rest)
    parts: list[Callable[[Any], bool]] = []
    rounded = rounding(column)
    if column.type == "integer":
        low, high = whole_bounds(column)
        if high > _UNBOUND - 1 or low > high:
            parts.append(lambda value: low <= value <= high)
    if column.values is not None:
        legal = frozenset(column.values)
        parts.append(lambda value: rounded(value) in legal)
    if column.excluded:
        barred = frozenset(column.excluded)
        parts.append(lambda value: rounded(value) not in barred)
    if not parts:
        return None
    return lambda value: all(part(value) for part in parts)


def refused(column: Column, values: Any) -> Array:
    """Which values of an Arrow array the column does not admit, as a mask; nulls and NaN are not refused.

    The array must have a type that `fits` the column.
    """
    if column.type in RICH:
        from mlops.spec import cells

        return np.asarray(cells.refused(column, values))
    if column.type == "string":
        return _refused_texts(column, values)
    if column.type == "boolean":
        if column.values is None and not column.excluded:
            return np.zeros(len(values), dtype=bool)
        given = np.array([v is not None and not _legal(column, v) for v in (False, True)])
        return np.asarray(given[arrays.flags(values).astype(np.int64)] & ~arrays.flags(values.is_null()))
    missing = arrays.flags(values.is_null(nan_is_null=True))
    numbers = arrays.numbers(values, values.type)
    if column.type == "integer":
        bad = _refused_whole(column, numbers)
    else:
        numbers = numbers.astype(np.float64)
        low, high = real_bounds(column)
        bad = ~((numbers >= low) & (numbers <= high))
        numbers = rounding(column)(np.where(bad, 0.0, numbers))
    if column.values is not None:
        bad |= ~_among(numbers, column.values)
    if column.excluded:
        bad |= _among(numbers, column.excluded)
    return np.asarray(bad & ~missing)


def _among(numbers: Array, values: Sequence[Any]) -> Array:
    if numbers.dtype.kind == "f":
        return np.isin(numbers, np.array(values, dtype=np.float64))
    limits = np.iinfo(numbers.dtype)
    some = [value for value in values if limits.min <= value <= limits.max]
    return np.isin(numbers, np.array(some, dtype=numbers.dtype))


def _legal(column: Column, value: Value) -> bool:
    return (column.values is None or value in column.values) and value not in column.excluded


def _refused_whole(column: Column, numbers: Array) -> Array:
    low, high = whole_bounds(column)
    if numbers.dtype.kind == "f":
        low, high = max(low, -EXACT), min(high, EXACT)
        with np.errstate(invalid="ignore"):
            whole = np.floor(numbers) == numbers
        return np.asarray(~(whole & (numbers >= low) & (numbers <= high)))
    return np.asarray((numbers < low) | (numbers > high))


def _refused_texts(column: Column, values: Any) -> Array:
    import pyarrow as pa

    rule = text_rule(column)
    if rule is None:
        return np.zeros(len(values), dtype=bool)
    # A text is asked once, however often it comes.
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    verdict = [text is not None and not rule(text) for text in encoded.dictionary.to_pylist()]
    codes = arrays.numbers(encoded.indices, encoded.indices.type)
    codes = np.where(arrays.flags(encoded.indices.is_valid()), codes, len(verdict))
    return np.asarray(np.array([*verdict, False])[codes])


def fits(column: Column, kind: Any) -> bool:
    """Whether an Arrow type can hold what the column admits: no text is read as a number, nor the reverse."""
    import pyarrow.types as kinds

    if column.type in RICH:
        from mlops.spec import cells

        return cells.fits(column, kind)
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    if column.type == "string":
        return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))
    if column.type == "boolean":
        return bool(kinds.is_boolean(kind))
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind))


def arrow_type(column: Column) -> Any:
    """The Arrow type that keeps every legal value as it is."""
    import pyarrow as pa

    if column.type in RICH:
        from mlops.spec import cells

        return cells.arrow(column)
    if column.type == "integer":
        return pa.uint64() if column.dtype == "uint64" else pa.int64()
    return {"string": pa.string(), "boolean": pa.bool_()}.get(column.type, pa.float64())


def cell_array(column: Column, values: Sequence[Any]) -> Any:
    """Cells of a request as an Arrow array of the column's type."""
    import pyarrow as pa

    if column.type in RICH:
        from mlops.spec import cells

        return cells.arrow_array(column, values)
    return pa.array(values, arrow_type(column))
