"""What the board shows, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mlops.board.links import Links
from mlops.forge.base import PullRequest
from mlops.forge.git import Commit
from mlops.lifecycle.desired.history import Row
from mlops.lifecycle.propose.promote import branch_name
from mlops.lifecycle.propose.release import release_branch, retrain_branch
from mlops.lifecycle.train.register import EXTERNAL
from mlops.lifecycle.train.runs import Way
from mlops.spec.desired import Hold
from mlops.spec.evaluation import Evaluation
from mlops.spec.gates import GateReport, Interval
from mlops.spec.monitoring import MonitorReport
from mlops.spec.release import Release
from mlops.spec.schema import ModelSchema
from mlops.targets.base import Deployment


@dataclass(frozen=True)
class Influence:
    """How much the metric loses when a column is shuffled."""

    column: str
    mean: float
    deviation: float


@dataclass(frozen=True)
class Explanation:
    """`importance.json` of a run; most important column first."""

    metric: str
    rows: int
    columns: tuple[Influence, ...]


@dataclass(frozen=True)
class VersionFacts:
    """One version of the registry with everything that its run left. None: the run has no such thing."""

    model: str
    version: int
    created: datetime
    run_id: str
    digest: str
    tags: Mapping[str, str]
    live: tuple[str, ...]
    """Environments that serve it."""
    commit: Commit | None
    """What it was trained from; None when this checkout does not know the commit."""
    report: GateReport | None = None
    evaluation: Evaluation | None = None
    explanation: Explanation | None = None
    schema: ModelSchema | None = None
    release: Release | None = None

    @property
    def external(self) -> bool:
        """Whether it was trained elsewhere, and only registered here."""
        return EXTERNAL.items() <= self.tags.items()

    @property
    def verdict(self) -> str:
        """`pass`, `blocked`, or nothing when no gate has judged it."""
        if self.report is None:
            return self.tags.get("mlops.gate", "")
        return "pass" if self.report.passed else "blocked"

    @property
    def commit_id(self) -> str:
        return self.tags.get("mlops.commit", "")

    @property
    def dirty(self) -> bool:
        """Whether it was made from changes that no commit has."""
        return self.tags.get("mlops.dirty") == "true"

    @property
    def blocked_by(self) -> str:
        """What has ever blocked it, also when it passes now."""
        return self.tags.get("mlops.gate.blocked", "")


@dataclass(frozen=True)
class EnvironmentFacts:
    """One environment, its past (newest first) and what monitoring said (oldest first).

    `health` is that of `mlops status`, or `unknown` when the target did not answer; `problem` says why.
    """

    env: str
    health: str
    wanted: int | None = None
    served: int | None = None
    since: datetime | None = None
    commit: str = ""
    actor: str = ""
    deployments: tuple[Deployment, ...] = ()
    hold: Hold | None = None
    failure: str = ""
    history: Sequence[Row] = ()
    verdicts: Sequence[MonitorReport] = ()
    problem: str = ""
    url: str = ""
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    """Of the release that is served, from its file."""
    tested: str = ""
    """The rows that they were measured on."""

    @property
    def pending(self) -> str:
        """What the file asks for and nothing serves yet, in words; empty when both are the same."""
        if self.wanted is None or self.wanted == self.served:
            return ""
        if self.failure:
            return f"release {self.wanted} was sent back"
        return f"release {self.wanted} is asked for and not served yet"

    @property
    def arrival(self) -> Row | None:
        """How what is served came here."""
        return next((r for r in self.history if r.outcome == "served" and r.release == self.served), None)


@dataclass(frozen=True)
class ModelFacts:
    """One model. `versions` are the newest, highest number first, and all that are live."""

    name: str
    about: str
    """What the use case says of itself."""
    target: str
    """The column that it predicts."""
    metric: str
    """The one that the gates compare with the champion first."""
    higher_is_better: bool
    ways: Mapping[str, Way | None]
    """Which way each metric is better."""
    environments: tuple[EnvironmentFacts, ...]
    versions: tuple[VersionFacts, ...]
    older: int = 0
    """Versions that are not shown."""

    def version(self, number: int | None) -> VersionFacts | None:
        return next((v for v in self.versions if v.version == number), None)

    def promotion(self, env: EnvironmentFacts) -> str:
        """What the environment before serves and this one neither serves nor asks for, in words."""
        before = self.environments[: self.environments.index(env)][-1:]
        if not before or before[0].served in (None, env.served, env.wanted):
            return ""
        return f"{before[0].env} serves release {before[0].served}"


@dataclass(frozen=True)
class BoardFacts:
    """Everything. `commit` is the checkout that was read."""

    project: str
    target: str
    commit: str
    links: Links
    models: tuple[ModelFacts, ...] = field(default=())
    requests: tuple[PullRequest, ...] | None = None
    """Those that are open; None when the forge did not say."""

    def _first(self, model: str) -> str:
        return next((m.environments[0].env for m in self.models if m.name == model and m.environments), "")

    def request(self, model: str, env: str) -> list[PullRequest]:
        """Open pull requests that change what an environment serves."""
        branches = [branch_name(verb, env, model) for verb in ("promote", "rollback")]
        branches += [release_branch(model)] if env == self._first(model) else []
        branches += [retrain_branch(model, env)]
        return [request for request in self.requests or () if request.branch in branches]
