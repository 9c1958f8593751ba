"""VM sizes that end: a dated table, read by plan, policy, doctor, profile and lint.

A repository's own table (`environments/vm_sizes.yaml`) is read before that of this package. A size that
neither has is not known to end; whether a region has it, only Azure can tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
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
OWN: Final = "environments/vm_sizes.yaml"
"""The table of a repository; `mlops infra sizes --renew` writes it."""


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
def packaged() -> Table:
    """The table of this package."""
    text = files("mlops.spec").joinpath("vm_sizes.yaml").read_text(encoding="utf-8")
    return Document(text, "vm_sizes.yaml").parse(Table)


def table(root: Path | None) -> Table:
    """The package's table, and before it the repository's own where it has one.

    A series that both have counts as it was read last: a package that was updated is not held back by a table
    that nobody renewed. Raises `InvalidInput` with file, line and field.
    """
    given = packaged()
    if root is None or not (root / OWN).is_file():
        return given
    own = Document.read(root / OWN, OWN).parse(Table)
    older = {s.series for s in given.series} if own.read < given.read else set()
    kept = tuple(s for s in own.series if s.series not in older)
    names = {s.series for s in kept}
    rest = tuple(s for s in given.series if s.series not in names)
    return Table(read=max(own.read, given.read), series=(*kept, *rest))


def series_of(size: str, sizes: Table) -> Series | None:
    """The series of a size such as `Standard_NC6s_v3`, whatever its casing; None for one that never ends."""
    name = size[len(PREFIX) :] if size.lower().startswith(PREFIX.lower()) else size
    matching = (s for s in sizes.series if re.fullmatch(s.sizes, name, flags=re.IGNORECASE))
    return next(matching, None)


def has_gpu(size: str) -> bool:
    """Whether a machine of this size has an accelerator: all of Azure's N series."""
    name = size[len(PREFIX) :] if size.lower().startswith(PREFIX.lower()) else size
    return name[:2].upper() in {"NC", "ND", "NV", "NG"}


Verdict = Literal["ended", "soon", "fine"]


def verdict(size: str, today: date, sizes: Table) -> Verdict:
    """Whether Azure still makes machines of a size, and will for a year."""
    series = series_of(size, sizes)
    if series is None or series.ends is None or series.ends > today + SOON:
        return "fine"
    return "ended" if series.ends <= today else "soon"


def sentence(size: str, today: date, sizes: Table) -> str:
    """What is wrong with a size, and what to take instead; empty when it is fine."""
    series = series_of(size, sizes)
    if series is None or series.ends is None or (judged := verdict(size, today, sizes)) == "fine":
        return ""
    said = "Azure retired" if judged == "ended" else "Azure retires"
    then = f"; take for example {series.instead}" if series.instead else ""
    return f"{size} is of the series {series.series}, which {said} on {series.ends:%d %B %Y}{then}"


def ends_of_page(markdown: str) -> Mapping[str, date]:
    """Of Microsoft's page, the day on which each series ends; raises `ValueError` when it holds no table."""
    ends: dict[str, date] = {}
    for line in markdown.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if len(cells) == 5 and (day := _day(cells[3])):
            ends[_name(cells[0])] = day
    if not ends:
        raise ValueError("holds no table with the columns series, status, announcement and date")
    return ends


def renewed(known: Table, ends: Mapping[str, date], today: date) -> tuple[str, list[str]]:
    """The file of a repository's own table: all that is known with the days of the page; and the series of
    the page that no line has."""
    lines = [
        "# Written by `mlops infra sizes --renew`. A series of your own is a line here; the first pattern",
        "# that matches a size counts.",
        "# yamllint disable rule:line-length",
        f"# When they end: {PAGE}",
        f"read: {today.isoformat()}",
        "series:",
        *(_line(s.model_copy(update={"ends": ends.get(s.series, s.ends)})) for s in known.series),
    ]
    return "\n".join(lines) + "\n", sorted(set(ends) - {s.series for s in known.series})


def _line(series: Series) -> str:
    """As YAML; what is text is quoted, for a pattern holds anything."""
    said = {"series": series.series, "sizes": series.sizes, "gpu": series.gpu, "instead": series.instead}
    parts = [f"{name}: {json.dumps(value)}" for name, value in said.items() if value]
    if series.ends:
        parts.append(f"ends: {series.ends.isoformat()}")
    return f"  - {{{', '.join(parts)}}}"


def _name(cell: str) -> str:
    """`NVv3-series`, `B-series (V1)` and `NCv3-NC24rs Series` as the table has them."""
    name = re.sub(r"[- ][Ss]eries", "", cell).strip()
    return re.sub(r"\s*\((\w+)\)$", r"-\1", name)


def _day(cell: str) -> date | None:
    """Month first, as the page writes; a number above twelve in front is a day."""
    match = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})", cell)
    if not match:
        return None
    first, second, year = (int(n) for n in match.groups())
    month, day = (second, first) if first > 12 else (first, second)
    return date(year if year > 99 else 2000 + year, month, day)
