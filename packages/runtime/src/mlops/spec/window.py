"""A window of time: whole months, weeks or days, both ends included.

Written `2013-01..2013-03`, `2013-W05..2013-W09` (ISO weeks) or `2013-01-15..2013-02-14`; one alone is
`2013-04`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Unit = Literal["month", "week", "day"]

_ENDS: dict[Unit, str] = {
    "month": r"(\d{4})-(\d{2})",
    "week": r"(\d{4})-W(\d{2})",
    "day": r"(\d{4})-(\d{2})-(\d{2})",
}
_GRAMMAR: dict[Unit, re.Pattern[str]] = {
    u: re.compile(rf"({end})(?:\.\.({end}))?") for u, end in _ENDS.items()
}
WRITTEN = (
    "2013-01..2013-03 (months), 2013-W05..2013-W09 (weeks), 2013-01-15..2013-02-14 (days), or one of these"
)
"""What a sentence says of the grammar."""


@dataclass(frozen=True, order=True)
class Window:
    """From `first` to `last`: each the first day of its month, week or day."""

    first: date
    last: date
    unit: Unit = "month"

    @classmethod
    def parse(cls, text: str) -> Window:
        """Parse the grammar above; raises `ValueError` with a sentence."""
        for unit, grammar in _GRAMMAR.items():
            match = grammar.fullmatch(text)
            if match is None:
                continue
            one, other = match[1], match[1 + grammar.groups // 2]
            try:
                first = _day(one, unit)
                last = _day(other, unit) if other else first
            except ValueError as error:
                raise ValueError(f"a window is written {WRITTEN} ({error})") from None
            if last < first:
                raise ValueError(f"the last {unit} of a window must not be before its first")
            return cls(first, last, unit)
        raise ValueError(f"a window is written {WRITTEN}")

    @classmethod
    def within(cls, first: date, end: date, unit: Unit) -> Window | None:
        """The whole months, weeks or days from `first` to the day before `end`; None when there is none."""
        begin = _floor(first, unit)
        if begin < first:
            begin = shifted(begin, unit, 1)
        last = shifted(_floor(end, unit), unit, -1)
        return None if last < begin else cls(begin, last, unit)

    @property
    def end(self) -> date:
        """The first day after the window."""
        return shifted(self.last, self.unit, 1)

    @property
    def count(self) -> int:
        """How many months, weeks or days the window spans."""
        if self.unit == "month":
            return (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1
        return (self.end - self.first).days // (7 if self.unit == "week" else 1)

    def split(self) -> list[Window]:
        """Its months, weeks or days, each as a window."""
        parts, first = [], self.first
        while first <= self.last:
            parts.append(Window(first, first, self.unit))
            first = parts[-1].end
        return parts

    def __str__(self) -> str:
        first, last = _text(self.first, self.unit), _text(self.last, self.unit)
        return first if first == last else f"{first}..{last}"


def shifted(day: date, unit: Unit, by: int) -> date:
    """The first day of the month, week or day that comes `by` later."""
    if unit == "month":
        number = day.year * 12 + day.month - 1 + by
        return date(number // 12, number % 12 + 1, 1)
    return day + timedelta(days=by * (7 if unit == "week" else 1))


def _floor(day: date, unit: Unit) -> date:
    if unit == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if unit == "week" else day


def _day(text: str, unit: Unit) -> date:
    if unit == "month":
        year, month = text.split("-")
        return date(int(year), int(month), 1)
    if unit == "week":
        year, week = text.split("-W")
        return date.fromisocalendar(int(year), int(week), 1)
    return date.fromisoformat(text)


def _text(day: date, unit: Unit) -> str:
    if unit == "month":
        return f"{day:%Y-%m}"
    if unit == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02d}"
    return day.isoformat()
