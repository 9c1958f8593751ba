"""The small protocols behind which a target lives. Nothing above this folder knows which one it is on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from mlops.pipeline.result import JobResult as JobResult  # noqa: PLC0414 (part of this interface)
from mlops.pipeline.result import StepEvent as StepEvent  # noqa: PLC0414
from mlops.pipeline.result import StepState as StepState  # noqa: PLC0414
from mlops.pipeline.run.selection import WHOLE as WHOLE  # noqa: PLC0414
from mlops.pipeline.run.selection import Selection as Selection  # noqa: PLC0414
from mlops.pipeline.sweep.result import SweepResult as SweepResult  # noqa: PLC0414
from mlops.pipeline.sweep.result import TrialResult as TrialResult  # noqa: PLC0414
from mlops.spec.release import Release
from mlops.spec.seal import Seal

# --- jobs -------------------------------------------------------------------------------------------


class Jobs(Protocol):
    """Runs pipelines, and jobs of other kinds that have a file of their own."""

    def run(
        self,
        pipeline: Path,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        progress: Callable[[StepEvent], None],
        selection: Selection = WHOLE,
    ) -> JobResult:
        """Run to the end, or the part that `selection` names.

        Raises `StepFailed`, `InvalidInput` (lint; a selection that the target cannot run), `TargetError`.
        """

    def again(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> JobResult | None:
        """What `run` has made of exactly this before, all of it, while it is still there; else None."""

    def submit(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> str:
        """Start a run that goes on without this process and its login; the name that `wait` knows it by.

        When it returns, the run no longer reads the checkout. Raises `InvalidInput` (lint), `TargetError`.
        """

    def wait(
        self, name: str, progress: Callable[[StepEvent], None], patience: float = math.inf
    ) -> JobResult | None:
        """Follow a submitted run to its end; None when it still runs after `patience` seconds.

        May be called by any process, at any time and again; `progress` first hears what has already happened.
        An interruption (Control-C) ends the waiting, not the run. Raises what `run` raises, and `NotFound`.
        """

    def output(self, name: str, output: str) -> Path:
        """A local copy of an output of a finished run that its result lacks, such as a folder in the cloud.

        Raises `NotFound`, `TargetError`.
        """


class Sweeps(Protocol):
    """Runs sweep YAML: many trials of one command, with drawn values."""

    def run(
        self,
        sweep: Path,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        *,
        trials: int | None,
        workers: int | None,
        progress: Callable[[TrialResult], None],
    ) -> SweepResult:
        """Run to its limits; `trials` and `workers` replace those of the file.

        Run again after an interruption it goes on. Raises `StepFailed`, `InvalidInput` (lint), `TargetError`.
        """


# --- registry ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelVersion:
    """One immutable version of a registered model. Versions are numbers."""

    model: str
    version: int
    run_id: str
    source: str
    tags: Mapping[str, str]
    created: datetime


@dataclass(frozen=True)
class TrainingRun:
    """A training run that ended well, registered or not."""

    run_id: str
    started: datetime
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    """With `<metric>_low` and `<metric>_high`, the ends of its interval."""
    tags: Mapping[str, str]


class Registry(Protocol):
    """Registered models. Version tags are the truth of what is where; aliases mirror them."""

    def runs(self, experiment: str, tags: Mapping[str, str], limit: int) -> list[TrainingRun]:
        """At most `limit` runs of `experiment` that ended well and carry all of `tags`, newest first."""

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run, for whoever looks at runs; nothing is decided by them."""

    def run_tags(self, run_id: str) -> Mapping[str, str]:
        """What a run says of itself; only who may run jobs writes there. Raises `NotFound`."""

    def params(self, run_id: str) -> dict[str, str]:
        """What the steps of a run have logged as parameters so far."""

    def versions(
        self, model: str, tags: Mapping[str, str] | None = None, limit: int | None = None
    ) -> list[ModelVersion]:
        """Versions that carry all of `tags`, highest number first; at most `limit`."""

    def get(self, model: str, version: int) -> ModelVersion:
        """Raises `NotFound`."""

    def register(self, model: str, folder: Path, digest: str, tags: Mapping[str, str]) -> ModelVersion:
        """The version of the artifact in `folder`; made once for each digest."""

    def share(self, model: str, version: int) -> None:
        """Let every environment read a version that passed its gates. Idempotent; raises `IntegrityError`."""

    def fetch(self, model: str, version: int, digest: str) -> Path:
        """A local folder with the artifact, verified against `digest`; raises `IntegrityError`."""

    def artifacts(self, run_id: str, path: str) -> Path:
        """A local copy of a run's artifact, a file or a folder; raises `NotFound`. Fetched anew each time."""

    def add_artifacts(self, run_id: str, folder: Path, path: str) -> None:
        """Copy the files of `folder` below `path` of a run's artifacts, over what is there."""

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        """Set tags; None removes one. Idempotent."""

    def seal(self, make: bool = False) -> Seal | None:
        """What seals records on versions; None where whoever may write tags is believed.

        `make`: there is something to seal, so a key of this machine is made when there is none.
        """

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        """Point `alias` (an environment name, or `champion`) at one version only; None removes it."""

    def delete(self, model: str, version: int) -> None:
        """Raises `Blocked` while the version is live in any environment."""


