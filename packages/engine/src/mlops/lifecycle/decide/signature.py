"""Whether clients of the live model can go on with another: requests stay valid, answers keep shape."""

from __future__ import annotations

import math

import numpy as np

from mlops.spec import cells
from mlops.spec.admits import whole_bounds
from mlops.spec.schema import Column, ModelSchema


def breaking_changes(live: ModelSchema, new: ModelSchema) -> list[str]:
    """Sentences, one for each way in which `new` refuses or answers otherwise than `live`; pure.

    A new nullable column breaks nobody. An integer column that takes any number, wider bounds and
    additional categories do not either.
    """
    changes = []
    if live.task != new.task:
        changes.append(f"the task was {live.task} and is {new.task}")
    elif live.classes != new.classes:
        changes.append(f"the classes were {', '.join(live.classes)} and are {', '.join(new.classes)}")
    elif live.outputs != new.outputs:
        was, now = (", ".join(s.outputs) or "one number" for s in (live, new))
        changes.append(f"the values of an answer were {was} and are {now}")
    before = {column.name: column for column in live.columns}
    after = {column.name: column for column in new.columns}
    for name, column in before.items():
        if name not in after:
            changes.append(f"column {name!r} was removed or renamed")
        else:
            changes += [f"column {name!r} {change}" for change in _narrowed(column, after[name])]
    changes += [
        f"column {name!r} is new and required"
        for name, column in after.items()
        if name not in before and not column.nullable
    ]
    return changes


def _narrowed(live: Column, new: Column) -> list[str]:
    changes = []
    if new.type != live.type and (live.type, new.type) != ("integer", "number"):
        changes.append(f"was of type {live.type} and is {new.type}")
    if live.nullable and not new.nullable:
        changes.append("could be null and no longer can")
    changes += _bounds(live, new)
    changes += _rules(live, new)
    changes += _shapes(live, new)
    if new.categories is not None and new.unknown_category == "refuse":
        if live.categories is None or live.unknown_category == "accept":
            changes.append("refuses values outside its categories, which it did not before")
        elif lost := sorted(set(live.categories) - set(new.categories)):
            changes.append(f"no longer takes {', '.join(lost[:5])}")
    return changes


def _bounds(live: Column, new: Column) -> list[str]:
    """Of whole numbers their type's range counts too; of others it is the same for all."""
    lows, highs = zip(_ends(live), _ends(new), strict=True)
    changes = []
    if lows[1] > lows[0]:
        changes.append(f"has the minimum {lows[1][0]:g}, which is higher than before")
    if highs[1] < highs[0]:
        changes.append(f"has the maximum {highs[1][0]:g}, which is lower than before")
    return changes


def _ends(column: Column) -> tuple[tuple[float, bool], tuple[float, bool]]:
    """Lowest and highest value, each with whether it is legal itself, such that they compare."""
    if column.type == "integer":
        low, high = whole_bounds(column)
        return (low, False), (high, True)
    least, most = _or(column.minimum, -math.inf), _or(column.maximum, math.inf)
    return (least, column.exclusive_minimum), (most, not column.exclusive_maximum)


def _rules(live: Column, new: Column) -> list[str]:
    """Rules for single values. Whether one regular expression admits more than another is not asked."""
    changes = []
    if new.values is not None and (live.values is None or not set(live.values) <= set(new.values)):
        changes.append(f"takes {', '.join(map(str, new.values[:5]))} only, which it did not before")
    if lost := [value for value in new.excluded if value not in live.excluded]:
        changes.append(f"no longer takes {', '.join(map(str, lost[:5]))}")
    if (new.min_length or 0) > (live.min_length or 0):
        changes.append(f"needs {new.min_length} {_unit(new)}, which is more than before")
    if _longest(new) < _longest(live):
        changes.append(f"takes {_longest(new):g} {_unit(new)}, which is less than before")
    changes += [
        f"has a rule for its text that it had not ({rule.kind} {rule.text!r})"
        for rule in new.texts
        if rule not in live.texts
    ]
    return changes


def _shapes(live: Column, new: Column) -> list[str]:
    """Rules for moments, vectors, lists and images."""
    changes = []
    if new.items != live.items:
        changes.append(f"held a {live.items} in each entry and holds a {new.items}")
    for name in ("size", "width", "height", "mode"):
        wanted, before = getattr(new, name), getattr(live, name)
        if wanted and wanted != before:
            changes.append(f"must have the {name} {wanted}, and {before or 'any'} was legal")
    # Without an end of its own it is not a time, and neither later nor earlier than any.
    if np.datetime64(new.earliest) > np.datetime64(live.earliest or cells.EARLIEST):
        changes.append(f"begins at {new.earliest}, which is later than before")
    if np.datetime64(new.latest) < np.datetime64(live.latest or cells.LATEST):
        changes.append(f"ends at {new.latest}, which is earlier than before")
    return changes


def _longest(column: Column) -> float:
    most = cells.MOST_BYTES if column.type == "image" else math.inf
    return _or(column.max_length, most)


def _unit(column: Column) -> str:
    return {"image": "bytes", "list": "entries"}.get(column.type, "characters")


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
