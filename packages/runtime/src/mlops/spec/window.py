"""A window of calendar months, written `2013-01..2013-03` (both ends included) or `2013-04`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

_GRAMMAR = re.compile(r"(\d{4})-(\d{2})(?:\.\.(\d{4})-(\d{2}))?")


@dataclass(frozen=True, order=True)
class Window:
    """Whole months from `first` to `last`, each the first day of its month."""

    first: date
    last: date

    @classmethod
    def parse(cls, text: str) -> Window:
        """Parse the grammar above; raises `ValueError` with a sentence."""
        match = _GRAMMAR.fullmatch(text)
        if not match:
            raise ValueError("a window is written 2013-01..2013-03 or 2013-04")
        y1, m1, y2, m2 = match.groups()
        try:
            first = date(int(y1), int(m1), 1)
            last = date(int(y2), int(m2), 1) if y2 else first
        except ValueError as error:
            raise ValueError(f"a window is written 2013-01..2013-03 ({error})") from None
        if last < first:
            raise ValueError("the last month of a window must not be before its first")
        return cls(first, last)

    @property
    def end(self) -> date:
        """The first day after the window."""
        return date(self.last.year + self.last.month // 12, self.last.month % 12 + 1, 1)

    @property
    def months(self) -> int:
        """How many months the window spans."""
        return (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1

    def split(self) -> list[Window]:
        """Its months, each as a window."""
        found, first = [], self.first
        while first <= self.last:
            found.append(Window(first, first))
            first = found[-1].end
        return found

    def __str__(self) -> str:
        first, last = f"{self.first:%Y-%m}", f"{self.last:%Y-%m}"
        return first if first == last else f"{first}..{last}"
