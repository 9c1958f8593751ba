"""A target in memory: what the protocols promise, without a process, a port or a file.

For tests of the lifecycle, of a fork's own policy, and as the shortest complete provider to read. Every
effect calls `hook` before and after it happens; a hook that raises is a process that dies at that instant.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from mlops.errors import Blocked, IntegrityError, Locked, NotFound, TargetError
from mlops.spec.artifact import plain_files
from mlops.spec.live import live_in
from mlops.spec.proof import Recorded, fact_tags, released_tags
from mlops.spec.release import Release
from mlops.spec.seal import Seal
from mlops.targets.base import (
    Deployment,
    EndpointState,
    JournalEntry,
    ModelVersion,
    TrafficSample,
    TrainingRun,
)

Hook = Callable[[str], None]
LATENCY = (*(round(m * 10.0**e, 7) for e in range(-4, 2) for m in (1, 1.5, 2, 3, 4, 5, 7)), math.inf)
PREDICTION = (*(step / 20 for step in range(1, 20)), math.inf)


def _quiet(_: str) -> None:
    pass


@dataclass(frozen=True)
class Behaviour:
    """How a release answers: seconds a request, every n-th an error, the prediction of the n-th request."""

    latency: float = 0.004
    error_every: int = 0
    predict: Callable[[int], float] = lambda number: (number * 0.37) % 1.0
    starts: bool = True


class MemoryRegistry:
    """`Registry`: versions are put there by `add`, with the folder that `fetch` answers."""

    def __init__(self, hook: Hook = _quiet) -> None:
        self.hook = hook
        self.sealing: Seal | None = None
        self.aliases: dict[str, dict[str, int]] = defaultdict(dict)
        self._versions: dict[tuple[str, int], ModelVersion] = {}
        self._artifacts: dict[tuple[str, int], tuple[str, Path]] = {}
        self._files: dict[str, bytes] = {}
        self.trained: list[TrainingRun] = []
        """What `runs` answers, newest first."""

    def add(self, release: Release, artifact: Path) -> None:
        key = (release.model, release.version)
        facts = fact_tags(release)
        recorded = Recorded(*key, facts, release.source.run_id)
        tags = facts | {k: v for k, v in released_tags(recorded, release).items() if v is not None}
        self._versions[key] = ModelVersion(*key, release.source.run_id, "memory", tags, release.created)
        self._artifacts[key] = (release.digest, artifact)

    def runs(self, experiment: str, tags: Mapping[str, str], limit: int) -> list[TrainingRun]:
        """See `mlops.targets.base.Registry.runs`; the experiment is not told apart."""
        return [run for run in self.trained if tags.items() <= run.tags.items()][:limit]

    def versions(
        self, model: str, tags: Mapping[str, str] | None = None, limit: int | None = None
    ) -> list[ModelVersion]:
        wanted = (tags or {}).items()
        matching = [v for v in self._versions.values() if v.model == model and wanted <= v.tags.items()]
        return sorted(matching, key=lambda v: -v.version)[:limit]

    def get(self, model: str, version: int) -> ModelVersion:
        if (model, version) not in self._versions:
            raise NotFound(f"the registry has no version {version} of {model}")
        return self._versions[model, version]

    def register(self, model: str, folder: Path, digest: str, tags: Mapping[str, str]) -> ModelVersion:
        known = self.versions(model)
        if same := [v for v in known if self._artifacts[model, v.version][0] == digest]:
            return same[-1]
        key = (model, known[0].version + 1 if known else 1)
        self._artifacts[key] = (digest, folder)
        self._versions[key] = ModelVersion(
            *key, "", "memory", {**tags, "mlops.digest": digest}, datetime.now(UTC)
        )
        return self._versions[key]

    def share(self, model: str, version: int) -> None:
        """Every environment reads this registry."""

    def fetch(self, model: str, version: int, digest: str) -> Path:
        self.get(model, version)
        actual, artifact = self._artifacts[model, version]
        if actual != digest:
            raise IntegrityError(f"{model} {version}: the artifact's digest is {actual}, expected {digest}")
        return artifact

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        self.hook(f"tag {version}")
        version_before = self.get(model, version)
        merged = {k: v for k, v in {**version_before.tags, **tags}.items() if v is not None}
        self._versions[model, version] = replace(version_before, tags=merged)
        self.hook(f"tagged {version}")

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """For a page that nobody looks at here."""

    def run_tags(self, run_id: str) -> Mapping[str, str]:
        """Nothing: no step runs here."""
        return {}

    def params(self, run_id: str) -> dict[str, str]:
        """Nothing: no step runs here."""
        return {}

    def add_artifacts(self, run_id: str, folder: Path, path: str) -> None:
        for file in plain_files(folder):
            self._files[f"{run_id}/{path}/{file.relative_to(folder).as_posix()}"] = file.read_bytes()

    def artifacts(self, run_id: str, path: str) -> Path:
        """A file; folders are not kept."""
        if (content := self._files.get(f"{run_id}/{path}")) is None:
            raise NotFound(f"the run {run_id} has no artifact {path}")
        copy = Path(tempfile.mkdtemp(prefix="mlops-memory-")) / Path(path).name
        copy.write_bytes(content)
        return copy

    def seal(self, make: bool = False) -> Seal | None:
        return self.sealing

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        self.hook(f"alias {alias}")
        if version is None:
            self.aliases[model].pop(alias, None)
        else:
            self.aliases[model][alias] = self.get(model, version).version

    def delete(self, model: str, version: int) -> None:
        if live := live_in(self.get(model, version).tags):
            raise Blocked(f"{model} {version} is live in {', '.join(live)}")
        del self._versions[model, version]


class _Counter:
    def __init__(self) -> None:
        self.requests = self.errors = 0
        self.latency = [0] * len(LATENCY)
        self.predictions = [0] * len(PREDICTION)

    def count(self, seconds: float, prediction: float | None) -> None:
        self.requests += 1
        self.latency[bisect_left(LATENCY, seconds)] += 1
        if prediction is None:
            self.errors += 1
        elif math.isfinite(prediction):
            self.predictions[bisect_left(PREDICTION, prediction)] += 1

    def sample(self, now: datetime) -> TrafficSample:
        latency = dict(zip(LATENCY, accumulate(self.latency), strict=True))
        predictions = dict(zip(PREDICTION, accumulate(self.predictions), strict=True))
        return TrafficSample(now, self.requests, self.errors, latency, predictions)


class MemoryEndpoints:
    """`Endpoints` whose deployments answer as `behaviours` (by release) says."""

    def __init__(self, now: Callable[[], datetime], hook: Hook = _quiet) -> None:
        self.now, self.hook = now, hook
        self.behaviours: dict[int, Behaviour] = {}
        self.settings = ""
        """Fingerprint of what deployments are made by from now on; see `EndpointState.settings`."""
        self._states: dict[tuple[str, str], EndpointState] = {}
        self._counters: dict[tuple[str, str, str], _Counter] = defaultdict(_Counter)

    def state(self, environment: str, model: str) -> EndpointState:
        known = self._states.get((environment, model), EndpointState(environment, model))
        return replace(known, settings=self.settings)

    def list(self) -> list[EndpointState]:
        return list(self._states.values())

    def create(self, environment: str, deployment: str, release: Release, artifact: Path) -> None:
        self.hook(f"create {deployment}")
        state = self.state(environment, release.model)
        there = state.deployment(deployment)
        if there and (there.release, there.digest) == (release.version, release.digest):
            again = tuple(replace(d, state="ready") if d is there else d for d in state.deployments)
            self._put(replace(state, deployments=again))
            return
        if there and there.traffic:
            raise Blocked(f"{deployment} serves release {there.release}; take its traffic away first")
        if not self._behaviour(release.version).starts:
            raise TargetError(f"{deployment}: the server of release {release.version} did not become ready")
        first = not any(d.name != deployment for d in state.deployments)
        created = Deployment(
            deployment,
            release.version,
            release.digest,
            100 if first else 0,
            created=self.now(),
            settings=self.settings,
        )
        others = tuple(d for d in state.deployments if d.name != deployment)
        self._counters.pop((environment, release.model, deployment), None)
        self._put(
            replace(state, url=f"memory://{release.model}-{environment}", deployments=(*others, created))
        )
        self.hook(f"created {deployment}")

    def set_traffic(
        self,
        environment: str,
        model: str,
        traffic: Mapping[str, int],
        mirror: Mapping[str, int] | None = None,
    ) -> None:
        self.hook(f"traffic {dict(traffic)}")
        state = self.state(environment, model)
        known = {d.name for d in state.deployments}
        if unknown := sorted(set(traffic) - known):
            raise NotFound(f"{model} in {environment} has no deployment {', '.join(unknown)}")
        if sum(traffic.values()) != 100:
            raise TargetError(f"traffic {dict(traffic)} does not sum to 100")
        shares = tuple(
            replace(d, traffic=traffic.get(d.name, 0), mirror=(mirror or {}).get(d.name, 0))
            for d in state.deployments
        )
        self._put(replace(state, deployments=shares))
        self.hook(f"shifted {dict(traffic)}")

    def delete(self, environment: str, model: str, deployment: str) -> None:
        self.hook(f"delete {deployment}")
        state = self.state(environment, model)
        running = state.deployment(deployment)
        if running is None:
            return
        if running.traffic:
            raise Blocked(f"{deployment} has {running.traffic} % of the traffic")
        self._put(replace(state, deployments=tuple(d for d in state.deployments if d is not running)))
        self.hook(f"deleted {deployment}")

    def start(self, environment: str, model: str) -> EndpointState:
        state = self.state(environment, model)
        self.hook("start")
        back = (replace(d, state="ready") if d.state == "failed" else d for d in state.deployments)
        self._put(replace(state, deployments=tuple(back)))
        return self.state(environment, model)

    def stop(self, environment: str, model: str) -> None:
        self.hook("stop")
        self._states.pop((environment, model), None)

    def score(
        self,
        environment: str,
        model: str,
        payload: Mapping[str, Any],
        deployment: str | None = None,
        *,
        synthetic: bool = False,
    ) -> dict[str, Any]:
        state = self.state(environment, model)
        running = state.deployment(deployment) if deployment else state.live
        if running is None:
            raise NotFound(f"{model} in {environment} has no deployment {deployment or 'with traffic'}")
        rows = len(payload["input_data"]["data"])
        values = [self._answer(environment, model, running) for _ in range(rows)]
        if any(v is None for v in values):
            raise TargetError(f"{running.name} answered 500")
        return {"predictions": values}

    def fail(self, environment: str, model: str) -> None:
        """Every deployment is gone, as when the machine restarts; weights are kept."""
        state = self.state(environment, model)
        lost = tuple(replace(d, state="failed") for d in state.deployments)
        self._put(replace(state, deployments=lost))

    def drive(self, environment: str, model: str, requests: int) -> int:
        """Spread `requests` by the weights; returns how many were answered by nothing or by an error."""
        failed = 0
        for deployment in (d for d in self.state(environment, model).deployments if d.traffic):
            share = round(requests * deployment.traffic / 100)
            failed += sum(self._answer(environment, model, deployment) is None for _ in range(share))
        return failed if self.state(environment, model).live else requests

    def key(self, environment: str, model: str) -> str:
        return "memory"

    def rotate(self, environment: str, model: str) -> None:
        raise TargetError("endpoints in memory have no keys")

    def sample(self, environment: str, model: str, deployment: str) -> TrafficSample:
        if self.state(environment, model).deployment(deployment) is None:
            raise NotFound(f"{model} in {environment} has no deployment {deployment}")
        return self._counters[environment, model, deployment].sample(self.now())

    def _behaviour(self, release: int) -> Behaviour:
        return self.behaviours.get(release, Behaviour())

    def _answer(self, environment: str, model: str, deployment: Deployment) -> float | None:
        behaviour = self._behaviour(deployment.release)
        counter = self._counters[environment, model, deployment.name]
        number = counter.requests + 1
        failed = behaviour.error_every and number % behaviour.error_every == 0
        value = None if failed else behaviour.predict(number)
        counter.count(behaviour.latency, value)
        return value

    def _put(self, state: EndpointState) -> None:
        self._states[state.environment, state.model] = state


class MemoryLease:
    """A held lease; `stolen` makes it lost, as when a suspended process wakes up too late."""

    stolen = False

    def verify(self) -> None:
        if self.stolen:
            raise Locked("this process lost the lock")


class MemoryStore:
    """`EnvironmentStore`; a lock is given back even when a hook raises, as a dead process gives it back."""

    def __init__(self, hook: Hook = _quiet) -> None:
        self.hook = hook
        self.leases: dict[str, tuple[str, MemoryLease]] = {}
        self._entries: dict[str, list[JournalEntry]] = defaultdict(list)

    @contextlib.contextmanager
    def lock(self, environment: str, owner: str, lease: float) -> Iterator[MemoryLease]:
        if environment in self.leases:
            raise Locked(f"{environment} is locked: {self.leases[environment][0]} is at work")
        held = MemoryLease()
        self.leases[environment] = (owner, held)
        try:
            yield held
        finally:
            del self.leases[environment]

    def append(self, environment: str, entry: JournalEntry) -> None:
        self.hook(f"journal {entry.kind}")
        self._entries[environment].append(entry)
        self.hook(f"journaled {entry.kind}")

    def entries(self, environment: str, model: str | None = None) -> Sequence[JournalEntry]:
        return [e for e in self._entries[environment] if model is None or e.model == model]
