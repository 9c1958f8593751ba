"""From a use case's contract (pandera) to the columns of `serving.json`, and to what they cannot say.

A rule that looks at one value at a time goes to the endpoint. One that needs more than a value (other rows,
other columns, code of its own) holds in training only: `unchecked` says so in a sentence, by column and rule.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import InvalidInput
from mlops.spec.admits import RICH
from mlops.spec.schema import Column, ColumnType, TextRule, Value

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

RESERVED = frozenset(
    ("_request_id", "_time", "_deployment", "_version", "_row", "_prediction", "_correlation_id")
)
"""Columns that capture and batch write beside the model's own."""
CATEGORY = "category"
"""pandas' own type of texts of which there are few: a model that has seen it is asked with it."""
_NUMBER = re.compile(r"(u?int|float)(\d+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_FLAGS = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.VERBOSE: "x", re.ASCII: "a"}
_TEXT_RULES = {
    "str_matches": ("matches", "pattern"),
    "str_contains": ("contains", "pattern"),
    "str_startswith": ("starts_with", "string"),
    "str_endswith": ("ends_with", "string"),
}
_ONE_VALUE = frozenset(
    (
        *_TEXT_RULES,
        "str_length",
        "isin",
        "notin",
        "equal_to",
        "not_equal_to",
        "greater_than_or_equal_to",
        "greater_than",
        "less_than_or_equal_to",
        "less_than",
        "in_range",
    )
)
"""pandera's own rules that need no other row."""
_EVERYWHERE = "holds in training only: the endpoint, batch and monitor do not check it"


def columns_of(schema: DataFrameSchema, categories: Mapping[str, list[str]] | None = None) -> list[Column]:
    """The contract as the columns of a `ModelSchema`, in the contract's order.

    `categories` are the values that training has seen, for text columns whose contract lists none.
    Raises `InvalidInput` for columns that cannot be served, all at once.
    """
    seen = categories or {}
    problems = list(_unservable(schema))
    columns = []
    for name, column in schema.columns.items():
        try:
            columns.append(_column(str(name), column, seen.get(str(name))))
        except InvalidInput as error:
            problems.append(str(error))
    if problems:
        raise InvalidInput("\n".join(problems))
    return columns


def unchecked(schema: DataFrameSchema) -> list[str]:
    """A sentence for each rule of the contract that no request is held to, in the contract's order."""
    sentences = []
    for name, column in schema.columns.items():
        where = f"column {str(name)!r}"
        kind = _kind(str(name), column)
        for check in column.checks:
            why = "" if kind in RICH and _known(check, kind) else _untold(check, kind)
            if why:
                sentences.append(f"{where}: the rule {rule_name(check)} {why}")
        if column.unique:
            sentences.append(f"{where}: unique {_EVERYWHERE}")
    sentences += [f"all columns: the rule {rule_name(check)} {_EVERYWHERE}" for check in schema.checks]
    if schema.unique:
        sentences.append(f"all columns: unique={list(schema.unique)} {_EVERYWHERE}")
    if schema.index is not None:
        sentences.append("the index: its rules hold in training only: a request has no index")
    return sentences


def looks_at_one_value(check: Any) -> bool:
    """Whether a rule says of each value the same, whatever other rows there are."""
    if (
        check.groupby is not None
        or check.n_failure_cases is not None
        or getattr(check, "raise_warning", False)
    ):
        return False
    return bool(check.element_wise) or _builtin(check) in _ONE_VALUE


def rule_name(check: Any) -> str:
    """As a report of the contract names it."""
    return str(check.error or check.name)


def number_type(dtype: str) -> str:
    """NumPy's name of a number's type in the contract; "" when it is none."""
    match = _NUMBER.match(dtype.lower())
    return "".join(match.groups()) if match else ""


def _unservable(schema: DataFrameSchema) -> Iterable[str]:
    names = [str(name) for name in schema.columns]
    for name, column in schema.columns.items():
        where = f"the contract's column {str(name)!r}"
        if not isinstance(name, str):
            yield f"{where} is named by {type(name).__name__}; give it a text as name"
        if not str(name) or str(name) in RESERVED:
            yield f"{where} has a name that is taken, as {', '.join(sorted(RESERVED))} are; rename it"
        if _CONTROL.search(str(name)):
            yield f"{where} has a line break, a tab or another control character in its name; rename it"
        if column.regex:
            yield f"{where} is a pattern of names (regex=True); a request needs each column by its own name"
        if column.parsers:
            yield f"{where} has parsers, which would change values for the check only; do it in `features`"
        if column.default is not None:
            yield f"{where} has a default, which would be set for the check only; fill it in `features`"
    if schema.parsers:
        yield "the contract has parsers, which would change rows for the check only; do it in `features`"
    folded = [name for name in names if names.count(name) > 1]
    if folded:
        yield f"the contract names the column {folded[0]!r} more than once"


# --- one column ------------------------------------------------------------------------------------------


def _column(name: str, column: Any, seen: list[str] | None) -> Column:
    kind = _kind(name, column)
    if kind in RICH:
        return _rich(name, kind, column)
    dtype = number_type(str(column.dtype)) if kind in ("integer", "number") else ""
    checks = [check for check in column.checks if not _untold(check, kind)]
    facts: dict[str, Any] = {"name": name, "type": kind, "dtype": dtype}
    if kind == "boolean":
        facts["values"] = _booleans(checks)
    elif kind == "string":
        facts |= _text(name, column, checks, seen)
    else:
        facts |= _number(name, kind, dtype, checks)
    return Column(
        **facts,
        nullable=bool(column.nullable) and all(_admits_null(c, str(column.dtype)) for c in column.checks),
        description=column.description or "",
    )


def _kind(name: str, column: Any) -> ColumnType:
    """The type of a column: pandera's, or what `mlops.columns` says of an object."""
    kind: ColumnType = (column.metadata or {}).get("kind") or _type(name, str(column.dtype))
    return kind


def _known(check: Any, kind: ColumnType) -> bool:
    """Whether the endpoint holds a request to a rule of a moment, a vector, a list or an image."""
    if kind == "datetime":
        return _builtin(check) in (*_LOWER, *_UPPER) and not check.element_wise and check.groupby is None
    return str(check.name) == kind


_FACTS = ("size", "items", "max_length", "width", "height", "mode")
"""What `mlops.columns` says of a column, by the names that `serving.json` has for it."""


def _rich(name: str, kind: ColumnType, column: Any) -> Column:
    facts = {key: value for key, value in (column.metadata or {}).items() if key in _FACTS}
    if kind == "datetime":
        facts = _moments(name, [check for check in column.checks if _known(check, kind)])
    return Column(
        name=name, type=kind, nullable=bool(column.nullable), description=column.description or "", **facts
    )


def _moments(name: str, checks: Iterable[Any]) -> dict[str, str]:
    import pandas as pd

    lows, highs, one = [], [], pd.Timedelta(1, "ns")
    for check in checks:
        rule, given = _builtin(check), check.statistics
        if rule in _LOWER:
            low = pd.Timestamp(given["min_value"])
            lows.append(low + one if _open(rule, given, "min") else low)
        if rule in _UPPER:
            high = pd.Timestamp(given["max_value"])
            highs.append(high - one if _open(rule, given, "max") else high)
    if lows and highs and max(lows) > min(highs):
        raise InvalidInput(_impossible(name))
    bounds = {"earliest": max(lows, default=None), "latest": min(highs, default=None)}
    return {key: moment.isoformat() for key, moment in bounds.items() if moment is not None}


def _type(name: str, dtype: str) -> ColumnType:
    lowered = dtype.lower()
    if lowered.startswith("datetime64") and "," not in lowered:
        return "datetime"
    if number := number_type(lowered):
        return "number" if number.startswith("float") else "integer"
    if lowered.startswith("bool"):
        return "boolean"
    if lowered.startswith(("str", "object", CATEGORY)):
        return "string"
    raise InvalidInput(
        f"the contract's column {name!r} has the type {dtype}; a served column is a string, a category, "
        "an integer, "
        "a number, a boolean, a datetime64[ns] without a time zone, or what mlops.columns makes "
        "(vector, items, image); "
        "derive one in `features`"
    )


def _builtin(check: Any) -> str:
    """The name of pandera's own rule, whatever the contract calls it; "" for code of the contract's own."""
    from pandera.api.function_dispatch import Dispatcher

    function = getattr(check, "_check_fn", None)
    return str(function.__name__) if isinstance(function, Dispatcher) else ""


def _untold(check: Any, kind: ColumnType) -> str:
    """Why the endpoint cannot hold a request to a rule; "" when it does."""
    rule = _builtin(check)
    if getattr(check, "raise_warning", False):
        return "only warns: nothing is refused by it, in training or later"
    known = rule in _TEXT_RULES or rule in ("str_length", "isin", "notin", "equal_to", "not_equal_to")
    compares = rule in (*_LOWER, *_UPPER)
    if check.groupby is not None or check.element_wise or not (known or compares):
        return _EVERYWHERE
    if compares and kind == "string":
        return f"compares text, and {_EVERYWHERE}"
    if (rule in _TEXT_RULES or rule == "str_length") and kind != "string":
        return f"is for text, and {_EVERYWHERE}"
    return ""


def _admits_null(check: Any, dtype: str) -> bool:
    """A rule that is asked of nulls too (ignore_na=False) may forbid them."""
    import pandas as pd

    if getattr(check, "ignore_na", True) or getattr(check, "raise_warning", False):
        return True
    if check.groupby is not None or not _builtin(check):
        return True
    number = number_type(dtype)
    kind = "object" if not number else number if number.startswith("float") else "Int64"
    try:
        return bool(check(pd.Series([None], dtype=kind)).check_passed)
    except (TypeError, ValueError, AttributeError):
        return False


def _booleans(checks: Iterable[Any]) -> list[Value] | None:
    """There are two booleans: each rule is asked about both."""
    import pandas as pd

    both = pd.Series([False, True])
    legal = [value for value in (False, True) if all(_passes(c, both[both == value]) for c in checks)]
    return None if len(legal) == 2 else list(legal)


def _passes(check: Any, values: Any) -> bool:
    return bool(check(values).check_passed)


def _text(name: str, column: Any, checks: Iterable[Any], seen: list[str] | None) -> dict[str, Any]:
    listed: set[str] | None = None
    excluded: set[str] = set()
    texts, shortest, longest = [], 0, math.inf
    if levels := _levels(name, column):
        listed = set(levels)
    for check in checks:
        rule, given = _builtin(check), check.statistics
        if rule in ("isin", "equal_to"):
            legal = {v for v in _given(rule, given, "allowed_values") if isinstance(v, str)}
            listed = legal if listed is None else listed & legal
        elif rule in ("notin", "not_equal_to"):
            excluded |= {v for v in _given(rule, given, "forbidden_values") if isinstance(v, str)}
        elif rule == "str_length":
            exact = given.get("exact_value")
            low, high = (given.get("min_value"), given.get("max_value")) if exact is None else (exact, exact)
            shortest, longest = max(shortest, low or 0), min(longest, math.inf if high is None else high)
        else:
            kind, key = _TEXT_RULES[rule]
            texts.append(TextRule(kind=kind, text=_pattern(given[key])))
    policy = (column.metadata or {}).get("unknown_category", "accept" if listed is None else "refuse")
    if policy not in ("accept", "refuse"):
        raise InvalidInput(
            f"the contract's column {name!r} has unknown_category {policy!r} in its metadata; "
            "it must be accept or refuse"
        )
    if listed is not None and policy == "accept":
        raise InvalidInput(
            f"the contract's column {name!r} has a rule that lists its values, and unknown_category accept; "
            "the rule refuses all others in training: take one of the two away"
        )
    if listed is not None:
        # A category that another rule refuses is none: where categories are listed, nothing else is asked.
        listed = _legal(listed, checks)
    if (listed is not None and not listed) or shortest > longest:
        raise InvalidInput(_impossible(name))
    return {
        "categories": sorted(listed) if listed is not None else seen,
        "unknown_category": policy,
        "excluded": sorted(excluded),
        "texts": texts,
        "min_length": shortest or None,
        "max_length": None if math.isinf(longest) else int(longest),
    }


def _legal(values: set[str], checks: Iterable[Any]) -> set[str]:
    """Those of `values` that keep every rule."""
    import pandas as pd

    kept = pd.Series(sorted(values), dtype=object)
    for check in checks:
        kept = kept[check(kept).check_output.astype(bool)] if len(kept) else kept
    return set(kept)


def category_levels(schema: DataFrameSchema) -> dict[str, list[str]]:
    """The columns whose type is pandas' category, each with its categories in their order; empty: those of
    training. Raises `InvalidInput` for categories that are no text."""
    found = {}
    for name, column in schema.columns.items():
        if str(column.dtype) == CATEGORY:
            levels = _levels(str(name), column)
            checks = [check for check in column.checks if not _untold(check, "string")]
            legal = _text(str(name), column, checks, None)["categories"] or []
            found[str(name)] = [level for level in levels if level in legal] if levels else legal
    return found


def _levels(name: str, column: Any) -> list[str]:
    """The categories that the type itself names, in their order."""
    given = getattr(column.dtype, "categories", None) if str(column.dtype) == CATEGORY else None
    levels = [] if given is None else list(given)
    if odd := [level for level in levels if not isinstance(level, str)]:
        raise InvalidInput(
            f"the contract's column {name!r} has the category {odd[0]!r}, which is no text; a request brings "
            "categories as text: let `features` make texts of them"
        )
    return levels


def _impossible(name: str) -> str:
    return f"the contract's column {name!r} admits no value: its rules exclude each other"


def _pattern(given: str | re.Pattern[str]) -> str:
    if isinstance(given, str):
        return given
    flags = "".join(letter for flag, letter in _FLAGS.items() if given.flags & flag)
    return f"(?{flags}){given.pattern}" if flags else given.pattern


def _given(rule: str, statistics: Mapping[str, Any], many: str) -> list[Any]:
    return [statistics["value"]] if rule in ("equal_to", "not_equal_to") else list(statistics[many])


# --- numbers ----------------------------------------------------------------------------------------------

_LOWER = ("greater_than_or_equal_to", "greater_than", "in_range")
_UPPER = ("less_than_or_equal_to", "less_than", "in_range")


def _number(name: str, kind: ColumnType, dtype: str, checks: Iterable[Any]) -> dict[str, Any]:
    lows: list[tuple[float, bool, Any]] = []
    highs: list[tuple[float, bool, Any]] = []
    values: set[Any] | None = None
    excluded: set[Any] = set()
    for check in checks:
        rule, given = _builtin(check), check.statistics
        if rule in _LOWER:
            lows.append(_bound(name, dtype, given["min_value"], _open(rule, given, "min"), up=True))
        if rule in _UPPER:
            highs.append(_bound(name, dtype, given["max_value"], _open(rule, given, "max"), up=False))
        if rule in ("isin", "equal_to"):
            legal = _numbers(kind, dtype, rule, _given(rule, given, "allowed_values"))
            values = legal if values is None else values & legal
        if rule in ("notin", "not_equal_to"):
            excluded |= _numbers(kind, dtype, rule, _given(rule, given, "forbidden_values"))
    low = max(lows, key=lambda b: (b[0], b[1]), default=(0, False, None))
    high = min(highs, key=lambda b: (b[0], not b[1]), default=(0, False, None))
    if values is not None and not values:
        raise InvalidInput(_impossible(name))
    return {
        "minimum": low[2],
        "exclusive_minimum": low[1],
        "maximum": high[2],
        "exclusive_maximum": high[1],
        "values": None if values is None else sorted(values),
        "excluded": sorted(excluded),
    }


def _open(rule: str, given: Mapping[str, Any], side: str) -> bool:
    """Whether the bound itself is not legal."""
    return (
        not given.get(f"include_{side}", True)
        if rule == "in_range"
        else rule in ("greater_than", "less_than")
    )


def _bound(name: str, dtype: str, given: Any, exclusive: bool, *, up: bool) -> tuple[float, bool, Any]:
    """The bound as pandas compares it, whether it is open, and as `serving.json` has it.

    A plain number is rounded to the column's type first; one that has a wider type of its own (numpy.float64)
    is not: then the next number of the column's type stands for it.
    """
    if isinstance(given, bool | np.bool_) or not isinstance(given, int | float | np.number):
        raise InvalidInput(f"the contract's column {name!r} has the bound {given!r}, which is no number")
    plain = given.item() if isinstance(given, np.number) else given
    if not math.isfinite(plain):
        raise InvalidInput(f"the contract's column {name!r} has the bound {plain!r}; leave it out")
    if not dtype.startswith("float"):
        return plain, exclusive, plain
    kind = np.dtype(dtype).type
    with np.errstate(over="ignore"):
        rounded = kind(plain)
        if isinstance(given, np.floating) and given.dtype.itemsize > np.dtype(dtype).itemsize:
            # x >= b and x > b mean the same for a b that no x can equal.
            if float(rounded) != plain:
                exclusive = False
                outward = rounded < plain if up else rounded > plain
                rounded = np.nextafter(rounded, kind(np.inf if up else -np.inf)) if outward else rounded
            return float(rounded), exclusive, float(rounded)
    return float(rounded), exclusive, plain


def _numbers(kind: ColumnType, dtype: str, rule: str, given: Iterable[Any]) -> set[Any]:
    """Listed values as pandas compares them: of an integer column those that are whole."""
    plain = [v.item() if isinstance(v, np.generic) else v for v in given]
    numbers = [v for v in plain if isinstance(v, int | float) and math.isfinite(v)]
    if kind == "integer":
        return {int(v) for v in numbers if v == int(v)}
    if rule in ("equal_to", "not_equal_to"):
        # `==` rounds the value to the column's type; `isin` compares as float64.
        with np.errstate(over="ignore"):
            return {float(np.dtype(dtype).type(v)) for v in numbers}
    return {float(v) for v in numbers}
