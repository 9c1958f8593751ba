"""A rollout that was killed, overtaken or rebooted under: the next one finishes it, and two never meet."""

from __future__ import annotations

import pytest
from engine_world import MODEL, Killed, World

from mlops.errors import Blocked, Locked
from mlops.lifecycle.apply.environment import execute
from mlops.lifecycle.apply.rollout import Event
from mlops.lifecycle.decide import journal
from mlops.targets.memory import Behaviour, MemoryLease


def test_two_applies_at_once_the_second_says_who(world: World):
    world.ask("staging", world.release())
    with (
        world.store.lock("staging", "grace (apply release 1)", 60),
        pytest.raises(Locked, match="grace"),
    ):
        world.apply("staging")


def test_a_process_that_lost_its_lock_stops_before_the_next_effect(world: World):
    world.ship()
    version = world.release()
    world.ask("staging", version)

    def steal(event: Event) -> None:
        if event.kind == "done" and event.text.startswith("send 10 %"):
            _, lease = world.store.leases["staging"]
            assert isinstance(lease, MemoryLease)
            lease.stolen = True

    with pytest.raises(Locked, match="lost the lock"):
        execute(world.intent("staging"), world.target, actor="bot", clock=world.clock, progress=steal)
    shares = {d.release: d.traffic for d in world.endpoints.state("staging", MODEL).deployments}
    assert shares == {1: 90, 2: 10}, "something was done after the lock was lost"


def test_killed_at_every_effect_of_a_rollout_the_next_apply_finishes(artifact):
    """Exhaustive where the property test is random."""
    total = 0
    for point in range(1, 200):
        world = World(artifact)
        world.ship()
        world.ask("staging", world.release())
        try:
            world.apply("staging", kill_after=point)
        except Killed:
            total += 1
        else:
            break
        assert world.endpoints.state("staging", MODEL).live, f"dark after a kill at effect {point}"
        world.apply("staging")
        assert world.served("staging") == 2, f"not converged after a kill at effect {point}"
        assert world.tagged("staging") == [2]
        assert world.failed_requests == 0
    assert total > 40, f"only {total} places to die were tried"


def test_killed_right_after_a_failed_verdict_the_next_apply_goes_back(artifact):
    for point in range(1, 200):
        world = World(artifact)
        world.ship()
        bad = world.release()
        world.endpoints.behaviours[bad] = Behaviour(latency=0.2)
        world.ask("staging", bad)
        try:
            world.apply("staging", kill_after=point)
        except Killed:
            pass
        except Blocked:
            break
        failed = journal.read(world.store.entries("staging")).held
        with pytest.raises(Blocked):
            world.apply("staging")
        assert world.served("staging") == 1, f"a kill at effect {point} left traffic on the bad release"
        assert [d.release for d in world.endpoints.state("staging", MODEL).deployments] == [1]
        assert bad in failed or bad in journal.read(world.store.entries("staging")).held


def test_a_release_interrupted_on_its_way_in_is_cleared_away_for_the_next(world: World):
    world.ship()
    world.ask("staging", world.release())
    with pytest.raises(Killed):
        world.apply("staging", kill_after=14)
    assert len(world.endpoints.state("staging", MODEL).deployments) == 2
    assert world.ship() == world.served("staging") == 3


def test_after_a_reboot_the_same_release_comes_back_even_in_a_freeze(world: World):
    world.ship()
    world.endpoints.stop("staging", MODEL)
    world.freeze_now("staging")
    assert world.apply("staging").changed
    assert world.served("staging") == 1


def test_a_lost_server_is_started_again_in_place(world: World):
    world.ship()
    world.endpoints.fail("staging", MODEL)
    world.freeze_now("staging")
    assert world.apply("staging").steps == (
        "start release 1 as blue, without traffic",
        "ask blue to score the release's sample",
    )
    deployments = world.endpoints.state("staging", MODEL).deployments
    assert [(d.name, d.state, d.traffic) for d in deployments] == [("blue", "ready", 100)]
    assert not world.apply("staging").changed


def test_killed_anywhere_while_settings_change_the_next_apply_finishes(artifact):
    for kill in range(1, 40):
        world = World(artifact)
        world.endpoints.settings = "one"
        world.release()
        world.ask("staging", 1)
        world.apply("staging")
        world.endpoints.settings = "two"
        try:
            world.apply("staging", kill_after=kill)
        except Killed:
            served = [d for d in world.endpoints.state("staging", MODEL).deployments if d.traffic]
            assert sum(d.traffic for d in served) == 100, kill
            world.apply("staging")
        (only,) = world.endpoints.state("staging", MODEL).deployments
        assert (only.traffic, only.settings) == (100, "two"), kill
