"""The kinds of steps that a plan is made of: plain data that a person can read and `Rollout` carries out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Create:
    """A deployment of the release at zero traffic (all of it when it is the endpoint's first)."""

    kind: ClassVar[str] = "create"
    colour: str
    release: int
    replaces: str = ""
    """The colour of a deployment of the same release that was made by other settings."""

    @property
    def text(self) -> str:
        why = f", because the settings of {self.replaces} have changed" if self.replaces else ""
        return f"start release {self.release} as {self.colour}, without traffic{why}"


@dataclass(frozen=True)
class Smoke:
    """Score the release's own sample by the deployment's name."""

    kind: ClassVar[str] = "smoke"
    colour: str
    replaces: str = ""
    """As `Create.replaces`: the release is known to be good, so a failure is no verdict on it."""

    @property
    def text(self) -> str:
        return f"ask {self.colour} to score the release's sample"


@dataclass(frozen=True)
class Shift:
    """Set the traffic; `traffic` is (colour, percent), summing to 100."""

    kind: ClassVar[str] = "shift"
    traffic: tuple[tuple[str, int], ...]

    @property
    def text(self) -> str:
        return "send " + ", ".join(f"{percent} % to {colour}" for colour, percent in self.traffic)


@dataclass(frozen=True)
class Analyse:
    """Watch `colour` at `percent` against `live`, and go back when it is worse."""

    kind: ClassVar[str] = "analyse"
    colour: str
    live: str
    percent: int
    seconds: float

    @property
    def text(self) -> str:
        return f"compare {self.colour} with {self.live} for {self.seconds:g} s at {self.percent} %"


@dataclass(frozen=True)
class Finish:
    """Tags and aliases of the registry say that this release, and no other, is live."""

    kind: ClassVar[str] = "finish"
    release: int

    @property
    def text(self) -> str:
        return f"tag release {self.release} as live"


@dataclass(frozen=True)
class CoolDown:
    """Keep the old deployment warm until then; the lock is not held meanwhile."""

    kind: ClassVar[str] = "cool-down"
    colour: str
    seconds: float

    @property
    def text(self) -> str:
        return f"keep {self.colour} warm for {self.seconds:g} s"


@dataclass(frozen=True)
class Retire:
    """Drain and remove a deployment without traffic."""

    kind: ClassVar[str] = "retire"
    colour: str

    @property
    def text(self) -> str:
        return f"retire {self.colour}"


@dataclass(frozen=True)
class StopEndpoint:
    """Nothing that is there answers correctly; nothing is better than wrong answers."""

    kind: ClassVar[str] = "stop"
    why: str = "its only deployment does not answer correctly"

    @property
    def text(self) -> str:
        return f"stop the endpoint: {self.why}"


Step = Create | Smoke | Shift | Analyse | Finish | CoolDown | Retire | StopEndpoint
