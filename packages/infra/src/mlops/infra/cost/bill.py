"""The bill of a stack: a line a meter of a resource, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlops.infra.cost.prices import Meter, price
from mlops.infra.cost.uses import FREE, PRICED, Load, Use, Uses
from mlops.infra.model import Captured, Resource

NOWHERE = ""


@dataclass(frozen=True, order=True)
class Line:
    """US dollars a month. `region` is where the price holds; empty without a price."""

    resource: str
    meter: str
    idle: float
    busy: float
    region: str
    note: str = ""

    @property
    def priced(self) -> bool:
        return bool(self.region)


@dataclass(frozen=True)
class Bill:
    """One stack: `lines`, and resources whose kind has no known price."""

    stack: str
    region: str
    lines: tuple[Line, ...]
    unknown: tuple[str, ...] = ()

    @property
    def idle(self) -> float:
        return sum(line.idle for line in self.lines)

    @property
    def loaded(self) -> float:
        return self.idle + sum(line.busy for line in self.lines)

    @property
    def missing(self) -> tuple[str, ...]:
        """What the totals lack, as sentences."""
        meters = sorted({line.meter for line in self.lines if not line.priced})
        return (
            *(f"no price of {meter}" for meter in meters),
            *(f"nobody says what {name} costs" for name in self.unknown),
        )


def bill(
    captured: Captured,
    meters: Mapping[str, Meter],
    load: Load,
    deployments: Mapping[str, Use] | None = None,
    own: Mapping[str, Uses] | None = None,
) -> Bill:
    """`deployments` is what serves each model there, `own` the uses of the repository's own kinds."""
    known = {**PRICED, **(own or {})}
    places = [_region(r, "") for r in captured.azure]
    region = next((place for place in places if place), "")
    lines: list[Line] = []
    unknown = []
    for resource in captured.judged:
        if uses := known.get(resource.kind):
            lines += _lines(resource.name, uses(resource, load), meters, _region(resource, region))
        elif resource.kind not in FREE:
            unknown.append(f"{resource.name} ({resource.kind})")
    for model, use in (deployments or {}).items():
        lines += _lines(f"deployment {model}", [use], meters, region)
    return Bill(captured.stack, region, tuple(sorted(lines)), tuple(sorted(unknown)))


def _region(resource: Resource, otherwise: str) -> str:
    """Where the resource is; what is global is paid for as the stack's other resources are."""
    place = str(resource.get("location") or "")
    return otherwise if place.lower() in {"", "global"} else place


def _lines(name: str, uses: Iterable[Use], meters: Mapping[str, Meter], region: str) -> Iterable[Line]:
    for use in uses:
        if not use.idle and not use.busy:
            continue
        cost = price(meters, use.meter, region)
        amount = cost.amount if cost else 0.0
        where = cost.region if cost else NOWHERE
        yield Line(name, use.meter, use.idle * amount, use.busy * amount, where, use.note)


def difference(before: Bill | None, after: Bill) -> list[tuple[str, float, float]]:
    """(resource, idle, loaded) of each resource whose cost changes, dearest first."""
    old = _by_resource(before) if before else {}
    new = _by_resource(after)
    zero = (0.0, 0.0)
    changed = [
        (
            name,
            new.get(name, zero)[0] - old.get(name, zero)[0],
            new.get(name, zero)[1] - old.get(name, zero)[1],
        )
        for name in {*old, *new}
    ]
    return sorted(
        (c for c in changed if abs(c[1]) >= 0.005 or abs(c[2]) >= 0.005), key=lambda c: (-abs(c[2]), c[0])
    )


def _by_resource(one: Bill) -> dict[str, tuple[float, float]]:
    totals: dict[str, tuple[float, float]] = {}
    for line in one.lines:
        idle, loaded = totals.get(line.resource, (0.0, 0.0))
        totals[line.resource] = (idle + line.idle, loaded + line.idle + line.busy)
    return totals
