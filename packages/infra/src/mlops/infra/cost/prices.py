"""The table of prices: what the repository's own says, and for the rest the one of this package."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Final

from pydantic import Field

from mlops.spec._base import Spec
from mlops.spec._yaml import Document

OWN: Final = "environments/prices.yaml"
RENEW: Final = "mlops infra cost --renew"
_STAND_IN: Final = ("eastus", "westeurope")
"""Regions that other ones are often priced like."""
STALE: Final = 6
"""Months after which a table is told to be old: Azure changes prices of some meters every month."""


class Meter(Spec):
    """One price by region, a unit: what the name says it counts."""

    source: str = Field(alias="from")
    """Who said so."""
    read: date | None = None
    """The day on which they held; None for that of the table."""
    prices: dict[str, float] = Field(min_length=1)
    """US dollars by region."""


class Table(Spec):
    """All prices, the day on which they held, and where they were read."""

    read: date
    source: str
    meters: dict[str, Meter]


def months_old(held: date, day: date) -> int:
    """Whole months since prices were read; none for a table of the future."""
    months = (day.year - held.year) * 12 + day.month - held.month - (day.day < held.day)
    return max(months, 0)


def old(known: Table, day: date | None) -> str:
    """A sentence about a table that is too old to rely on; empty for a fresh one, and where no day counts."""
    if day is None or (months := months_old(known.read, day)) < STALE:
        return ""
    told = f"These prices are {months} months old (read on {known.read})"
    newer = f"; those of machines were {read_of_machines(known)}" if read_of_machines(known) else ""
    return f"{told}{newer}. Sums may be off. Renew them: {RENEW}"


def read_of_machines(known: Table) -> str:
    """`read on <day>` of the prices of virtual machines, where that is another day than the table's."""
    days = {m.read for name, m in known.meters.items() if name.startswith("vm ") and m.read} - {known.read}
    return f"read on {min(days)}" if days else ""


@dataclass(frozen=True)
class Price:
    """`region` is where the price holds: another one than asked for where the table lacks that."""

    amount: float
    region: str


def table(root: Path) -> Table:
    """The repository's own meters before those of the package. Raises `InvalidInput` with file, line and
    field."""
    text = files("mlops.infra.cost").joinpath("prices.yaml").read_text(encoding="utf-8")
    packaged = Document(text, "prices.yaml").parse(Table)
    if not (root / OWN).is_file():
        return packaged
    own = Document.read(root / OWN, OWN).parse(Table)
    source = f"{own.source.rstrip('.')}; else {packaged.source}"
    return Table(read=own.read, source=source, meters={**_dated(packaged), **_dated(own)})


def used(known: Table, meters: Collection[str]) -> Table:
    """Of a table the meters of a bill, read on the day on which the oldest of them was."""
    found = {name: meter for name, meter in _dated(known).items() if name in meters}
    days = [meter.read for meter in found.values() if meter.read]
    return Table(read=min(days, default=known.read), source=known.source, meters=found)


def _dated(known: Table) -> dict[str, Meter]:
    """Its meters, each with the day on which it was read."""
    return {
        name: meter if meter.read else meter.model_copy(update={"read": known.read})
        for name, meter in known.meters.items()
    }


def price(meters: Mapping[str, Meter], meter: str, region: str) -> Price | None:
    """The price in `region`, else the one of another that has one; None for an unknown meter."""
    known = meters.get(meter)
    if known is None:
        return None
    where = next((r for r in (region, *_STAND_IN) if r in known.prices), min(known.prices))
    return Price(known.prices[where], where)
