"""Who may go on: after the cool-down, without the lock, and before a soak has ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from engine_world import MODEL, World, policy
from rollout_world import of_kind, shares

from mlops.errors import Locked
from mlops.lifecycle.apply.environment import execute, plan_for
from mlops.lifecycle.apply.rollout import Event
from mlops.lifecycle.decide import journal
from mlops.lifecycle.decide.journal import Kind
from mlops.lifecycle.desired.approvals import unweighed
from mlops.spec.desired import Strategy
from mlops.targets.memory import MemoryLease


def steal(world: World) -> None:
    _, lease = world.store.leases["staging"]
    assert isinstance(lease, MemoryLease)
    lease.stolen = True


WARM = Strategy(canary=[100], analysis=1, min_requests=20, cool_down=600)


def warm(world: World, meanwhile: Callable[[], None]) -> list[Event]:
    world.ship()
    world.ask("staging", world.release(), strategy=WARM)
    events: list[Event] = []

    def on_sleep(seconds: float) -> None:
        if seconds > 100:
            meanwhile()
        world.endpoints.drive("staging", MODEL, 200)

    world.clock.on_sleep = on_sleep
    execute(world.intent("staging"), world.target, actor="bot", clock=world.clock, progress=events.append)
    return events


def test_after_the_cool_down_the_old_one_goes_and_is_not_asked_for_again(world: World):
    began = world.clock.now()
    events = warm(world, lambda: None)
    assert world.clock.now() - began >= timedelta(seconds=600)
    assert shares(world) == {2: 100}
    assert [e.text for e in events if e.kind == "wait"] == ["the old deployment stays warm for 600 s"]


def test_whoever_was_at_work_meanwhile_retires_the_old_one(world: World):
    def somebody() -> None:
        entry = of_kind(world, Kind.STARTED)[-1]
        world.store.append("staging", entry)

    warm(world, somebody)
    assert shares(world) == {1: 0, 2: 100}, "the plan is old: the next apply decides"
    assert world.apply("staging").steps[-1] == "retire blue"


def test_who_is_at_work_when_the_cool_down_ends_is_left_alone(world: World):
    def somebody() -> None:
        world.store.leases["staging"] = ("grace", MemoryLease())

    events = warm(world, somebody)
    assert shares(world) == {1: 0, 2: 100}
    assert "somebody else is at work" in events[-1].text


def test_a_lost_lock_stops_a_window_that_is_being_watched(world: World):
    world.ship()
    world.ask("staging", world.release())

    def while_watching(event: Event) -> None:
        if event.kind == "watch":
            steal(world)

    before = world.clock.now()
    with pytest.raises(Locked):
        execute(
            world.intent("staging"), world.target, actor="bot", clock=world.clock, progress=while_watching
        )
    assert world.clock.now() - before < timedelta(seconds=5), "it watched on without the lock"
    assert not journal.read(world.store.entries("staging", MODEL)).passed


def test_who_lost_the_lock_writes_nothing_more(world: World):
    world.ship()
    world.ask("staging", world.release())
    written: list[int] = []

    def at_the_first_shift(event: Event) -> None:
        if event.kind == "step" and event.text.startswith("send 10 %"):
            written.append(len(world.store.entries("staging")))
            steal(world)

    with pytest.raises(Locked):
        execute(
            world.intent("staging"), world.target, actor="bot", clock=world.clock, progress=at_the_first_shift
        )
    assert [len(world.store.entries("staging"))] == written


def test_who_lost_the_lock_while_writing_does_nothing_more(world: World):
    world.ship()
    world.ask("staging", world.release())

    def while_a_shift_is_written(effect: str) -> None:
        written = world.store.entries("staging")
        if effect == "journaled step.started" and written[-1].data["step"] == "shift":
            steal(world)

    world.store.hook = while_a_shift_is_written
    with pytest.raises(Locked):
        world.apply("staging")
    assert shares(world) == {1: 100, 2: 0}


@pytest.mark.parametrize("after", [0, 9, 10, 25])
def test_who_loses_the_lock_while_the_sample_is_sent_stops_within_ten_rows(
    world: World, monkeypatch: pytest.MonkeyPatch, after: int
):
    strategy = Strategy(canary=[100], analysis=1, min_requests=100)
    world.ship()
    world.load = 0
    world.ask("staging", world.release(), strategy=strategy)
    score, asked = world.endpoints.score, []

    def counting(*args: object, **options: object) -> object:
        asked.append(options["deployment"])
        if asked.count("blue") == after + 1:
            steal(world)
        return score(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(world.endpoints, "score", counting)
    with pytest.raises(Locked):
        world.apply("staging")
    assert asked.count("blue") <= after + 11


def test_a_soak_counts_from_when_staging_took_over(artifact):
    world = World(artifact, soak=3600)
    version = world.ship()
    world.ask("prod", version)
    world.clock.sleep(3599)
    assert "soak" in plan_for(world.intent("prod"), world.target, world.clock.now(), unweighed).refusal
    world.clock.sleep(1)
    assert not plan_for(world.intent("prod"), world.target, world.clock.now(), unweighed).refusal
    world.policy = policy(3601)
    assert "soak" in plan_for(world.intent("prod"), world.target, world.clock.now(), unweighed).refusal
