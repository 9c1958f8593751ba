"""Crontabs as Azure ML honours them."""

from __future__ import annotations

import re

_CRON = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_PART = re.compile(r"(?P<low>\*|\w+)(?:-(?P<high>\w+))?(?:/(?P<step>\d+))?")


def cron_problem(expression: str, *, parts: bool = True) -> str:
    """Why `expression` is no crontab of five fields that Azure ML honours; empty when it is one.

    `parts`: also say which parts a job's schedule ignores.
    """
    fields = expression.split()
    if len(fields) != len(_CRON):
        return f"must have five fields (minute hour day-of-month month day-of-week); got {len(fields)}"
    for text, (name, low, high, names) in zip(fields, _CRON, strict=True):
        for part in text.split(","):
            if not _part(part, low, high, names):
                allowed = f"{low} to {high}, *, lists (,), ranges (-), steps (/)"
                return f"the {name} {text!r} is wrong; allowed: {allowed}"
    # https://learn.microsoft.com/azure/machine-learning/reference-yaml-schedule: values there are ignored.
    if parts and (fields[2] != "*" or fields[3] != "*"):
        return (
            "Azure ML ignores day of month and month and treats them as *; use a recurrence with month_days"
        )
    return ""


def _part(part: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(part)
    if match is None or (match["step"] is not None and int(match["step"]) < 1):
        return False
    if match["low"] == "*":
        return match["high"] is None
    ends = [_number(text, low, names) for text in (match["low"], match["high"]) if text is not None]
    known = [end for end in ends if end is not None]
    return len(known) == len(ends) and all(low <= end <= high for end in known) and known == sorted(known)


def _number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text.isdecimal():
        return int(text)
    return names.index(text.lower()) + low if text.lower() in names else None
