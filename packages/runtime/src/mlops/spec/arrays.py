"""Columns of Arrow as arrays of NumPy, by their buffers.

Arrow's own `to_numpy` and `scalar` import pandas, which takes longer than to score a file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def numbers(column: Any, kind: Any) -> Array:
    """A column in a type of numbers of Arrow, as `numpy_of` says it; not-a-number for null among floats."""
    cast = column.cast(kind, safe=False)
    return _joined([_numbers(chunk) for chunk in _chunks(cast)], numpy_of(kind))


def flags(column: Any) -> Array:
    """A column of booleans; False for null."""
    return _joined([_flags(chunk) for chunk in _chunks(column)], np.dtype(bool))


def numpy_of(kind: Any) -> np.dtype[Any]:
    """NumPy's type for a type of numbers of Arrow: they have the same names, but for float and double."""
    return np.dtype(
        {"float": "float32", "double": "float64", "halffloat": "float16"}.get(str(kind), str(kind))
    )


def _chunks(column: Any) -> list[Any]:
    return list(getattr(column, "chunks", None) or ([] if hasattr(column, "chunks") else [column]))


def _joined(parts: list[Array], kind: np.dtype[Any]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, kind), *parts])


def _numbers(array: Any) -> Array:
    kind = numpy_of(array.type)
    if not len(array):
        return np.empty(0, kind)
    valid, data = array.buffers()
    values = np.frombuffer(data, kind, len(array), array.offset * kind.itemsize)
    if array.null_count and kind.kind == "f":
        values = np.where(_bits(valid, array), values, kind.type(np.nan))
    return values


def _flags(array: Any) -> Array:
    if not len(array):
        return np.empty(0, bool)
    valid, data = array.buffers()
    values = _bits(data, array)
    return values & _bits(valid, array) if array.null_count else values


def _bits(buffer: Any, array: Any) -> Array:
    packed = np.frombuffer(buffer, np.uint8)
    return np.unpackbits(packed, bitorder="little")[array.offset : array.offset + len(array)].astype(bool)
