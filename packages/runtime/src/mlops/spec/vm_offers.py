"""Sizes of virtual machines that Azure sells, and where: a dated table, asked by lint and by stack files.

What is newer than the table goes to `vm_sizes` of [lint] in mlops.toml, which is believed. Whether a
subscription may use a size in a region, only a login tells: `mlops doctor` asks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Final

from mlops.spec.near import nearest

READ: Final = date(2026, 6, 18)
"""When the price list was read that `vm_offers.txt` is made of."""
_SIZE: Final = re.compile(r"(?:standard|basic)_([a-z]+)(\d+(?:-\d+)?)([a-z0-9_-]*?)(?:_promo)?")
_CLOSE: Final = 0.75


@dataclass(frozen=True)
class Offer:
    """One series: its vCPUs as in a name (`8`, `8-4`), and the regions that have no price of it."""

    form: str
    vcpus: tuple[str, ...]
    lacks: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    """The only regions with a price; empty for all but `lacks`."""

    def sold_in(self, region: str) -> bool:
        return region in self.only if self.only else region not in self.lacks

    def name(self, vcpus: str) -> str:
        """Such as Standard_D4ds_v5."""
        return f"Standard_{self.form.replace('*', vcpus)}"


@dataclass(frozen=True)
class _Table:
    offers: Mapping[str, Offer]
    """By form in lower case."""
    unknown: frozenset[str]
    """Regions that the price list does not have."""


@cache
def _table() -> _Table:
    text = files("mlops.spec").joinpath("vm_offers.txt").read_text(encoding="utf-8")
    offers: dict[str, Offer] = {}
    unknown: frozenset[str] = frozenset()
    for line in text.splitlines():
        if line.startswith("# "):
            unknown |= frozenset(line.partition("Nothing is known of: ")[2].split())
            continue
        form, vcpus, *where = line.split(" ")
        regions = frozenset(where[1].split(",")) if where else frozenset()
        offers[form.lower()] = Offer(
            form,
            tuple(vcpus.split(",")),
            lacks=regions if where[:1] == ["lacks"] else frozenset(),
            only=regions if where[:1] == ["only"] else frozenset(),
        )
    return _Table(offers, unknown)


def _parted(name: str) -> tuple[str, str] | None:
    """The form of a series in lower case, and the vCPUs; None for what is no size."""
    match = _SIZE.fullmatch(name.strip().lower())
    return (f"{match[1]}*{match[3]}", match[2]) if match else None


def size_problem(name: str, also: Collection[str] = ()) -> str:
    """Why Azure has no such size; empty when it has, or when nothing can be said (an expression).

    `also` are sizes in lower case that somebody vouches for.
    """
    if "${{" in name or name.strip().lower() in also:
        return ""
    parted = _parted(name)
    if parted is None:
        return f"{name!r} is no size of a virtual machine; they look like Standard_DS3_v2"
    form, vcpus = parted
    offer = _table().offers.get(form)
    if offer is None:
        return (
            f"Azure has no series of {name!r}{_near(form, vcpus)}; "
            "a newer one goes to vm_sizes of [lint] in mlops.toml"
        )
    if vcpus not in offer.vcpus:
        return f"Azure has no {name!r}; this series has {', '.join(offer.vcpus)}"
    return ""


def _near(form: str, vcpus: str) -> str:
    """`, did you mean …?`: a series that is spelt alike and has as many vCPUs."""
    alike = [known for known, offer in _table().offers.items() if vcpus in offer.vcpus]
    close = nearest(form, alike, _CLOSE)
    return f", did you mean {_table().offers[close].name(vcpus)}?" if close else ""


def region_problem(name: str, region: str, also: Collection[str] = ()) -> str:
    """Why a size that Azure has cannot be had in a region; empty when it can, or when nobody knows."""
    parted = _parted(name)
    if parted is None or name.strip().lower() in also or region in _table().unknown:
        return ""
    offer = _table().offers.get(parted[0])
    if offer is None or offer.sold_in(region):
        return ""
    return (
        f"{name} has no price in {region} (Azure's list of {READ:%d %B %Y}), so it is not sold there; take "
        "another size or region, or, if Azure sells it by now, name it in vm_sizes of [lint] in mlops.toml"
    )