# --- endpoints --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deployment:
    """One deployment behind an endpoint."""

    name: str
    """The colour: `blue` or `green`."""
    release: int
    digest: str
    traffic: int
    """Percent, 0..100."""
    mirror: int = 0
    """Percent of requests copied to it; 0 when it is live."""
    state: Literal["creating", "ready", "failed"] = "ready"
    detail: str = ""
    created: datetime | None = None
    settings: str = ""
    """A fingerprint of the settings that it was made by; empty when nobody knows them."""


@dataclass(frozen=True)
class EndpointState:
    """What is served now. An endpoint that does not exist has no deployments and no URL."""

    environment: str
    model: str
    url: str = ""
    deployments: tuple[Deployment, ...] = ()
    settings: str = ""
    """Of a deployment that would be made now: one with other settings is replaced. Empty: not compared."""

    def outdated(self, deployment: Deployment) -> bool:
        """Whether `deployment` was made by other settings than those of now."""
        return bool(self.settings and deployment.settings) and self.settings != deployment.settings

    def deployment(self, name: str) -> Deployment | None:
        return next((d for d in self.deployments if d.name == name), None)

    @property
    def live(self) -> Deployment | None:
        """The deployment with most traffic, if any has some."""
        serving = [d for d in self.deployments if d.traffic > 0]
        return max(serving, key=lambda d: d.traffic, default=None)


@dataclass(frozen=True)
class TrafficSample:
    """Counters of one deployment since it started; analysis looks at differences of two samples.

    `latency` maps upper bucket bounds in seconds (last is inf) to cumulative counts, `predictions` maps
    upper bounds of the prediction's histogram to cumulative counts, both as Prometheus histograms do.
    """

    taken: datetime
    requests: int
    errors: int
    latency: Mapping[float, int] = field(default_factory=dict)
    predictions: Mapping[float, int] = field(default_factory=dict)


class Endpoints(Protocol):
    """Online endpoints with several deployments. Every method is idempotent and returns when it is true."""

    def state(self, environment: str, model: str) -> EndpointState:
        """What is there now."""

    def list(self) -> list[EndpointState]:
        """All endpoints of the target."""

    def create(self, environment: str, deployment: str, release: Release, artifact: Path) -> None:
        """Ready at zero traffic (100 % if it is the endpoint's first); raises `TargetError` if it fails."""

    def set_traffic(
        self,
        environment: str,
        model: str,
        traffic: Mapping[str, int],
        mirror: Mapping[str, int] | None = None,
    ) -> None:
        """Percentages by deployment, summing to 100; no request in flight is dropped."""

    def delete(self, environment: str, model: str, deployment: str) -> None:
        """Drains, then removes; refuses (`Blocked`) a deployment that has traffic."""

    def start(self, environment: str, model: str) -> EndpointState:
        """Bring back what was served and is down, as it was; what is there then. Raises `TargetError`."""

    def stop(self, environment: str, model: str) -> None:
        """Stop serving altogether."""

    def score(
        self,
        environment: str,
        model: str,
        payload: Mapping[str, Any],
        deployment: str | None = None,
        *,
        synthetic: bool = False,
    ) -> dict[str, Any]:
        """One authenticated request; raises `TargetError` with the endpoint's answer when not 200.

        One that is `synthetic` is no client's, and counts as no traffic when production is watched.
        """

    def key(self, environment: str, model: str) -> str:
        """What a caller sends as `Authorization: Bearer`; raises `TargetError` when the endpoint has none."""

    def rotate(self, environment: str, model: str) -> None:
        """Make a new first key; the one before stays valid as the second, and the second ends. Raises
        `NotFound`, and `TargetError` when the endpoint has no keys."""

    def sample(self, environment: str, model: str, deployment: str) -> TrafficSample:
        """Counters of a deployment; raises `Inconclusive` when they cannot be read."""


# --- what an apply keeps in the target, not in git ---------------------------------------------------


