"""What is known of a resource before it exists: plain data that the plan and the rules share. Imports
nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

AZURE = "azure-native:"
SECRET = "[secret]"  # noqa: S105  what is printed in place of one
UNKNOWN = "[unknown]"
"""A value that only Azure can tell, as a preview sees it."""


@dataclass(frozen=True)
class Resource:
    """One registration of the program.

    `inputs` holds plain JSON values with the property names of azure-native; secrets are unwrapped and
    their top-level properties are named in `secret`. `options` has only what was set, in snake case:
    `protect`, `ignore_changes`, …
    """

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    id: str = ""
    parent: str = ""
    custom: bool = True
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """The type without azure-native's name: `storage:StorageAccount`; that of others as it is."""
        return self.type.removeprefix(AZURE)

    @property
    def azure(self) -> bool:
        return self.custom and self.type.startswith(AZURE)

    @property
    def judged(self) -> bool:
        """Whether rules may look at it: what a provider makes, and no provider itself."""
        return self.custom and not self.type.startswith("pulumi:")

    @property
    def stack(self) -> str:
        return stack_of(self.urn)

    def get(self, path: str, default: Any = None) -> Any:
        """The input at a dotted path, or `default` where any part of it is missing."""
        return dig(self.inputs, path, default)

    def masked(self) -> dict[str, Any]:
        """The inputs as they may be printed: sorted, every text inside a secret property replaced."""
        return {k: mask(v) if k in self.secret else tidy(v) for k, v in sorted(self.inputs.items())}

    def uses(self, urn: str, prop: str) -> bool:
        """Whether the value of property `prop` was made from the resource `urn`."""
        return urn in self.property_dependencies.get(prop, ())


@dataclass(frozen=True)
class Skip:
    """One accepted finding, as the program declares it beside the resource."""

    resource: str
    check: str
    reason: str


@dataclass(frozen=True)
class Finding:
    """One rule that one resource breaks. `source` is `policy` (ours) or `checkov`."""

    stack: str
    check: str
    resource: str
    message: str
    source: str = "policy"

    def __str__(self) -> str:
        return f"{self.stack}: {self.resource}: {self.check}: {self.message}"


@dataclass(frozen=True)
class Captured:
    """All that one stack registers, in a stable order, and what it exports."""

    project: str
    stack: str
    resources: tuple[Resource, ...]
    exports: Mapping[str, Any] = field(default_factory=dict)
    skips: tuple[Skip, ...] = ()

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.resources)

    def of(self, kind: str) -> tuple[Resource, ...]:
        return tuple(r for r in self.resources if r.azure and r.kind == kind)

    def named(self, name: str) -> Resource:
        """The resource with this logical name. Raises `KeyError` when there is none."""
        for resource in self.resources:
            if resource.name == name:
                return resource
        raise KeyError(name)

    @property
    def judged(self) -> tuple[Resource, ...]:
        return tuple(r for r in self.resources if r.judged)

    @property
    def azure(self) -> tuple[Resource, ...]:
        return tuple(r for r in self.resources if r.azure)


def stack_of(urn: str) -> str:
    """`urn:pulumi:<stack>::<project>::…` holds the stack's name."""
    return urn.split(":", 3)[2] if urn.startswith("urn:pulumi:") else ""


def dig(value: Any, path: str, default: Any = None) -> Any:
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return value


def tidy(value: Any) -> Any:
    """A copy with sorted keys."""
    if isinstance(value, Mapping):
        return {k: tidy(v) for k, v in sorted(value.items())}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [tidy(v) for v in value]
    return value


def mask(value: Any) -> Any:
    """A copy in which no text or number is left."""
    if isinstance(value, Mapping):
        return {k: mask(v) for k, v in sorted(value.items())}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [mask(v) for v in value]
    return value if value is None or isinstance(value, bool) else SECRET


def texts(value: Any) -> Iterator[str]:
    """Every string inside `value`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from texts(item)
