"""What tests of a rollout ask of the world after it."""

from __future__ import annotations

from engine_world import MODEL, World

from mlops.spec.desired import Strategy
from mlops.targets.base import JournalEntry

ONE_STEP = Strategy(canary=[100], analysis=10, min_requests=20)


def of_kind(world: World, kind: str, env: str = "staging") -> list[JournalEntry]:
    return [e for e in world.store.entries(env, MODEL) if e.kind == kind]


def shares(world: World, env: str = "staging") -> dict[int, int]:
    return {d.release: d.traffic for d in world.endpoints.state(env, MODEL).deployments}