@dataclass(frozen=True)
class JournalEntry:
    """One thing that happened in an environment."""

    at: datetime
    kind: str
    """For example apply.started, deployment.created, traffic.shifted, analysis.failed, apply.finished."""
    model: str
    release: int | None
    actor: str
    commit: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Lease(Protocol):
    """The right to change an environment, for as long as nobody else has taken it over."""

    def verify(self) -> None:
        """Call before every effect; raises `Locked` when the lease is no longer ours."""


class EnvironmentStore(Protocol):
    """Locks and journal of an environment, kept beside what they describe."""

    def lock(self, environment: str, owner: str, lease: float) -> AbstractContextManager[Lease]:
        """Exclusive; the lease (seconds) is renewed while held and expires when its holder died.

        Raises `Locked` with who holds it, since when, and until when.
        """

    def append(self, environment: str, entry: JournalEntry) -> None:
        """Durable before it returns."""

    def entries(self, environment: str, model: str | None = None) -> Sequence[JournalEntry]:
        """Oldest first."""


# --- data -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PushedData:
    """A data asset that is on the target. `new` is False when it was there already."""

    name: str
    version: str
    digest: str
    """Of its files, without the manifest."""
    window: str
    """As the tag `window` of the file says; may be empty."""
    uri: str
    new: bool


class DataAssets(Protocol):
    """Versioned raw data."""

    def resolve(self, name: str, version: str) -> str:
        """What a pipeline input `azureml:<name>:<version>` stands for here: a local folder or a URI."""

    def push(self, model: str) -> PushedData:
        """Bring what `pipelines/<model>/data.yml` declares to the target; made once for each version.

        Raises `IntegrityError` when other data are there under this version, `InvalidInput` for a wrong file.
        """


@runtime_checkable
class GrowingData(DataAssets, Protocol):
    """Raw data that `mlops ingest` adds versions to."""

    def versions(self, name: str) -> list[str]:
        """Those that are here, oldest first."""

    def add(self, name: str, version: str, folder: Path) -> str:
        """Keep `folder` (with its manifest) as a version; answers where. Raises `Blocked` when it exists."""


# --- what monitoring reads and keeps ------------------------------------------------------------------

Record = Literal["labels", "verdicts", "retrains"]


class Observations(Protocol):
    """Captured traffic, and append-only files about it, by environment and model.

    `labels`: Parquet; `verdicts`: `mlops.spec.monitoring.MonitorReport` as JSON; `retrains`: JSON.
    """

    def captured(
        self, environment: str, model: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[Path]:
        """Local Parquet files as `mlops.serving.capture.capture_files` writes them, oldest first.

        At least those that hold rows from `since` (included) to `until` (not included); there may be more.
        """

    def add(self, environment: str, model: str, kind: Record, name: str, content: bytes) -> bool:
        """Durable before it returns; False when a file of that name is there, which stays as it is."""

    def files(self, environment: str, model: str, kind: Record) -> list[Path]:
        """Local copies, by name."""


class Batch(Protocol):
    """Batch endpoints: jobs over data that lies where the target is."""

    def deploy(self, environment: str, release: Release, artifact: Path, *, pipeline: bool = False) -> str:
        """Make `release` what jobs score by; the deployment's name. Idempotent.

        `pipeline`: by the whole pipeline of `pipelines/<model>/batch.yml`, and not by its entry script alone.
        """

    def start(
        self, environment: str, model: str, data: str, release: int | None = None, *, pipeline: bool = False
    ) -> str:
        """A job over the folder `data`; its name."""

    def wait(self, environment: str, job: str) -> None:
        """Until it has ended; raises `StepFailed`."""


class Schedules(Protocol):
    """What runs by the clock in an environment."""

    def apply(self, environment: str, model: str, path: Path, deployment: str = "") -> str:
        """Make what the file describes, or bring it up to date; the schedule's name.

        A monitor watches `deployment`. Raises `InvalidInput` (lint).
        """

    def remove(self, environment: str, name: str) -> None:
        """None of that name is no error."""

    def names(self, environment: str) -> Mapping[str, bool]:
        """By name, whether it is enabled."""


@dataclass(frozen=True)
class Target:
    """One provider: everything that the verbs need."""

    name: str
    jobs: Jobs
    registry: Registry
    endpoints: Endpoints
    store: EnvironmentStore
    data: DataAssets
    observations: Observations | None = None
    """None: this provider keeps no captured traffic."""
    sweeps: Sweeps | None = None
    """None: this provider runs no sweeps."""
    batch: Batch | None = None
    """None: this provider has no batch endpoints; `mlops batch` scores a folder of this machine."""
    schedules: Schedules | None = None
    """None: this provider has no clock."""


COLOURS = ("blue", "green")
"""The names that deployments take turns with."""
