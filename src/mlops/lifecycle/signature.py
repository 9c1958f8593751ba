"""Whether clients of the live model can go on with another: requests stay valid, answers keep shape."""

from __future__ import annotations

import math

from mlops.spec.schema import Column, ModelSchema


def breaking_changes(live: ModelSchema, new: ModelSchema) -> list[str]:
    """Sentences, one for each way in which `new` refuses or answers otherwise than `live`; pure.

    A new nullable column breaks nobody. An integer column that takes any number, wider bounds and
    additional categories do not either.
    """
    found = []
    if live.task != new.task:
        found.append(f"the task was {live.task} and is {new.task}")
    elif live.classes != new.classes:
        found.append(f"the classes were {', '.join(live.classes)} and are {', '.join(new.classes)}")
    before = {column.name: column for column in live.columns}
    after = {column.name: column for column in new.columns}
    for name, column in before.items():
        if name not in after:
            found.append(f"column {name!r} was removed or renamed")
        else:
            found += [f"column {name!r} {change}" for change in _narrowed(column, after[name])]
    found += [
        f"column {name!r} is new and required"
        for name, column in after.items()
        if name not in before and not column.nullable
    ]
    return found


def _narrowed(live: Column, new: Column) -> list[str]:
    found = []
    if new.type != live.type and (live.type, new.type) != ("integer", "number"):
        found.append(f"was of type {live.type} and is {new.type}")
    if live.nullable and not new.nullable:
        found.append("could be null and no longer can")
    if _or(new.minimum, -math.inf) > _or(live.minimum, -math.inf):
        found.append(f"has the minimum {new.minimum:g}, which is higher than before")
    if _or(new.maximum, math.inf) < _or(live.maximum, math.inf):
        found.append(f"has the maximum {new.maximum:g}, which is lower than before")
    if new.categories is not None and new.unknown_category == "refuse":
        if live.categories is None or live.unknown_category == "accept":
            found.append("refuses values outside its categories, which it did not before")
        elif lost := sorted(set(live.categories) - set(new.categories)):
            found.append(f"no longer takes {', '.join(lost[:5])}")
    return found


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
