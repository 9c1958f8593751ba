"""The data contract of a use case as a check of one frame.

A use case states its contract once, as a pandera schema. Training checks frames with it; endpoint, batch and
monitor check rows with the columns that `mlops.monitoring.rules` derives from it.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mlops.monitoring.rules import CATEGORY, category_levels, number_type, rule_name
from mlops.spec.admits import FLOAT32_MAX

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema

EXAMPLES = 5
"""How many offending values a violation quotes."""


@dataclass(frozen=True)
class Violation:
    """One rule that one column breaks. `rows` is 0 when the whole column is at fault."""

    column: str
    rule: str
    allowed: str
    rows: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        many = f"{self.rows} row{'' if self.rows == 1 else 's'}" if self.rows else "the column"
        quoted = f" (for example {', '.join(self.examples)})" if self.examples else ""
        return f"column {self.column!r}: {many} broke the rule {self.rule}{quoted}; {self.allowed}"

    def record(self) -> dict[str, Any]:
        """Plain data for a JSON report."""
        return {**asdict(self), "examples": list(self.examples), "sentence": str(self)}


def check(frame: pd.DataFrame, schema: DataFrameSchema) -> list[Violation]:
    """Every rule of `schema` that `frame` breaks, in the contract's order; empty when it holds.

    Infinite numbers, and those that a float32 cannot hold, break the contract even where no range is given:
    no rule can mean to allow them. What pandera would do for the check alone is left out: no row is dropped,
    no column may be missing, and text is not converted to numbers.
    """
    from pandera.errors import SchemaErrors

    rules, frame = _plain(schema, frame)
    found: list[Violation] = _infinite(frame)
    try:
        rules.validate(frame, lazy=True)
    except SchemaErrors as errors:
        found += _violations(errors.failure_cases, rules)
    place = {str(name): i for i, name in enumerate(schema.columns)}
    return sorted(found, key=lambda v: (place.get(v.column, len(place)), v.column, v.rule))


def _plain(schema: DataFrameSchema, frame: pd.DataFrame) -> tuple[DataFrameSchema, pd.DataFrame]:
    """Contract and frame such that the verdict is about the rows as the model learns from them.

    A nullable column of whole numbers or booleans has a type with null in the contract's place, because
    pandas makes floats or objects of one that has nulls.
    """
    from pandera.pandas import Check

    plain = copy.deepcopy(schema)
    levels = category_levels(schema)
    plain.drop_invalid_rows = plain.add_missing_columns = False
    given = dict(frame.items())
    for name, column in plain.columns.items():
        column.required, column.drop_invalid_rows = True, False
        if name in levels:
            # Rows are kept as text, and a category that the contract has not is named by the rule.
            column._dtype = type(column)(str).dtype
            column.checks = [*column.checks, *([Check.isin(levels[name])] if levels[name] else [])]
            if name in given and str(given[name].dtype) == CATEGORY:
                given[name] = given[name].astype(object)
        kind = _NULLABLE.get(str(column.dtype)) if column.nullable else None
        if kind is not None:
            column._dtype = type(column)(kind).dtype
        if name in given:
            wanted = kind or (str(column.dtype) if column.coerce or plain.coerce else "")
            given[name] = _as(given[name], wanted)
        column.coerce = False
    plain.coerce = False
    if any(values.dtype != frame[name].dtype for name, values in given.items()):
        frame = frame.copy(deep=False)
        for name, values in given.items():
            frame[name] = values
    return plain, frame


_NULLABLE = {
    **{f"{sign}int{bits}": f"{sign.upper()}Int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": "boolean",
}


def _as(values: pd.Series[Any], wanted: str) -> pd.Series[Any]:
    """`values` in another type of the same kind where none of them changes; as they are otherwise."""
    import numpy as np
    import pandas as pd

    if not wanted or str(values.dtype) == wanted:
        return values
    number, text = number_type(wanted), wanted.lower().startswith(("str", "object"))
    if text or (number and not pd.api.types.is_numeric_dtype(values.dtype)):
        return values
    try:
        with np.errstate(invalid="ignore"):
            converted: pd.Series[Any] = values.astype(wanted)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return values
    same = converted.isna().equals(values.isna()) and bool((converted == values).fillna(True).all())
    return converted if same or number.startswith("float") else values


def _infinite(frame: pd.DataFrame) -> list[Violation]:
    import numpy as np

    found = []
    for name in frame.columns:
        if getattr(frame[name].dtype, "kind", "") != "f":
            continue
        numbers = frame[name].to_numpy(dtype="float64", na_value=np.nan)
        bad = frame.loc[np.abs(numbers) > FLOAT32_MAX, name]
        if len(bad):
            found.append(
                Violation(str(name), "finite", "it must be a finite number", len(bad), _examples(bad))
            )
    return found


def _violations(failures: pd.DataFrame, schema: DataFrameSchema) -> list[Violation]:
    found = []
    for (column, rule), group in failures.groupby(["column", "check"], dropna=False, sort=False):
        cases = group["failure_case"]
        if rule in ("column_in_schema", "column_in_dataframe"):
            found += [_presence(rule, str(name), schema) for name in cases]
            continue
        name = str(column)
        whole = bool(group["index"].isna().all())
        # pandera orders failures by value; the first in the data are the ones to look at.
        cases = cases if whole else group.sort_values("index", kind="stable")["failure_case"]
        examples = () if rule == "not_nullable" else _examples(cases)
        found.append(Violation(name, str(rule), _allowed(schema, name), 0 if whole else len(group), examples))
    return found


def _presence(rule: str, name: str, schema: DataFrameSchema) -> Violation:
    if rule == "column_in_schema":
        return Violation(name, "known column", f"the contract knows {', '.join(map(str, schema.columns))}", 0)
    return Violation(name, "column present", f"it is missing, and {_allowed(schema, name)}", 0)


def _examples(values: pd.Series[Any]) -> tuple[str, ...]:
    return tuple(repr(v) if isinstance(v, str) else str(v) for v in values.drop_duplicates()[:EXAMPLES])


def _allowed(schema: DataFrameSchema, name: str) -> str:
    column = schema.columns.get(name)
    if column is None:
        return "see the data contract of the use case"
    rules = ", ".join(rule_name(check) for check in column.checks)
    null = "may be null" if column.nullable else "is never null"
    return f"it must be {column.dtype}{', ' + rules if rules else ''}, and {null}"
