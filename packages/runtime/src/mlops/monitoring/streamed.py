"""The data contract of rows that are read in batches: the same verdict as on all of them at once.

What a rule says of one value is asked of each batch. What needs other rows (uniqueness, code of the
contract's own) is asked of the columns that it names, whole.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mlops.monitoring.contract import FINITE, Broken, Rules, Violation, check, first_values
from mlops.monitoring.rules import looks_at_one_value

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema


JOINT = "multiple_fields_uniqueness"
"""What pandera calls rows that are the same in columns which together must differ."""


class Batches(Protocol):
    """Rows in their order, as `mlops.steps.stored.Rows` has them."""

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Batch after batch."""

    def frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows at once."""


def check_batches(rows: Batches, columns: Sequence[str], schema: DataFrameSchema) -> list[Violation]:
    """What `check(rows.frame(columns), schema)` finds."""
    joint = [schema.unique] if isinstance(schema.unique, str) else list(schema.unique or ())
    if schema.checks or schema.parsers or schema.index is not None or not set(joint) <= set(columns):
        return check(rows.frame(columns), schema)
    rules = Rules(schema)
    first = next(rows.frames(columns))
    types = rules.types_of(first)
    for frame in rows.frames(list(types)) if types else ():
        kept = rules.types_of(frame)
        types = {name: wanted for name, wanted in types.items() if name in kept}
    kinds = {name: types.get(name, str(first[name].dtype)) for name in columns if name in schema.columns}
    # pandera looks at the values of a column that has another type than the contract's.
    whole = [n for n, kind in kinds.items() if not (_by_value(schema.columns[n]) and rules.fits(n, kind))]
    types = {name: wanted for name, wanted in types.items() if name not in whole}
    by_value = Rules(_without(schema, whole))
    broken = _together(by_value.broken(by_value.typed(frame, types)) for frame in rows.frames(columns))
    violations = [one for one in broken if not (one.column in whole and one.rule == FINITE)]
    for name in whole:
        violations += _of(rows.frame([name]), {name: schema.columns[name]}, schema)
    if joint:
        stubs = _without(schema, joint).columns
        for name in joint:
            if schema.coerce or schema.columns[name].coerce:
                # Shown, and compared, as what they are once they have the contract's type.
                stubs[name]._dtype, stubs[name].coerce = schema.columns[name]._dtype, True
        violations += _of(rows.frame(joint), {n: stubs[n] for n in joint}, schema, unique=schema.unique)
    return rules.told(violations)


def _of(
    frame: pd.DataFrame, columns: dict[str, Any], schema: DataFrameSchema, unique: Any = None
) -> list[Broken]:
    """What some columns break by themselves."""
    part = copy.deepcopy(schema)
    part.columns, part.unique, part.strict, part.ordered = columns, unique, False, False
    rules = Rules(part)
    return [
        one
        for one in rules.broken(rules.typed(frame, rules.types_of(frame)))
        if unique is None or one.rule == JOINT
    ]


def _by_value(column: Any) -> bool:
    return (
        not column.unique
        and not column.parsers
        and not column.regex
        and all(looks_at_one_value(check) for check in column.checks)
    )


def _without(schema: DataFrameSchema, names: Iterable[str]) -> DataFrameSchema:
    """The contract with nothing to say of `names` but that they are there."""
    part = copy.deepcopy(schema)
    part.unique = None
    for name in names:
        if name in part.columns:
            column = part.columns[name]
            column.checks, column.unique, column.nullable, column.coerce = [], False, True, False
            column._dtype = None
    return part


def _together(batches: Iterable[list[Broken]]) -> list[Broken]:
    """What batches break, as all rows would."""
    import pandas as pd

    by_rule: dict[tuple[str, str], Broken] = {}
    for one in (one for batch in batches for one in batch):
        key = (one.column, one.rule)
        known = by_rule.get(key)
        if known is None or (known.rows and not one.rows):
            by_rule[key] = one  # what breaks a rule as a whole does not count its rows
        elif known.rows:
            values = pd.concat([known.values, one.values], ignore_index=True)
            by_rule[key] = Broken(*key, known.rows + one.rows, first_values(values))
    return list(by_rule.values())
