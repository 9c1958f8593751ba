"""What an apply tells is what its journal says, also when it is killed at any point and run again."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_world import MODEL, START, Killed, World

from mlops.errors import Blocked
from mlops.events import envelope
from mlops.lifecycle.apply.environment import execute
from mlops.lifecycle.train.facts import moves
from mlops.spec.events import Fact, ReleaseDeployed, ReleaseRolledBack
from mlops.targets.memory import Behaviour

SOURCE = "/mlops/test"


class Telling(World):
    """Remembers what was told, as an outbox does: once an id."""

    def __init__(self, artifact: Path) -> None:
        super().__init__(artifact)
        self.told: dict[str, Fact] = {}

    def run(self, env: str, kill_after: int | None = None) -> None:
        self.kill_at = None if kill_after is None else self.effects + kill_after
        try:
            execute(
                self.intent(env),
                self.target,
                actor="bot",
                clock=self.clock,
                announce=lambda fact, at: self.told.setdefault(envelope.event_id(SOURCE, fact), fact),
            )
        finally:
            self.kill_at = None

    def journal(self, env: str) -> dict[str, Fact]:
        found = moves(env, self.store.entries(env, MODEL), START)
        return {envelope.event_id(SOURCE, fact): fact for fact, _ in found}


@pytest.fixture
def telling(artifact: Path) -> Telling:
    return Telling(artifact)


def test_forward_backward_and_a_failed_analysis(telling: Telling):
    for _ in range(2):
        telling.ask("staging", telling.release())
        telling.run("staging")
    telling.revert("staging")
    telling.run("staging")
    bad = telling.release()
    telling.endpoints.behaviours[bad] = Behaviour(error_every=3)
    telling.ask("staging", bad)
    with pytest.raises(Blocked):
        telling.run("staging")
    told = list(telling.told.values())
    assert [(type(f).__name__, f.release) for f in told] == [
        ("ReleaseDeployed", 1),
        ("ReleaseDeployed", 2),
        ("ReleaseRolledBack", 1),
        ("ReleaseRolledBack", 1),
    ]
    _, second, back, failed = told
    assert isinstance(second, ReleaseDeployed)
    assert isinstance(back, ReleaseRolledBack)
    assert isinstance(failed, ReleaseRolledBack)
    assert second.replaces == 1
    assert (back.withdrawn, back.cause) == (2, "request")
    assert (failed.withdrawn, failed.cause, failed.percent) == (bad, "analysis", 10)
    assert failed.reason
    assert telling.journal("staging") == telling.told


def test_nothing_is_told_when_nothing_happens(telling: Telling):
    telling.ask("staging", telling.release())
    telling.run("staging")
    telling.run("staging")
    assert len(telling.told) == 1


def test_killed_anywhere_and_run_again_it_tells_each_fact_once(artifact: Path):
    """The journal never has a fact that was not told, and no kill makes one fact two."""
    effects = 1
    while True:
        world = Telling(artifact)
        world.ask("staging", world.release())
        world.run("staging")
        world.ask("staging", world.release())
        try:
            world.run("staging", kill_after=effects)
            killed = False
        except Killed:
            killed = True
        assert set(world.journal("staging")) <= set(world.told)
        world.run("staging")
        assert sorted(f.release or 0 for f in world.told.values()) == [1, 2], f"killed at effect {effects}"
        assert set(world.journal("staging")) == set(world.told)
        if not killed:
            assert effects > 10, "the rollout has effects to be killed at"
            return
        effects += 1
