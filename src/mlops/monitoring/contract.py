"""The data contract of a use case: as columns of `serving.json`, and as a check of one frame.

A use case states its contract once, as a pandera schema. Training checks frames with it; the endpoint checks
requests with the columns that `columns_of` derives from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput
from mlops.spec.schema import Column, ColumnType

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema

EXAMPLES = 5
"""How many offending values a violation quotes."""

_LOWER = {
    "greater_than_or_equal_to": "min_value",
    "greater_than": "min_value",
    "in_range": "min_value",
    "between": "min_value",
}
_UPPER = {
    "less_than_or_equal_to": "max_value",
    "less_than": "max_value",
    "in_range": "max_value",
    "between": "max_value",
}


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


def columns_of(schema: DataFrameSchema, categories: Mapping[str, list[str]] | None = None) -> list[Column]:
    """The contract as the columns of a `ModelSchema`, in the contract's order.

    `categories` are the values that training has seen, for text columns whose contract lists none.
    Raises `InvalidInput` for a column whose type or `unknown_category` cannot be served.
    """
    seen = categories or {}
    return [_column(str(name), column, seen.get(str(name))) for name, column in schema.columns.items()]


def _column(name: str, column: Any, seen: list[str] | None) -> Column:
    statistics = {check.name: check.statistics for check in column.checks}
    listed = statistics.get("isin", {}).get("allowed_values")
    kind = _type(name, str(column.dtype))
    policy = (column.metadata or {}).get("unknown_category", "accept" if listed is None else "refuse")
    if policy not in ("accept", "refuse"):
        raise InvalidInput(
            f"the contract's column {name!r} has unknown_category {policy!r} in its metadata; "
            "it must be accept or refuse"
        )
    known = sorted(str(v) for v in listed) if listed is not None else seen
    return Column(
        name=name,
        type=kind,
        nullable=bool(column.nullable),
        minimum=_bound(statistics, _LOWER),
        maximum=_bound(statistics, _UPPER),
        categories=known if kind == "string" else None,
        unknown_category=policy,
        description=column.description or "",
    )


def _type(name: str, dtype: str) -> ColumnType:
    lowered = dtype.lower()
    if lowered.startswith(("int", "uint")):
        return "integer"
    if lowered.startswith("float"):
        return "number"
    if lowered.startswith("bool"):
        return "boolean"
    if lowered.startswith(("str", "object")):
        return "string"
    raise InvalidInput(
        f"the contract's column {name!r} has the type {dtype}; a served column is a string, an integer, "
        "a number or a boolean (derive one in `features`)"
    )


def _bound(statistics: Mapping[str, Mapping[str, Any]], where: Mapping[str, str]) -> float | None:
    found = [float(statistics[name][key]) for name, key in where.items() if name in statistics]
    return found[0] if found else None


def check(frame: pd.DataFrame, schema: DataFrameSchema) -> list[Violation]:
    """Every rule of `schema` that `frame` breaks, in the contract's order; empty when it holds.

    Infinite numbers break the contract even where no range is given: no rule can mean to allow them.
    """
    from pandera.errors import SchemaErrors

    found: list[Violation] = _infinite(frame)
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        found += _violations(errors.failure_cases, schema)
    place = {str(name): i for i, name in enumerate(schema.columns)}
    return sorted(found, key=lambda v: (place.get(v.column, len(place)), v.column, v.rule))


def _infinite(frame: pd.DataFrame) -> list[Violation]:
    import numpy as np

    found = []
    for name in frame.columns:
        if frame[name].dtype.kind != "f":
            continue
        bad = frame.loc[np.isinf(frame[name]), name]
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
    rules = ", ".join(str(check.error or check.name) for check in column.checks)
    null = "may be null" if column.nullable else "is never null"
    return f"it must be {column.dtype}{', ' + rules if rules else ''}, and {null}"
