"""The data contract of a use case as a check of one frame.

A use case states its contract once, as a pandera schema. Training checks frames with it; endpoint, batch and
monitor check rows with the columns that `mlops.monitoring.rules` derives from it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mlops.monitoring.rules import CATEGORY, category_levels, number_type, rule_name
from mlops.spec.admits import FLOAT32_MAX

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema

EXAMPLES = 5
"""How many offending values a violation quotes."""
FINITE = "finite"
"""The rule that every number is held to."""


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
    rules = Rules(schema)
    return rules.told(rules.broken(rules.typed(frame, rules.types_of(frame))))


@dataclass(frozen=True)
class Broken:
    """A rule that a column breaks: in so many rows (0: as a whole), with the first values that do."""

    column: str
    rule: str
    rows: int
    values: pd.Series[Any]


class Rules:
    """A contract such that the verdict is about the rows as the model learns from them.

    A nullable column of whole numbers or booleans has a type with null in the contract's place, because
    pandas makes floats or objects of one that has nulls.
    """

    def __init__(self, schema: DataFrameSchema) -> None:
        from pandera.pandas import Check

        self.schema = schema
        self._levels = category_levels(schema)
        self._plain = copy.deepcopy(schema)
        self._plain.drop_invalid_rows = self._plain.add_missing_columns = False
        self._wanted: dict[Any, str] = {}
        for name, column in self._plain.columns.items():
            column.required, column.drop_invalid_rows = True, False
            if levels := self._levels.get(name):
                # A category that the contract has not is named by the rule.
                column.checks = [*column.checks, Check.isin(levels)]
            if name in self._levels:
                column._dtype = type(column)(str).dtype  # rows are kept as text
            kind = _NULLABLE.get(str(column.dtype)) if column.nullable else None
            if kind is not None:
                column._dtype = type(column)(kind).dtype
            self._wanted[name] = kind or (str(column.dtype) if column.coerce or self._plain.coerce else "")
            column.coerce = False
        self._plain.coerce = False

    def types_of(self, frame: pd.DataFrame) -> dict[Any, str]:
        """The columns of `frame` that the contract has in another type which loses nothing, and that type."""
        given = {name: frame[name] for name in self._wanted if name in frame}
        return {
            name: self._wanted[name]
            for name, values in given.items()
            if _as(values, self._wanted[name]) is not values
        } | {name: "object" for name in self._levels if name in given and str(given[name].dtype) == CATEGORY}

    def fits(self, name: Any, kind: str) -> bool:
        """Whether a column of this type in pandas has the contract's type."""
        wanted = str(self._plain.columns[name].dtype)
        return wanted == kind or (kind == "object" and wanted.startswith(("str", "object")))

    def typed(self, frame: pd.DataFrame, types: Mapping[Any, str]) -> pd.DataFrame:
        """`frame` with columns in those types."""
        import numpy as np

        if not types:
            return frame
        frame = frame.copy(deep=False)
        with np.errstate(invalid="ignore"):
            for name, wanted in types.items():
                frame[name] = frame[name].astype(wanted)
        return frame

    def broken(self, frame: pd.DataFrame) -> list[Broken]:
        """What the rows of `frame`, typed, break; in no order."""
        from pandera.errors import SchemaErrors

        breaks = _infinite(frame)
        try:
            self._plain.validate(frame, lazy=True)
        except SchemaErrors as errors:
            breaks += _violations(errors.failure_cases, frame)
        return breaks

    def told(self, found: Iterable[Broken]) -> list[Violation]:
        """As violations, in the contract's order."""
        place = {str(name): i for i, name in enumerate(self.schema.columns)}
        violations = [self._violation(one) for one in found]
        return sorted(violations, key=lambda v: (place.get(v.column, len(place)), v.column, v.rule))

    def _violation(self, one: Broken) -> Violation:
        names, column = ", ".join(map(str, self.schema.columns)), one.column
        if one.rule == "column_in_schema":
            return Violation(column, "known column", f"the contract knows {names}", 0)
        allowed = _allowed(self._plain, column)
        if one.rule == "column_in_dataframe":
            return Violation(column, "column present", f"it is missing, and {allowed}", 0)
        if one.rule == FINITE:
            allowed = "it must be a finite number"
        examples = () if one.rule == "not_nullable" else _examples(one.values)
        return Violation(column, one.rule, allowed, one.rows, examples)


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


def _infinite(frame: pd.DataFrame) -> list[Broken]:
    import numpy as np

    breaks = []
    for name in frame.columns:
        if getattr(frame[name].dtype, "kind", "") != "f":
            continue
        numbers = frame[name].to_numpy(dtype="float64", na_value=np.nan)
        bad = frame.loc[np.abs(numbers) > FLOAT32_MAX, name]
        if len(bad):
            breaks.append(Broken(str(name), FINITE, len(bad), first_values(bad)))
    return breaks


def _violations(failures: pd.DataFrame, frame: pd.DataFrame) -> list[Broken]:
    breaks = []
    for (column, rule), group in failures.groupby(["column", "check"], dropna=False, sort=False):
        cases = group["failure_case"]
        if rule in ("column_in_schema", "column_in_dataframe"):
            breaks += [Broken(str(name), rule, 0, cases[:0]) for name in cases]
            continue
        whole = bool(group["index"].isna().all())
        if whole:
            # Words say what is wrong; that a rule of the contract's own said False is known.
            cases = cases[cases.map(lambda case: isinstance(case, str))]
        else:
            # pandera orders failures by value; the first in the data are the ones to look at.
            in_order = group.sort_values("index", kind="stable")
            cases = in_order["failure_case"]
            if column in frame and frame[column].dtype != object:
                # pandera lists failures of all columns in one column, which then has one type for all.
                cases = frame[column].loc[in_order["index"]]
        breaks.append(Broken(str(column), str(rule), 0 if whole else len(group), first_values(cases)))
    return breaks


def first_values(values: pd.Series[Any]) -> pd.Series[Any]:
    """The first few that differ."""
    return values.drop_duplicates()[:EXAMPLES]


def _examples(values: pd.Series[Any]) -> tuple[str, ...]:
    return tuple(repr(v) if isinstance(v, str) else str(v) for v in values)


def _allowed(schema: DataFrameSchema, name: str) -> str:
    column = schema.columns.get(name)
    if column is None:
        return "see the data contract of the use case"
    rules = ", ".join(rule_name(check) for check in column.checks)
    null = "may be null" if column.nullable else "is never null"
    return f"it must be {column.dtype}{', ' + rules if rules else ''}, and {null}"
