"""A run as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Run:
    """What the tracking store knows about a run. Times are milliseconds since 1970; 0 means still running."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    started: int
    ended: int
    artifact_uri: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    @property
    def parent(self) -> str | None:
        """The parent's id."""
        return self.tags.get(PARENT)
