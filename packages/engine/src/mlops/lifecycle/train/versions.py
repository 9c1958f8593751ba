"""Versions of a model: find them by tag, see where they are, delete one that nobody needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlops.errors import InvalidInput
from mlops.spec.live import live_in
from mlops.targets.base import ModelVersion, Registry


@dataclass(frozen=True)
class VersionRow:
    """What a person wants to see of a version. Empty text: the registry does not know."""

    version: int
    created: datetime
    live: tuple[str, ...]
    """Environments that serve it."""
    gate: str
    """`pass` or `blocked`."""
    commit: str
    window: str
    """Months of the training data."""
    digest: str
    dirty: bool = False
    """Made from changes that no commit has."""
    blocked: str = ""
    """What has ever blocked it."""

    @classmethod
    def of(cls, found: ModelVersion) -> VersionRow:
        tags = found.tags
        return cls(
            version=found.version,
            created=found.created,
            live=tuple(live_in(tags)),
            gate=tags.get("mlops.gate", ""),
            commit=tags.get("mlops.commit", ""),
            window=tags.get("mlops.data.window", ""),
            digest=tags.get("mlops.digest", ""),
            dirty=tags.get("mlops.dirty") == "true",
            blocked=tags.get("mlops.gate.blocked", ""),
        )


def find(
    registry: Registry, model: str, where: Sequence[str] = (), limit: int | None = None
) -> list[VersionRow]:
    """Versions that carry all tags of `where` (`key=value` each), highest number first; at most `limit`.

    Raises `InvalidInput` for a condition that is not of this form.
    """
    tags = {}
    for condition in where:
        key, separator, value = condition.partition("=")
        if not separator or not key:
            raise InvalidInput(f"{condition!r} is no tag; write key=value, for example mlops.gate=pass")
        tags[key] = value
    return [VersionRow.of(version) for version in registry.versions(model, tags, limit)]


def delete(registry: Registry, model: str, version: int) -> None:
    """Delete one version; raises `NotFound`, or `Blocked` while an environment serves or names it."""
    registry.delete(model, version)
