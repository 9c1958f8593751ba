"""What changes between the program of a base commit and this one, as Pulumi would name it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..arm_types import known
from ..model import Captured, Resource

Kind = Literal["create", "update", "replace", "delete"]
ORDER: tuple[Kind, ...] = ("create", "update", "replace", "delete")
SYMBOLS: Mapping[Kind, str] = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
_ABSENT = "(absent)"
# Azure refuses to change these in place, whatever the resource.
_FIXED = frozenset({"location", "resourceGroupName"})


@dataclass(frozen=True, order=True)
class PropertyChange:
    """A dotted path, what it was and what it becomes; secrets are masked on both sides."""

    path: str
    before: Any
    after: Any
    replaces: bool = False


@dataclass(frozen=True)
class Change:
    """What happens to one resource, and why."""

    kind: Kind
    name: str
    type: str
    urn: str
    properties: tuple[PropertyChange, ...] = ()
    protected: bool = False


def changes(before: Captured | None, after: Captured | None) -> list[Change]:
    """All changes from `before` to `after`, sorted by kind of change and URN; None stands for no such
    stack."""
    new = {r.urn: r for r in after} if after else {}
    old = {_now(r.urn, new): r for r in before} if before else {}
    listed = [_whole("create", new[u]) for u in new.keys() - old.keys() if new[u].custom]
    listed += [_whole("delete", old[u]) for u in old.keys() - new.keys() if old[u].custom]
    for urn in old.keys() & new.keys():
        properties = tuple(sorted(_properties(old[urn], new[urn]), key=lambda p: p.path))
        if properties and new[urn].custom:
            kind: Kind = "replace" if any(p.replaces for p in properties) else "update"
            listed.append(_whole(kind, new[urn], properties, protected=bool(old[urn].options.get("protect"))))
    return sorted(listed, key=lambda c: (ORDER.index(c.kind), c.urn))


def _now(urn: str, new: Mapping[str, Resource]) -> str:
    """The URN under which `new` has the resource: it may have another name there, with an alias."""
    if urn in new:
        return urn
    path, _, name = urn.rpartition("::")
    same = (
        u for u, r in new.items() if u.rpartition("::")[0] == path and name in r.options.get("aliases", ())
    )
    return next(same, urn)


def _whole(
    kind: Kind,
    resource: Resource,
    properties: tuple[PropertyChange, ...] = (),
    *,
    protected: bool | None = None,
) -> Change:
    guarded = bool(resource.options.get("protect")) if protected is None else protected
    return Change(kind, resource.name, resource.kind, resource.urn, properties, guarded and kind != "create")


def _properties(old: Resource, new: Resource) -> Iterator[PropertyChange]:
    ignored = tuple(new.options.get("ignore_changes", ()))
    fixed = _fixed(new)
    # Masked values hide that a secret has changed, so compare the real ones and show the masked ones.
    shown_old, shown_new = dict(_leaves(old.masked())), dict(_leaves(new.masked()))
    real_old, real_new = dict(_leaves(old.inputs)), dict(_leaves(new.inputs))
    for path in real_old.keys() | real_new.keys():
        if real_old.get(path, _ABSENT) == real_new.get(path, _ABSENT) or _below(path, ignored):
            continue
        yield PropertyChange(
            path, shown_old.get(path, _ABSENT), shown_new.get(path, _ABSENT), _below(path, fixed)
        )


def _fixed(resource: Resource) -> tuple[str, ...]:
    declared = tuple(resource.options.get("replace_on_changes", ()))
    entry = known(resource.kind)
    return (*declared, *sorted(_FIXED), *sorted((entry.resource_inputs if entry else frozenset()) - {""}))


def _below(path: str, roots: tuple[str, ...]) -> bool:
    """`[*]` of a root stands for every place of a list."""
    paths = (path, re.sub(r"\[\d+\]", "[*]", path))
    return any(p == root or p.startswith((f"{root}.", f"{root}[")) for root in roots for p in paths)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value
