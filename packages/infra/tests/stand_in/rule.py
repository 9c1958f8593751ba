"""What a rule of Azure is: who says so, and what it has against a resource."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Refusal:
    """What Azure answers: its code and its words."""

    code: str
    said: str

    def __str__(self) -> str:
        return f"{self.code}: {self.said}"


@dataclass(frozen=True)
class Rule:
    """`source` is the page, the provider's source or the report that the rule was read in."""

    kind: str
    source: str
    judge: Callable[[Inputs, date], Iterator[Refusal]]


def at(inputs: Inputs, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    value: Any = inputs
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
