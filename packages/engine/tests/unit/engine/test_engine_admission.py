"""What may move at all: holds, freezes, the order of environments, changes written against another state."""

from __future__ import annotations

import pytest
from engine_world import MODEL, World, policy

from mlops.errors import Blocked, InvalidInput
from mlops.lifecycle.apply.environment import execute
from mlops.spec.desired import Bypass, Hold, Strategy
from mlops.spec.gates import GateResult


def test_a_person_clears_the_hold_and_says_why(world: World):
    bad = world.hold()
    world.apply("staging", clear_hold="the upstream outage is over")
    assert world.served("staging") == bad
    cleared = next(e for e in world.store.entries("staging") if e.kind == "hold.cleared")
    assert (cleared.actor, cleared.data["reason"]) == ("bot", "the upstream outage is over")


def test_a_new_commit_of_the_file_is_a_new_decision(world: World):
    bad = world.hold()
    world.ask("staging", bad, strategy=Strategy(canary=[100], analysis=1, min_requests=20))
    world.apply("staging")
    assert world.served("staging") == bad


def test_clearing_what_is_not_held_is_an_error(world: World):
    world.ship()
    with pytest.raises(InvalidInput, match="no hold on release 1"):
        world.apply("staging", clear_hold="just in case")


def test_a_hold_does_not_keep_the_next_release_out(world: World):
    world.hold()
    version = world.ship()
    assert world.served("staging") == version, "release 3 says it replaces 2, which never came in"


def test_a_freeze_blocks_a_forward_move_and_says_until_when(world: World):
    world.ship()
    world.ask("staging", world.release())
    world.freeze_now("staging")
    with pytest.raises(Blocked, match=r"frozen until 2026-03-01 \d\d:\d\d UTC \(year end, ops\)"):
        world.apply("staging")
    assert world.served("staging") == 1
    world.thaw()
    world.apply("staging")
    assert world.served("staging") == 2


def test_a_hold_in_the_file_blocks_a_forward_move(world: World):
    world.ship()
    world.ask("staging", world.release(), hold=Hold(reason="wait", since=world.clock.now(), by="ada"))
    with pytest.raises(Blocked, match="ada put freight in staging on hold"):
        world.apply("staging")


def test_compare_and_set_refuses_a_change_written_against_another_release(world: World):
    world.ship()
    first = world.release()
    second = world.release()
    world.ask("staging", first)
    world.apply("staging")
    world.ask("staging", second, replaces=1)  # written while 1 was served
    with pytest.raises(Blocked, match="was to replace 1, but staging serves release 2"):
        world.apply("staging")
    assert world.served("staging") == first


def test_an_apply_that_was_skipped_does_not_block_the_next(world: World):
    world.ship()
    world.ask("staging", world.release())
    version = world.ship()
    assert world.served("staging") == version == 3


def test_a_late_apply_of_an_old_commit_changes_nothing(world: World):
    world.ship()
    world.ask("staging", world.release())
    old = world.intent("staging")
    world.ship()
    with pytest.raises(Blocked, match="came too late"):
        execute(old, world.target, actor="bot", clock=world.clock, overtaken=lambda c: c > old.commit)
    assert world.served("staging") == 3


def test_prod_takes_only_what_staging_verified_and_soaked(artifact):
    world = World(artifact, soak=3600)
    version = world.release()
    world.ask("prod", version)
    with pytest.raises(Blocked, match="staging serves nothing, not release 1"):
        world.apply("prod")
    world.ask("staging", version)
    world.apply("staging")
    with pytest.raises(Blocked, match=r"healthy in staging for 0:00:00 of 1:00:00; wait until"):
        world.apply("prod")
    world.policy = policy(48 * 3600)
    with pytest.raises(Blocked, match=r"healthy in staging for 0:00:00 of 48:00:00; wait until"):
        world.apply("prod")
    world.policy = policy(3600)
    world.clock.sleep(3601)
    world.apply("prod")
    assert world.served("prod") == version
    assert world.registry.aliases[MODEL] == {"staging": 1, "prod": 1, "champion": 1}


def test_a_bypass_skips_the_soak_and_is_recorded(artifact):
    world = World(artifact, soak=3600)
    version = world.ship()
    bypass = Bypass(gates=["soak"], reason="login is broken in prod", approver="grace")
    world.ask("prod", version, bypass=bypass)
    world.apply("prod")
    finished = [e for e in world.store.entries("prod") if e.kind == "apply.finished"]
    assert finished[0].data["bypass"]["approver"] == "grace"


def test_a_bypass_of_the_soak_does_not_bypass_order_or_freeze(artifact):
    world = World(artifact, soak=3600)
    bypass = Bypass(gates=["soak", "freeze", "replaces"], reason="login is broken in prod", approver="grace")
    world.ask("prod", world.release(), bypass=bypass)
    world.freeze_now("prod")
    with pytest.raises(Blocked) as caught:
        world.apply("prod")
    assert "order:" in str(caught.value)
    assert "freeze:" in str(caught.value)


def test_a_release_that_its_gates_blocked_does_not_enter(world: World):
    gate = GateResult(name="champion", verdict="blocked", observed="-0.02", limit="0")
    world.ask("staging", world.release(gates=[gate]))
    with pytest.raises(Blocked, match="was blocked by champion when it was made"):
        world.apply("staging")
