"""Applies a release to a real local endpoint in a process of its own, so that it can be killed like one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from mlops.errors import MlopsError
from mlops.lifecycle.apply.environment import execute
from mlops.lifecycle.apply.rollout import Event
from mlops.lifecycle.decide.clock import SystemClock
from mlops.lifecycle.decide.intent import Intent
from mlops.spec.desired import DesiredState, Strategy
from mlops.spec.digest import tree_digest
from mlops.spec.gates import GateResult, Interval
from mlops.spec.policy import EnvironmentPolicy, Freeze, Policy
from mlops.spec.release import Data, Release, Source
from mlops.targets.base import Target
from mlops.targets.local.endpoints import LocalEndpoints
from mlops.targets.local.store import LocalStore
from mlops.targets.memory import MemoryRegistry

ENV, MODEL = "staging", "flights"
# Limits far above what chance reaches: an analysis may be wrong once in a thousand windows, and a test that
# watches hundreds of them is about kills. What a bad release does is far above these.
STRATEGY = Strategy(
    canary=[20, 100], analysis=0.3, min_requests=15, max_latency_p99_ratio=20.0, max_prediction_shift=2.0
)

# So few requests prove a shift of 6 to be above 2 most times, and above this always.
STRICT = STRATEGY.model_copy(update={"max_prediction_shift": 0.25})


class FileRegistry(MemoryRegistry):
    """Tags survive the process, as they do in any registry."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def _saved(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return found

    def add(self, release: Release, artifact: Path) -> None:
        super().add(release, artifact)
        super().tag(release.model, release.version, self._saved().get(str(release.version), {}))

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        super().tag(model, version, tags)
        saved = {str(v.version): dict(v.tags) for v in self.versions(model)}
        draft = self._path.with_suffix(".tmp")
        draft.write_text(json.dumps(saved))
        draft.replace(self._path)


def make_release(version: int, digest: str) -> Release:
    return Release(
        model=MODEL,
        version=version,
        digest=digest,
        created=datetime(2026, 3, 1, tzinfo=UTC),
        source=Source(
            commit=f"{version:040x}",
            actor="ada",
            run_id="r",
            pipeline="p",
            pipeline_digest="sha256:" + "1" * 64,
        ),
        data=Data(
            name="d",
            version="1",
            digest="sha256:" + "2" * 64,
            window="2013-01..2013-03",
            test_window="2013-04",
        ),
        environment="sha256:" + "3" * 64,
        metrics={"roc_auc": Interval(value=0.7, low=0.6, high=0.8)},
        gates=[GateResult(name="absolute", verdict="pass", observed="0.7", limit="0.6")],
    )


def target_of(state: Path, artifacts: Mapping[int, Path]) -> tuple[Target, dict[int, Release]]:
    registry = FileRegistry(state / "tags.json")
    releases = {v: make_release(v, tree_digest(folder)) for v, folder in artifacts.items()}
    for version, release in releases.items():
        registry.add(release, artifacts[version])
    endpoints = LocalEndpoints(state / "endpoints")
    return Target("local", None, registry, endpoints, LocalStore(state), None), releases  # type: ignore[arg-type]


def apply_release(
    state: Path,
    artifacts: Mapping[int, Path],
    version: int,
    replaces: int | None,
    pipe: Connection | None,
    *,
    strategy: Strategy = STRATEGY,
) -> None:
    """One apply. Sends a word for every event, and at the end `finished` or the refusal's sentence."""

    def tell(event: Event) -> None:
        if pipe is not None:
            pipe.send(event.kind)

    target, releases = target_of(state, artifacts)
    intent = Intent(
        env=ENV,
        model=MODEL,
        desired=DesiredState(release=version, replaces=replaces, strategy=strategy),
        release=releases[version],
        policy=Policy(order=[ENV], environments={ENV: EnvironmentPolicy(synthetic_traffic=True)}),
        freeze=Freeze(),
        commit=f"{version:040x}",
        file_commit=f"{version:040x}",
        lineage=frozenset({version} | ({replaces} if replaces else set())),
    )
    try:
        execute(intent, target, actor="bot", clock=SystemClock(), progress=tell)
    except MlopsError as error:
        said = f"{type(error).__name__}: {error}"
    else:
        said = "finished"
    if pipe is not None:
        pipe.send(said)
