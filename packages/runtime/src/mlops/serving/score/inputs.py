"""Rows of a request, or a whole table, as the model has seen them in training: same names, order and types.

A model may answer otherwise for 3.0 than for 3, or for a float64 than for the same number as float32. So the
types of the training rows are kept in `serving.json`, and whatever comes in is brought to them here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.spec import cells
from mlops.spec.admits import RICH
from mlops.spec.schema import Column, Library, ModelSchema

if TYPE_CHECKING:
    import pandas as pd

Array = Any
_TEXT = ("object", "str", "string")
_CATEGORY = "category"


class Inputs:
    """Makes what the model is called with. `arrays`: one array of numbers instead of a table with names."""

    def __init__(self, schema: ModelSchema, library: Library, *, arrays: bool | None = None) -> None:
        self._names = [c.name for c in schema.columns]
        self._dtypes = [library.dtypes[name] for name in self._names]
        self._nullable = [c.nullable for c in schema.columns]
        self._specs = schema.columns
        self._levels = [library.levels.get(name) for name in self._names]
        self._arrays = library.arrays if arrays is None else arrays
        self._columns = library.columns
        if self._arrays:
            self._whole = matrix_type(self._dtypes, self._nullable)
            self._narrow = [
                (i, np.dtype(kind))
                for i, kind in enumerate(self._dtypes)
                if kind.startswith("float") and np.dtype(kind) != self._whole
            ]

    def of_rows(self, rows: Sequence[Sequence[Any]]) -> pd.DataFrame | Array | dict[str, Any]:
        """`rows` are tuples in the order of the signature, as a parsed request has them."""
        if self._arrays:
            return self._matrix(np.array(rows, dtype=self._whole).reshape(len(rows), len(self._names)))
        columns = zip(*rows, strict=True)
        if self._columns:
            return dict(zip(self._names, columns, strict=True))
        return self._frame(
            cells.to_object(column, values)
            if column.type in RICH
            else _category(values, levels)
            if levels is not None
            else _of_cells(values, kind, column.nullable)
            for values, kind, column, levels in zip(
                columns, self._dtypes, self._specs, self._levels, strict=True
            )
        )

    def of_table(self, table: Any) -> pd.DataFrame | Array:
        """`table` is of pandas or Arrow and has the columns of the signature."""
        made = (
            _rich(table[column.name], column)
            if column.type in RICH
            else _category(_of_column(table[column.name], "object"), levels)
            if levels is not None
            else _of_column(table[column.name], kind)
            for column, kind, levels in zip(self._specs, self._dtypes, self._levels, strict=True)
        )
        if self._arrays:
            return self._matrix(np.column_stack([column.astype(self._whole) for column in made]))
        return self._frame(made)

    def _matrix(self, values: Array) -> Array:
        for index, kind in self._narrow:
            values[:, index] = values[:, index].astype(kind)
        return values

    def _frame(self, columns: Any) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(dict(zip(self._names, columns, strict=True)), copy=False)


def matrix_type(dtypes: Sequence[str], nullable: Sequence[bool]) -> np.dtype[Any]:
    """The type of one array that holds columns of these types; a null needs a float.

    Raises `TypeError` for text and for the types of pandas that have a null of their own.
    """
    kinds = []
    for kind, null in zip(dtypes, nullable, strict=True):
        own = kind in (*_TEXT, _CATEGORY, "boolean")
        if own or kind[0].isupper() or kind.startswith("datetime"):
            raise TypeError(kind)
        plain = np.dtype(kind)
        kinds.append(np.dtype(np.float64) if null and plain.kind != "f" else plain)
    return np.result_type(*kinds)


def _of_cells(values: Sequence[Any], kind: str, nullable: bool) -> Array:
    """A column from JSON's values: text, numbers, true, false, None."""
    if kind in ("object", "str"):
        return np.fromiter(values, object, len(values))
    if kind.startswith("float"):
        return np.array(values, dtype=kind)
    missing = np.fromiter((v is None for v in values), bool, len(values)) if nullable else None
    if missing is None or not missing.any():
        missing = np.zeros(len(values), dtype=bool)
    elif kind not in _TEXT:
        values = [0 if v is None else v for v in values]
    return _typed(values, missing, kind)


