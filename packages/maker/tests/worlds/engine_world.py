"""A repository and a target in memory, small enough to run thousands of rollouts a second."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops.errors import Blocked
from mlops.lifecycle.apply.environment import Outcome, execute
from mlops.lifecycle.decide import transitions
from mlops.lifecycle.decide.clock import ManualClock
from mlops.lifecycle.decide.intent import Intent
from mlops.spec.desired import DesiredState, Strategy
from mlops.spec.gates import GateResult, Interval
from mlops.spec.policy import EnvironmentPolicy, Freeze, FreezeWindow, Policy
from mlops.spec.release import Data, Release, Source
from mlops.targets.base import Target
from mlops.targets.memory import Behaviour, MemoryEndpoints, MemoryRegistry, MemoryStore

MODEL = "freight"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAMPLE = {"input_data": {"columns": ["x"], "index": [0, 1], "data": [[1.0], [2.0]]}}


class Killed(BaseException):
    """SIGKILL: nothing catches it."""


def make_release(version: int, *, gates: list[GateResult] | None = None) -> Release:
    return Release(
        model=MODEL,
        version=version,
        digest=f"sha256:{version:064x}",
        created=START,
        source=Source(
            commit=f"{version:040x}",
            actor="ada",
            run_id=f"run{version}",
            pipeline="pipelines/freight/training.yml",
            pipeline_digest="sha256:" + "1" * 64,
        ),
        data=Data(
            name="nycfreight",
            version="1",
            digest="sha256:" + "2" * 64,
            window="2013-01..2013-03",
            test_window="2013-04",
        ),
        environment="sha256:" + "3" * 64,
        metrics={"roc_auc": Interval(value=0.7, low=0.68, high=0.72)},
        gates=gates or [GateResult(name="absolute", verdict="pass", observed="0.70", limit="0.60")],
    )


def write_artifact(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sample.json").write_text(json.dumps(SAMPLE))
    return folder


def policy(soak: float = 0.0, *, synthetic: bool = True) -> Policy:
    return Policy(
        order=["staging", "prod"],
        environments={
            "staging": EnvironmentPolicy(synthetic_traffic=synthetic),
            "prod": EnvironmentPolicy(soak=soak, synthetic_traffic=synthetic),
        },
    )


class World:
    """One model; the files' history is a list of states an environment, `promote` and `revert` add to it."""

    def __init__(self, artifact: Path, *, soak: float = 0.0, synthetic: bool = True) -> None:
        self.clock = ManualClock(START, self._on_sleep)
        self.deaths: list[int] = []
        self.effects = 0
        self.kill_at: int | None = None
        self.endpoints = MemoryEndpoints(self.clock.now, self._hook)
        self.registry = MemoryRegistry(self._hook)
        self.store = MemoryStore(self._hook)
        self.target = Target("memory", None, self.registry, self.endpoints, self.store, None)  # type: ignore[arg-type]
        self.policy = policy(soak, synthetic=synthetic)
        self.freeze = Freeze()
        self.artifact = artifact
        self.files: dict[str, list[DesiredState]] = {"staging": [], "prod": []}
        self.releases: dict[int, Release] = {}
        self.load = 60
        self.failed_requests = 0
        self.watch = lambda: None

    # --- the world -----------------------------------------------------------------------------------

    def release(self, *, gates: list[GateResult] | None = None) -> int:
        version = len(self.releases) + 1
        self.releases[version] = make_release(version, gates=gates)
        self.registry.add(self.releases[version], self.artifact)
        return version

    def freeze_now(self, env: str) -> None:
        local = self.clock.now().replace(tzinfo=None)
        window = FreezeWindow(
            environments=[env],
            start=local - timedelta(hours=1),
            end=local + timedelta(hours=1),
            timezone="UTC",
            reason="year end",
            by="ops",
        )
        self.freeze = Freeze(windows=[window])

    def thaw(self) -> None:
        self.freeze = Freeze()

    def _on_sleep(self, seconds: float) -> None:
        for env in self.files:
            if self.endpoints.state(env, MODEL).live:
                self.failed_requests += self.endpoints.drive(env, MODEL, self.load)

    def _hook(self, effect: str) -> None:
        self.watch()
        self.effects += 1
        if self.kill_at is not None and self.effects >= self.kill_at:
            self.kill_at = None
            raise Killed(effect)

    # --- the files -----------------------------------------------------------------------------------

    def ask(self, env: str, release: int, **fields: object) -> None:
        """A merged change of the desired-state file."""
        history = self.files[env]
        replaces = history[-1].release if history else None
        strategy = Strategy(canary=[10, 50, 100], analysis=10, min_requests=20)
        base = {"release": release, "replaces": replaces, "strategy": strategy}
        if replaces == release:
            base["replaces"] = history[-1].replaces
        history.append(DesiredState(**{**base, **fields}))

    def ship(self, env: str = "staging", **fields: object) -> int:
        """A new release, merged and applied."""
        version = self.release()
        self.ask(env, version, **fields)
        self.apply(env)
        return version

    def hold(self) -> int:
        """A release that staging has sent back, behind one that it serves; automation is on hold."""
        self.ship()
        bad = self.release()
        self.endpoints.behaviours[bad] = Behaviour(error_every=5)
        self.ask("staging", bad)
        with pytest.raises(Blocked):
            self.apply("staging")
        self.endpoints.behaviours.pop(bad)
        return bad

    def revert(self, env: str) -> None:
        """`git revert` of the last change of release."""
        history = self.files[env]
        last = history[-1]
        before = next((s for s in reversed(history) if s.release != last.release), None)
        if before is not None:
            history.append(before)

    def intent(self, env: str) -> Intent:
        history = self.files[env]
        return Intent(
            env=env,
            model=MODEL,
            desired=history[-1],
            release=self.releases[history[-1].release],
            policy=self.policy,
            freeze=self.freeze,
            commit=f"{sum(map(len, self.files.values())):040x}",
            file_commit=f"{len(history):040x}",
            lineage=transitions.lineage(history[::-1]),
        )

    # --- the verbs -----------------------------------------------------------------------------------

    def apply(self, env: str, *, kill_after: int | None = None, clear_hold: str = "") -> Outcome:
        self.kill_at = None if kill_after is None else self.effects + kill_after
        try:
            return execute(
                self.intent(env), self.target, actor="bot", clock=self.clock, clear_hold=clear_hold
            )
        finally:
            self.kill_at = None

    def served(self, env: str) -> int | None:
        """The release that has all traffic, None when several share it or there is none."""
        live = [d for d in self.endpoints.state(env, MODEL).deployments if d.traffic]
        return live[0].release if len(live) == 1 and live[0].traffic == 100 else None

    def tagged(self, env: str) -> list[int]:
        return [v.version for v in self.registry.versions(MODEL, {f"mlops.env.{env}": "live"})]

    def kinds(self, env: str) -> list[str]:
        return [e.kind for e in self.store.entries(env, MODEL)]
