"""What a rule is. The rules themselves are in `checks_*.py`; `judge` and `pack` drive them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mlops.infra.model import UNKNOWN, Finding, Resource

Message = str


@dataclass(frozen=True)
class ResourceRule:
    """Judges one resource of one of `kinds` by its inputs alone; `judge` yields a sentence for each
    violation."""

    check: str
    title: str
    kinds: tuple[str, ...]
    judge: Callable[[Resource], Iterable[Message]]

    def findings(self, resource: Resource) -> Iterator[Finding]:
        if resource.judged and resource.kind in self.kinds:
            for message in self.judge(resource):
                yield Finding(resource.stack, self.check, resource.name, message)


@dataclass(frozen=True)
class StackRule:
    """Judges a whole stack. The engine hands over final outputs, so such a rule reads types and
    dependencies only."""

    check: str
    title: str
    judge: Callable[[Sequence[Resource]], Iterable[tuple[Resource, Message]]]

    def findings(self, resources: Sequence[Resource]) -> Iterator[tuple[Resource, Finding]]:
        for resource, message in self.judge(resources):
            yield resource, Finding(resource.stack, self.check, resource.name, message)


Rule = ResourceRule | StackRule


def holds(resource: Resource, path: str, *allowed: object) -> bool:
    """Whether the input at `path` is one of `allowed`. What only Azure knows is never a violation."""
    value = resource.get(path)
    return value == UNKNOWN or any(value is a or (value == a and type(value) is type(a)) for a in allowed)


def must(resource: Resource, path: str, *allowed: object, why: str) -> Iterator[Message]:
    """One sentence when the input at `path` is not one of `allowed`."""
    if not holds(resource, path, *allowed):
        wanted = " or ".join(_shown(a) for a in allowed)
        yield f"{path} must be {wanted}, got {_shown(resource.get(path))}: {why}"


def relaxed(resource: Resource) -> bool:
    """Whether the resource belongs to a development stack: `dev`, or one whose name starts with `dev-`."""
    return resource.stack == "dev" or resource.stack.startswith("dev-")


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)