def _category(values: Sequence[Any], levels: Sequence[str]) -> Array:
    """Texts as pandas' category; one that training had not is null, as it would be there."""
    import pandas as pd

    known = pd.Index(list(levels), dtype=object)
    codes = known.get_indexer(pd.Index(list(values), dtype=object))
    return pd.Categorical.from_codes(codes.tolist(), categories=known)


def _rich(values: Any, column: Column) -> Array:
    """Moments, vectors, lists and images from a table of pandas or Arrow."""
    if column.type == "datetime" and hasattr(values, "to_pylist"):
        import pyarrow as pa

        return values.cast(pa.timestamp("ns")).to_numpy(zero_copy_only=False)
    if column.type == "datetime":
        return values.astype("datetime64[ns]").to_numpy()
    plain = values.to_pylist() if hasattr(values, "to_pylist") else values.tolist()
    return cells.to_object(column, [cells.of_table(column, value) for value in plain])


def _of_column(column: Any, kind: str) -> Array:
    """A column from a table of pandas or Arrow."""
    if kind in _TEXT:
        plain = column.to_pylist() if hasattr(column, "to_pylist") else column.astype(object).tolist()
        texts = [v if isinstance(v, str) else None for v in plain]
        return _of_cells(texts, kind, nullable=True)
    if hasattr(column, "to_pylist"):
        import pyarrow as pa
        import pyarrow.compute as pc

        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if pa.types.is_null(column.type):
            column = column.cast(pa.float64())
        missing = pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))
        # A null leaves what is no value behind; 0 is one of every type.
        values = pc.if_else(missing, pa.scalar(0).cast(column.type), column)
        return _typed(values.to_numpy(zero_copy_only=False), missing.to_numpy(zero_copy_only=False), kind)
    gone = column.isna().to_numpy()
    held = column.to_numpy()
    if gone.any():
        held = column.astype(object).where(~gone, 0).to_numpy()
    return _typed(held, gone, kind)


def _typed(values: Any, missing: Array, kind: str) -> Array:
    """`values` as `kind`; where `missing`, they are placeholders."""
    make = _EXTENSION.get(kind)
    if make is not None:
        return make(values, missing, kind)
    dtype = np.dtype(kind)
    any_missing = bool(missing.any())
    if any_missing and dtype.kind != "f":
        # As pandas and MLflow do it: an integer or a truth value that is absent makes the column float.
        dtype = np.dtype(np.float64)
    made = np.array(values, dtype=dtype)
    if any_missing:
        made[missing] = np.nan
    return made


def _integers(values: Any, missing: Array, kind: str) -> Array:
    import pandas as pd

    return pd.arrays.IntegerArray(np.array(values, dtype=kind.lower()), np.array(missing, dtype=bool))


def _floating(values: Any, missing: Array, kind: str) -> Array:
    import pandas as pd

    return pd.arrays.FloatingArray(np.array(values, dtype=kind.lower()), np.array(missing, dtype=bool))


def _booleans(values: Any, missing: Array, kind: str) -> Array:
    import pandas as pd

    return pd.arrays.BooleanArray(np.array(values, dtype=bool), np.array(missing, dtype=bool))


def _strings(values: Any, missing: Array, kind: str) -> Array:
    import pandas as pd

    return pd.array([v if isinstance(v, str) else None for v in values], dtype="string")


_EXTENSION: dict[str, Callable[[Any, Array, str], Array]] = {
    **dict.fromkeys(["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"], _integers),
    **dict.fromkeys(["Float32", "Float64"], _floating),
    "boolean": _booleans,
    "string": _strings,
}
"""The types of pandas that have a null of their own."""

_WHOLE = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
KNOWN = (*_TEXT, _CATEGORY, *_EXTENSION, "bool", "datetime64[ns]", "float16", "float32", "float64", *_WHOLE)
"""Types of training rows that requests can be brought to."""
