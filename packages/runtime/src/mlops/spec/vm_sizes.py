"""VM sizes that end: a dated table (`vm_sizes.yaml`), read by plan, doctor, profile and lint.

A size that the table lacks is not known to end; whether a region has it, only Azure can tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from pydantic import field_validator

from mlops.spec._base import Spec
from mlops.spec._yaml import Document

PREFIX: Final = "Standard_"
SOON: Final = timedelta(days=365)
"""A cluster that is made today should live that long."""
PAGE: Final = (
    "https://raw.githubusercontent.com/MicrosoftDocs/azure-compute-docs/main/articles/virtual-machines/"
    "sizes/retirement/retired-sizes-list.md"
)
"""The source of Microsoft's page, which `mlops infra sizes --renew` reads."""


class Series(Spec):
    """Sizes of one kind of machine."""

    series: str
    """As Microsoft's page calls it, without `-series`."""
    sizes: str
    """A pattern of their names, without `Standard_`."""
    gpu: str = ""
    """The accelerator; empty without one."""
    ends: date | None = None
    """Azure stops its machines on that day."""
    instead: str = ""
    """A size to start from."""

    @field_validator("sizes")
    @classmethod
    def _pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"must be a regular expression: {error}") from None
        return value


class Table(Spec):
    """All series, and the day on which the pages were read."""

    read: date
    series: tuple[Series, ...]


@cache
def table() -> Table:
    """The table of this package."""
    text = files("mlops.spec").joinpath("vm_sizes.yaml").read_text(encoding="utf-8")
    return Document(text, "vm_sizes.yaml").parse(Table)


def series_of(size: str) -> Series | None:
    """The series of a size such as `Standard_NC6s_v3`, whatever its casing; None for one that never ends."""
    name = size[len(PREFIX) :] if size.lower().startswith(PREFIX.lower()) else size
    found = (s for s in table().series if re.fullmatch(s.sizes, name, flags=re.IGNORECASE))
    return next(found, None)


def has_gpu(size: str) -> bool:
    """Whether a machine of this size has an accelerator: all of Azure's N series."""
    name = size[len(PREFIX) :] if size.lower().startswith(PREFIX.lower()) else size
    return name[:2].upper() in {"NC", "ND", "NV", "NG"}


Verdict = Literal["ended", "soon", "fine"]


def verdict(size: str, today: date) -> Verdict:
    """Whether Azure still makes machines of a size, and will for a year."""
    series = series_of(size)
    if series is None or series.ends is None or series.ends > today + SOON:
        return "fine"
    return "ended" if series.ends <= today else "soon"


def sentence(size: str, today: date) -> str:
    """What is wrong with a size, and what to take instead; empty when it is fine."""
    series = series_of(size)
    if series is None or series.ends is None or (judged := verdict(size, today)) == "fine":
        return ""
    said = "Azure retired" if judged == "ended" else "Azure retires"
    then = f"; take for example {series.instead}" if series.instead else ""
    return f"{size} is of the series {series.series}, which {said} on {series.ends:%d %B %Y}{then}"


def ends_of_page(markdown: str) -> Mapping[str, date]:
    """Of Microsoft's page, the day on which each series ends; raises `ValueError` when it holds no table."""
    found: dict[str, date] = {}
    for line in markdown.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if len(cells) == 5 and (day := _day(cells[3])):
            found[_name(cells[0])] = day
    if not found:
        raise ValueError("holds no table with the columns series, status, announcement and date")
    return found


def renewed(text: str, ends: Mapping[str, date], today: date) -> tuple[str, list[str]]:
    """The table's file with the days of the page, and the series of the page that it lacks."""
    known = {s.series for s in Document(text, "vm_sizes.yaml").parse(Table).series}
    text = re.sub(r"(?m)^read: .*$", f"read: {today.isoformat()}", text)
    for name, day in ends.items():
        row = rf"(?m)^(  - {{series: {re.escape(name)}, .*?)(, ends: [0-9-]+)?(, instead: .*)?}}$"
        text = re.sub(row, rf"\g<1>, ends: {day.isoformat()}\g<3>}}", text)
    return text, sorted(set(ends) - known)


def _name(cell: str) -> str:
    """`NVv3-series`, `B-series (V1)` and `NCv3-NC24rs Series` as the table has them."""
    name = re.sub(r"[- ][Ss]eries", "", cell).strip()
    return re.sub(r"\s*\((\w+)\)$", r"-\1", name)


def _day(cell: str) -> date | None:
    """Month first, as the page writes; a number above twelve in front is a day."""
    found = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})", cell)
    if not found:
        return None
    first, second, year = (int(n) for n in found.groups())
    month, day = (second, first) if first > 12 else (first, second)
    return date(year if year > 99 else 2000 + year, month, day)
