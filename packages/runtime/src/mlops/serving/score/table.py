"""Whole tables against the contract: what `request` does for one request, by column, for batch scoring."""

from __future__ import annotations

from typing import Any, NoReturn

from mlops.errors import InvalidInput
from mlops.serving.score.columns import allowed
from mlops.spec.admits import fits, refused
from mlops.spec.arrays import flags
from mlops.spec.schema import Column, ModelSchema


def check_table(schema: ModelSchema, table: Any, first_row: int = 0) -> None:
    """Raises `InvalidInput` that names column, row and value of the first thing that is not allowed.

    `table` is a pyarrow Table or RecordBatch; `first_row` is where it starts in its file. Other columns
    are ignored: a batch file carries identifiers. NaN counts as null.
    """
    missing = [c.name for c in schema.columns if c.name not in table.schema.names]
    if missing:
        raise InvalidInput(f"lacks the columns {', '.join(missing)}; it has {', '.join(table.schema.names)}")
    for column in schema.columns:
        _check_column(column, table[column.name], first_row)


def _check_column(column: Column, values: Any, first_row: int) -> None:
    import pyarrow.types as kinds

    # A column of nulls has no type of its own; whether nulls are legal is asked below.
    if kinds.is_null(values.type):
        if not column.nullable and len(values):
            _refuse(column, None, first_row)
        return
    if not fits(column, values.type):
        raise InvalidInput(f"column {column.name!r} has the type {values.type}; it must be {allowed(column)}")
    bad = refused(column, values)
    if not column.nullable:
        absent = values.is_null(nan_is_null=True) if kinds.is_floating(values.type) else values.is_null()
        bad = bad | flags(absent)
    if bad.any():
        place = int(bad.argmax())
        _refuse(column, values[place].as_py(), first_row + place)


def _refuse(column: Column, value: Any, row: int) -> NoReturn:
    raise InvalidInput(f"column {column.name!r}, row {row}: must be {allowed(column)}; got {value!r}")
