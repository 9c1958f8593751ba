"""What the program knows of the day: as little as possible, because a value that depends on it changes by
itself.

The budget alone needs it. Azure refuses a month that has passed, so the month is that of the first update,
and `ignore_changes` keeps it from then on. A plan has no day: the same commit gives the same text.
"""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, date, datetime
from typing import Final, Literal

NO_DAY: Final = "no day"
FIRST_MONTH: Final = "[month of the first update]"
LAST_MONTH: Final = "[ten years later]"
_YEARS: Final = 10
_AHEAD: Final = 12
"""Months that Azure lets a budget start in the future."""

_DAY: ContextVar[date | Literal["no day"] | None] = ContextVar("day", default=None)


def pin(day: date | Literal["no day"]) -> None:
    """From here on it is this day in this run, or none at all."""
    _DAY.set(day)


def today() -> date | None:
    """The day in UTC; None in a plan."""
    day = _DAY.get()
    if day == NO_DAY:
        return None
    return day if isinstance(day, date) else datetime.now(UTC).date()


def budget_period(wanted: date | None) -> tuple[str, str]:
    """Start and end of a budget that is made today; `wanted` counts while it is still to come."""
    day = today()
    if day is None:
        return FIRST_MONTH, LAST_MONTH
    start = day.replace(day=1)
    if wanted and 0 < _months(start, wanted) <= _AHEAD:
        start = wanted
    return (
        f"{start.isoformat()}T00:00:00Z",
        f"{start.replace(year=start.year + _YEARS).isoformat()}T00:00:00Z",
    )


def too_far(wanted: date, day: date) -> bool:
    """Whether Azure refuses that month as the start of a budget on this day."""
    return _months(day, wanted) > _AHEAD


def _months(one: date, other: date) -> int:
    return (other.year - one.year) * 12 + other.month - one.month
