"""What the lifecycle tells the world: the data of its CloudEvents, one model a type.

A *fact* is something that happened once. `key` is what makes it this fact and no other, so that telling it
again gives the same event id and whoever acts on it can see that it did so already.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, get_args

from pydantic import AwareDatetime, Field, FiniteFloat

from mlops.spec._base import Spec, Version
from mlops.spec.gates import GateResult, blocking

EventType = Literal[
    "mlops.run.completed",
    "mlops.model.registered",
    "mlops.gate.passed",
    "mlops.gate.blocked",
    "mlops.release.deployed",
    "mlops.release.rolledback",
    "mlops.drift.detected",
    "mlops.retrain.started",
]
TYPES: tuple[EventType, ...] = get_args(EventType)

Key = tuple[str | int | float | None, ...]


class Fact(Spec):
    """Data of one event. Empty text and None mean: whoever tells it (Azure, say) does not know."""

    type: ClassVar[EventType]

    model: str = Field(min_length=1)
    """Its name: in mlops.toml, or in Azure ML where somebody else made it."""

    @property
    def subject(self) -> str:
        """What it is about, as a path."""
        raise NotImplementedError

    @property
    def key(self) -> Key:
        """What makes it this fact and no other, beside type and model."""
        raise NotImplementedError


class RunCompleted(Fact):
    """A training pipeline came to its end."""

    type = "mlops.run.completed"

    run_id: str = Field(min_length=1)
    """The MLflow run of the pipeline as a whole."""
    commit: str = ""
    """The commit that was trained."""
    actor: str = ""
    """Who started the training: a person's or a bot's name."""
    version: Version | None = None
    """The version that came out."""
    new: bool | None = None
    """False when the registry already had a version with this digest."""

    @property
    def subject(self) -> str:
        return f"models/{self.model}/runs/{self.run_id}"

    @property
    def key(self) -> Key:
        return (self.run_id,)


class ModelRegistered(Fact):
    """The registry has a new version."""

    type = "mlops.model.registered"

    version: Version
    """Its number in the registry."""
    digest: str = ""
    """Of all files of the model, as `sha256:` and 64 hexadecimal digits."""
    run_id: str = ""
    """The MLflow run that made it."""
    commit: str = ""
    """The commit that it was trained from."""
    window: str = ""
    """Months of the training data, such as 2013-01..2013-03."""

    @property
    def subject(self) -> str:
        return f"models/{self.model}/versions/{self.version}"

    @property
    def key(self) -> Key:
        return (self.version, self.digest)


class _GateJudged(Fact):
    version: Version
    """The version that was judged."""
    run_id: str = ""
    """The MLflow run that made it."""
    champion: Version | None = None
    """The version it was compared with; None when nothing was live."""
    gates: list[GateResult] = []
    """Every gate with its verdict."""

    @property
    def subject(self) -> str:
        return f"models/{self.model}/versions/{self.version}"

    @property
    def key(self) -> Key:
        # Judged again with the same outcome it is no news, although a latency was measured anew.
        blocked = sorted(gate.name for gate in blocking(self.gates))
        return (self.version, self.run_id, self.champion, *blocked)


class GatePassed(_GateJudged):
    """No gate blocks the version."""

    type = "mlops.gate.passed"


class GateBlocked(_GateJudged):
    """At least one gate blocks the version."""

    type = "mlops.gate.blocked"


class _Moved(Fact):
    environment: str
    """Where it is served, such as staging or prod."""
    release: Version | None
    """What serves now; None when nothing does."""
    commit: str = ""
    """The commit that was applied."""
    actor: str = ""
    """Who applied it: a person's or a bot's name."""
    count: int | None = Field(default=None, ge=0)
    """How many facts of this kind the environment's journal had before."""

    @property
    def subject(self) -> str:
        return f"models/{self.model}/environments/{self.environment}"


class ReleaseDeployed(_Moved):
    """A release took over completely, by a move forward."""

    type = "mlops.release.deployed"

    replaces: Version | None = None
    """The release that served before; None when none did, or the same."""
    digest: str = ""
    """Of the model's files, as in its release file."""

    @property
    def key(self) -> Key:
        return (self.environment, self.release, self.count)


class ReleaseRolledBack(_Moved):
    """A release was withdrawn: its analysis failed, or a commit asked for an older one."""

    type = "mlops.release.rolledback"

    withdrawn: Version | None
    """The release that no longer gets requests."""
    cause: Literal["analysis", "request"]
    """analysis: its canary was judged worse. request: a commit asks for an older release."""
    reason: str = ""
    """What the analysis found, or what a person gave as the reason."""
    percent: int | None = Field(default=None, ge=0, le=100)
    """Share of the traffic that the withdrawn release had when its analysis failed."""

    @property
    def key(self) -> Key:
        return (self.environment, self.cause, self.withdrawn, self.count)


class Breach(Spec):
    """One limit that is broken. `observed` and `limit` are for people: text with units."""

    name: str
    """For example `drift.dep_delay`, `performance.roc_auc`, `volume`."""
    observed: str
    """What was measured, with its interval or p-value where there is one."""
    limit: str
    """What was allowed."""
    value: FiniteFloat | None = None
    """What was measured, as a number."""


class DriftDetected(Fact):
    """What is served no longer sees the data, or gives the answers, that it was judged on."""

    type = "mlops.drift.detected"

    environment: str = ""
    """Where the traffic was captured."""
    release: Version | None = None
    """The release that served it."""
    start: AwareDatetime
    """Of the captured traffic that was looked at."""
    end: AwareDatetime
    """Where that traffic ends."""
    breaches: list[Breach] = Field(min_length=1)
    """Every limit that is broken."""
    report: str = ""
    """Where the verdict is, relative to the target's state."""

    @property
    def subject(self) -> str:
        return f"models/{self.model}/environments/{self.environment}" if self.environment else self.model

    @property
    def key(self) -> Key:
        names = sorted(breach.name for breach in self.breaches)
        return (self.environment, self.release, _stamp(self.start), _stamp(self.end), *names)


class RetrainStarted(Fact):
    """Training on a new window was started by automation."""

    type = "mlops.retrain.started"

    environment: str = ""
    """Where the breach was found that it answers."""
    release: Version | None = None
    """The release that is to be replaced."""
    window: str
    """Months to learn from, such as 2013-01..2013-06."""
    test_window: str = ""
    """Rows to test on."""
    started: AwareDatetime
    """When the training was started."""
    reason: str = ""
    """What the breach was, in one sentence."""
    url: str = ""
    """The issue or pull request with the evidence."""

    @property
    def subject(self) -> str:
        return f"models/{self.model}"

    @property
    def key(self) -> Key:
        return (self.environment, self.release, self.window, self.test_window, _stamp(self.started))


def _stamp(moment: datetime) -> float:
    return moment.timestamp()


FACTS: dict[str, type[Fact]] = {
    fact.type: fact
    for fact in (
        RunCompleted,
        ModelRegistered,
        GatePassed,
        GateBlocked,
        ReleaseDeployed,
        ReleaseRolledBack,
        DriftDetected,
        RetrainStarted,
    )
}
