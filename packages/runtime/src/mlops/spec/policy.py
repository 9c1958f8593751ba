"""`environments/policy.yaml` and `environments/freeze.yaml`: order, soak, approvals, freeze windows."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from mlops.spec._base import EnvName, ModelName, Spec
from mlops.spec.desired import Seconds


class EnvironmentPolicy(Spec):
    """What must be true before a release may enter this environment."""

    soak: Seconds = 0.0
    """How long the release must have been healthy in the environment before."""
    auto_merge: bool = False
    """Whether the bot may merge its own pull request when every check passes."""
    merge_loosened: bool = False
    """Whether that goes too for a release whose gates were loosened since the one that it replaces; if not, a
    person lets it in."""
    loosened_approvals: int = Field(default=0, ge=0, le=10)
    """How many people must approve the pull request by which a release comes whose gates were loosened since
    what is served; its author and who wrote the gates do not count. `mlops apply` asks the forge."""
    synthetic_traffic: bool = False
    """Whether analysis may send the release's input sample when real requests are too few."""
    approvers: list[str] = []
    """Users or teams that the forge asks; empty means any reviewer."""


class Policy(Spec):
    """Environments in the order a release passes through them, first to last."""

    order: list[EnvName] = Field(min_length=1)
    """First to last."""
    environments: dict[EnvName, EnvironmentPolicy]
    """By name."""

    @model_validator(mode="after")
    def _complete(self) -> Policy:
        if len(set(self.order)) != len(self.order) or set(self.order) != set(self.environments):
            raise ValueError("order must name every environment under `environments` exactly once")
        return self

    def upstream(self, env: str) -> str | None:
        """The environment before `env`, or None for the first."""
        index = self.order.index(env)
        return self.order[index - 1] if index else None


class FreezeWindow(Spec):
    """No forward move between `start` and `end`, local time in `timezone`."""

    environments: list[EnvName] = Field(min_length=1)
    """Where."""
    models: list[ModelName] = []
    """Empty means all."""
    start: datetime
    """Local time, included."""
    end: datetime
    """Local time, excluded."""
    timezone: str
    """IANA name, such as Europe/Berlin."""
    reason: str = Field(min_length=1)
    """Why; shown to whoever is refused."""
    by: str
    """Who decided it."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("must be an IANA time zone such as Europe/Berlin or UTC")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> FreezeWindow:
        if self.start.tzinfo or self.end.tzinfo:
            raise ValueError("start and end are local times; give the zone in `timezone`, no offset")
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self

    def covers(self, moment: datetime, env: str, model: str) -> bool:
        """Whether `moment` (aware) falls in this window for this model in this environment."""
        zone = ZoneInfo(self.timezone)
        inside = self.start.replace(tzinfo=zone) <= moment < self.end.replace(tzinfo=zone)
        return inside and env in self.environments and (not self.models or model in self.models)


class Freeze(Spec):
    windows: list[FreezeWindow] = []
    """All of them; none means no freeze."""
