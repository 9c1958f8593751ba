"""A registered version, as every kind of store tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class RegisteredVersion:
    """One version as the registry stores it."""

    model: str
    version: int
    run_id: str
    source: str
    tags: Mapping[str, str]
    created: datetime


def created(milliseconds: int | None) -> datetime:
    """A moment as stores keep it."""
    return datetime.fromtimestamp((milliseconds or 0) / 1000, UTC)
