"""Whole tables against the contract: what `request` does for one request, by column, for batch scoring."""

from __future__ import annotations

from typing import Any

from mlops.errors import InvalidInput
from mlops.serving.columns import FLOAT32_MAX, allowed
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
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    fits = {
        "string": pa.types.is_string(kind) or pa.types.is_large_string(kind),
        "boolean": pa.types.is_boolean(kind),
        "integer": pa.types.is_integer(kind) or pa.types.is_floating(kind),
        "number": pa.types.is_integer(kind) or pa.types.is_floating(kind),
    }[column.type]
    # A column of nulls has no type of its own; whether nulls are legal is asked below.
    if not fits and not pa.types.is_null(kind):
        raise InvalidInput(f"column {column.name!r} has the type {kind}; it must be {allowed(column)}")
    floating = pa.types.is_floating(kind)
    if not column.nullable:
        _refuse_where(column, values, pc.is_null(values, nan_is_null=floating), first_row)
    if pa.types.is_integer(kind) or floating:
        low = -FLOAT32_MAX if column.minimum is None else column.minimum
        high = FLOAT32_MAX if column.maximum is None else column.maximum
        values = values.cast(pa.float64())
        _refuse_where(column, values, pc.or_(pc.less(values, low), pc.greater(values, high)), first_row)
        if column.type == "integer":
            _refuse_where(column, values, pc.not_equal(pc.floor(values), values), first_row, nan_is_null=True)
    elif column.type == "string" and column.categories is not None and column.unknown_category == "refuse":
        known = pc.is_in(values.cast(pa.string()), value_set=pa.array(column.categories, pa.string()))
        _refuse_where(column, values, pc.and_(pc.invert(known), pc.is_valid(values)), first_row)


def _refuse_where(
    column: Column, values: Any, bad: Any, first_row: int, *, nan_is_null: bool = False
) -> None:
    import pyarrow.compute as pc

    if nan_is_null:
        bad = pc.and_(bad, pc.is_finite(values))
    if pc.any(bad).as_py():
        row = pc.index(bad, True).as_py()
        raise InvalidInput(
            f"column {column.name!r}, row {first_row + row}: must be {allowed(column)}; "
            f"got {values[row].as_py()!r}"
        )
