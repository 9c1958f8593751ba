"""The rollout as a person sees it: who gets traffic when, what turns it back, and what it says."""

from __future__ import annotations

import pytest
from engine_world import MODEL, Killed, World

from mlops.errors import Blocked, Inconclusive, IntegrityError, InvalidInput, Locked, TargetError
from mlops.lifecycle import journal
from mlops.lifecycle.apply import execute
from mlops.lifecycle.rollout import Event
from mlops.spec.desired import Bypass, Hold, Strategy
from mlops.spec.gates import GateResult
from mlops.targets.memory import Behaviour, MemoryLease


def shipped(world: World, env: str = "staging", **fields: object) -> int:
    """A new release, merged and applied."""
    version = world.release()
    world.ask(env, version, **fields)
    world.apply(env)
    return version


def test_the_first_release_takes_all_traffic_after_its_smoke_test(world: World):
    version = world.release()
    world.ask("staging", version)
    outcome = world.apply("staging")
    assert outcome.changed
    assert outcome.direction == "first"
    assert outcome.url
    assert world.served("staging") == version
    assert world.kinds("staging")[-1] == "step.done"
    assert "apply.finished" in world.kinds("staging")


def test_a_second_apply_changes_nothing_and_writes_nothing(world: World):
    shipped(world)
    before = world.kinds("staging")
    assert not world.apply("staging").changed
    assert world.kinds("staging") == before


def test_traffic_follows_the_canary_steps_and_the_old_one_goes_last(world: World):
    shipped(world)
    version = world.release()
    world.ask("staging", version)
    steps = world.apply("staging").steps
    assert [s.split(" (")[0] for s in steps] == [
        "start release 2 as green, without traffic",
        "ask green to score the release's sample",
        "send 10 % to green, 90 % to blue",
        "compare green with blue for 10 s at 10 %",
        "send 50 % to green, 50 % to blue",
        "compare green with blue for 10 s at 50 %",
        "send 100 % to green, 0 % to blue",
        "compare green with blue for 10 s at 100 %",
        "tag release 2 as live",
        "retire blue",
    ]
    assert world.served("staging") == 2
    assert world.tagged("staging") == [2]


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (Behaviour(latency=0.2), "latency p99"),
        (Behaviour(error_every=5), "error rate"),
        (Behaviour(predict=lambda n: 0.95), "distribution of predictions"),
        (Behaviour(predict=lambda n: float("nan")), "smoke test failed: prediction 0 is nan"),
    ],
)
def test_a_bad_release_is_sent_back_held_and_removed(world: World, behaviour: Behaviour, says: str):
    good = shipped(world)
    bad = world.release()
    world.endpoints.behaviours[bad] = behaviour
    world.ask("staging", bad)
    with pytest.raises(Blocked, match=says) as caught:
        world.apply("staging")
    assert caught.value.exit_code == 3
    assert "mlops rollback staging" in str(caught.value)
    assert world.served("staging") == good
    assert [d.release for d in world.endpoints.state("staging", MODEL).deployments] == [good]
    assert world.tagged("staging") == [good]

    # Automation that applies again does not try again, and starts nothing.
    created = world.kinds("staging").count("apply.started")
    with pytest.raises(Blocked, match="is not tried again by itself"):
        world.apply("staging")
    assert world.kinds("staging").count("apply.started") == created


def held(world: World) -> int:
    shipped(world)
    bad = world.release()
    world.endpoints.behaviours[bad] = Behaviour(error_every=5)
    world.ask("staging", bad)
    with pytest.raises(Blocked):
        world.apply("staging")
    world.endpoints.behaviours.pop(bad)
    return bad


def test_a_person_clears_the_hold_and_says_why(world: World):
    bad = held(world)
    world.apply("staging", clear_hold="the upstream outage is over")
    assert world.served("staging") == bad
    cleared = next(e for e in world.store.entries("staging") if e.kind == "hold.cleared")
    assert (cleared.actor, cleared.data["reason"]) == ("bot", "the upstream outage is over")


def test_a_new_commit_of_the_file_is_a_new_decision(world: World):
    bad = held(world)
    world.ask("staging", bad, strategy=Strategy(canary=[100], analysis=1, min_requests=20))
    world.apply("staging")
    assert world.served("staging") == bad


def test_clearing_what_is_not_held_is_an_error(world: World):
    shipped(world)
    with pytest.raises(InvalidInput, match="no hold on release 1"):
        world.apply("staging", clear_hold="just in case")


def test_a_hold_does_not_keep_the_next_release_out(world: World):
    held(world)
    version = shipped(world)
    assert world.served("staging") == version, "release 3 says it replaces 2, which never came in"


def test_rollback_is_at_once_and_needs_no_canary(world: World):
    shipped(world)
    shipped(world)
    world.revert("staging")
    outcome = world.apply("staging")
    assert outcome.direction == "backward"
    assert not any("compare" in step for step in outcome.steps)
    assert world.served("staging") == 1


def test_rollback_works_in_a_freeze_and_under_a_hold(world: World):
    shipped(world)
    shipped(world)
    world.freeze_now("staging")
    before = world.files["staging"][0]
    hold = Hold(reason="bad", since=world.clock.now(), by="ada")
    world.files["staging"].append(before.model_copy(update={"hold": hold}))
    world.apply("staging")
    assert world.served("staging") == 1


def test_a_freeze_blocks_a_forward_move_and_says_until_when(world: World):
    shipped(world)
    world.ask("staging", world.release())
    world.freeze_now("staging")
    with pytest.raises(Blocked, match=r"frozen until 2026-03-01 \d\d:\d\d UTC \(year end, ops\)"):
        world.apply("staging")
    assert world.served("staging") == 1
    world.thaw()
    world.apply("staging")
    assert world.served("staging") == 2


def test_a_hold_in_the_file_blocks_a_forward_move(world: World):
    shipped(world)
    world.ask("staging", world.release(), hold=Hold(reason="wait", since=world.clock.now(), by="ada"))
    with pytest.raises(Blocked, match="ada put freight in staging on hold"):
        world.apply("staging")


def test_compare_and_set_refuses_a_change_written_against_another_release(world: World):
    shipped(world)
    first = world.release()
    second = world.release()
    world.ask("staging", first)
    world.apply("staging")
    world.ask("staging", second, replaces=1)  # written while 1 was served
    with pytest.raises(Blocked, match="was to replace 1, but staging serves release 2"):
        world.apply("staging")
    assert world.served("staging") == first


def test_an_apply_that_was_skipped_does_not_block_the_next(world: World):
    shipped(world)
    world.ask("staging", world.release())
    version = shipped(world)
    assert world.served("staging") == version == 3


def test_a_late_apply_of_an_old_commit_changes_nothing(world: World):
    shipped(world)
    world.ask("staging", world.release())
    old = world.intent("staging")
    shipped(world)
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
    world.clock.sleep(3601)
    world.apply("prod")
    assert world.served("prod") == version
    assert world.registry.aliases[MODEL] == {"staging": 1, "prod": 1, "champion": 1}


def test_a_bypass_skips_the_soak_and_is_recorded(artifact):
    world = World(artifact, soak=3600)
    version = shipped(world)
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


def test_another_artifact_under_the_same_number_is_an_integrity_error(world: World):
    version = world.release()
    world.ask("staging", version)
    world.releases[version] = world.releases[version].model_copy(update={"digest": "sha256:" + "f" * 64})
    with pytest.raises(IntegrityError, match=r"disagree on mlops\.digest"):
        world.apply("staging")
    assert not world.endpoints.list()


def test_too_little_traffic_is_no_verdict_and_traffic_stays(artifact):
    world = World(artifact, synthetic=False)
    shipped(world)
    world.load = 0
    world.ask("staging", world.release())
    with pytest.raises(Inconclusive, match=r"0 requests in 10 s at 10 %, 20 are needed") as caught:
        world.apply("staging")
    assert caught.value.exit_code == 4
    shares = {d.release: d.traffic for d in world.endpoints.state("staging", MODEL).deployments}
    assert shares == {1: 90, 2: 10}
    world.load = 400
    world.apply("staging")
    assert world.served("staging") == 2


def test_synthetic_traffic_judges_where_people_send_none(world: World):
    shipped(world)
    world.load = 0
    shipped(world)
    assert world.served("staging") == 2
    bad = world.release()
    world.endpoints.behaviours[bad] = Behaviour(error_every=3)
    world.ask("staging", bad)
    with pytest.raises(Blocked, match="error rate"):
        world.apply("staging")


def test_a_release_that_goes_bad_only_under_all_traffic_is_sent_back(world: World):
    shipped(world)
    bad = world.release()
    world.ask("staging", bad, strategy=Strategy(canary=[10, 100], analysis=10, min_requests=20))

    def overload(seconds: float) -> None:
        if world.served("staging") == bad:
            world.endpoints.behaviours[bad] = Behaviour(latency=0.5)
        world.endpoints.drive("staging", MODEL, 400)

    world.clock.on_sleep = overload
    with pytest.raises(Blocked, match="at 100 %: latency p99"):
        world.apply("staging")
    assert world.served("staging") == 1


def test_a_server_that_does_not_start_leaves_the_live_one_alone_and_is_no_verdict(world: World):
    shipped(world)
    dead = world.release()
    world.endpoints.behaviours[dead] = Behaviour(starts=False)
    world.ask("staging", dead)
    with pytest.raises(TargetError, match="did not become ready"):
        world.apply("staging")
    assert world.served("staging") == 1
    world.endpoints.behaviours[dead] = Behaviour()
    world.apply("staging")
    assert world.served("staging") == dead


def test_two_applies_at_once_the_second_says_who(world: World):
    world.ask("staging", world.release())
    with (
        world.store.lock("staging", "grace (apply release 1)", 60),
        pytest.raises(Locked, match="grace"),
    ):
        world.apply("staging")


def test_a_process_that_lost_its_lock_stops_before_the_next_effect(world: World):
    shipped(world)
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


def test_the_old_one_stays_warm_and_the_lock_is_free_meanwhile(world: World):
    strategy = Strategy(canary=[100], analysis=1, min_requests=20, cool_down=600)
    shipped(world)
    world.ask("staging", world.release(), strategy=strategy)
    seen: list[tuple[int, bool]] = []

    def during(seconds: float) -> None:
        if seconds > 100:
            state = world.endpoints.state("staging", MODEL)
            seen.append((len(state.deployments), "staging" in world.store.leases))
        world.endpoints.drive("staging", MODEL, 200)

    world.clock.on_sleep = during
    world.apply("staging")
    assert seen == [(2, False)]
    assert [d.release for d in world.endpoints.state("staging", MODEL).deployments] == [2]


def test_a_rollback_during_the_cool_down_reuses_the_warm_deployment(world: World):
    strategy = Strategy(canary=[100], analysis=1, min_requests=20, cool_down=600)
    shipped(world)
    world.ask("staging", world.release(), strategy=strategy)

    def rollback(seconds: float) -> None:
        if seconds > 100 and len(world.files["staging"]) == 2:
            world.revert("staging")
            steps = world.apply("staging").steps
            assert not any("start" in s for s in steps), "the old deployment was still warm"
        world.endpoints.drive("staging", MODEL, 200)

    world.clock.on_sleep = rollback
    world.apply("staging")
    assert world.served("staging") == 1
    assert world.tagged("staging") == [1]


def test_killed_at_every_effect_of_a_rollout_the_next_apply_finishes(artifact):
    """Exhaustive where the property test is random."""
    total = 0
    for point in range(1, 200):
        world = World(artifact)
        shipped(world)
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
        shipped(world)
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
    shipped(world)
    world.ask("staging", world.release())
    with pytest.raises(Killed):
        world.apply("staging", kill_after=14)
    assert len(world.endpoints.state("staging", MODEL).deployments) == 2
    assert shipped(world) == world.served("staging") == 3


def test_after_a_reboot_the_same_release_comes_back_even_in_a_freeze(world: World):
    shipped(world)
    world.endpoints.stop("staging", MODEL)
    world.freeze_now("staging")
    assert world.apply("staging").changed
    assert world.served("staging") == 1


def test_a_lost_server_is_started_again_in_place(world: World):
    shipped(world)
    world.endpoints.fail("staging", MODEL)
    world.freeze_now("staging")
    assert world.apply("staging").steps == (
        "start release 1 as blue, without traffic",
        "ask blue to score the release's sample",
    )
    deployments = world.endpoints.state("staging", MODEL).deployments
    assert [(d.name, d.state, d.traffic) for d in deployments] == [("blue", "ready", 100)]
    assert not world.apply("staging").changed


def test_counters_that_cannot_be_read_are_no_verdict(world: World, monkeypatch: pytest.MonkeyPatch):
    shipped(world)
    world.ask("staging", world.release())

    def unreadable(*_: object) -> None:
        raise Inconclusive("credential expired")

    monkeypatch.setattr(world.endpoints, "sample", unreadable)
    with pytest.raises(Inconclusive, match="credential expired"):
        world.apply("staging")
    assert "analysis.inconclusive" in world.kinds("staging")
    shares = {d.release: d.traffic for d in world.endpoints.state("staging", MODEL).deployments}
    assert shares == {1: 90, 2: 10}, "an error in the analysis moved traffic"


@pytest.mark.parametrize("load", [3, 9, 12])
def test_a_sample_unlike_real_requests_does_not_send_a_good_release_back(world: World, load: int):
    """Few real requests at 10 %, judged by the sample; many at 100 %: neither is a measure of the other."""
    by_row = {False: lambda n: 0.05, True: lambda n: (n * 0.37) % 1.0}
    strategy = Strategy(canary=[10, 100], analysis=10, min_requests=50)
    shipped(world, strategy=strategy)
    version = world.release()
    world.ask("staging", version, strategy=strategy)
    world.load = load
    score = world.endpoints.score

    def sampled(*args: object, **options: object) -> dict[str, object]:
        world.endpoints.behaviours = {v: Behaviour(predict=by_row[False]) for v in world.releases}
        answer = score(*args, **options)
        world.endpoints.behaviours = {v: Behaviour(predict=by_row[True]) for v in world.releases}
        return answer

    world.endpoints.score = sampled
    world.apply("staging")
    assert world.served("staging") == version


def test_changed_settings_start_the_same_release_beside_itself(world: World):
    """Not in place: a setting that breaks the server must not break what serves."""
    world.endpoints.settings = "one"
    world.release()
    world.ask("staging", 1)
    world.apply("staging")
    world.endpoints.settings = "two"
    made = world.apply("staging")
    assert made.changed and made.steps == (
        "start release 1 as green, without traffic, because the settings of blue have changed",
        "ask green to score the release's sample",
        "send 100 % to green, 0 % to blue",
        "retire blue",
    )
    (only,) = world.endpoints.state("staging", MODEL).deployments
    assert (only.name, only.traffic, only.settings) == ("green", 100, "two")
    assert not world.apply("staging").changed


def test_settings_that_nobody_recorded_are_no_change(world: World):
    world.release()
    world.ask("staging", 1)
    world.apply("staging")
    world.endpoints.settings = "two"
    assert not world.apply("staging").changed


def test_settings_under_which_the_release_does_not_answer_change_nothing(world: World):
    world.endpoints.settings = "one"
    world.release()
    world.ask("staging", 1)
    world.apply("staging")
    world.endpoints.settings, world.endpoints.behaviours[1] = "two", Behaviour(error_every=1)
    with pytest.raises(
        TargetError, match=r"does not answer under the new settings.*blue serves on as before"
    ):
        world.apply("staging")
    (only,) = world.endpoints.state("staging", MODEL).deployments
    assert (only.name, only.traffic, only.settings) == ("blue", 100, "one")
    assert journal.Kind.FAILED not in world.kinds("staging"), "it is no verdict on the release"


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


def test_settings_that_change_during_a_rollout_start_the_new_release_again(world: World):
    world.endpoints.settings = "one"
    world.release()
    world.release()
    world.ask("staging", 1)
    world.apply("staging")
    world.ask("staging", 2)
    with pytest.raises(Killed):
        world.apply("staging", kill_after=12)
    world.endpoints.settings = "two"
    world.apply("staging")
    (only,) = world.endpoints.state("staging", MODEL).deployments
    assert (only.release, only.traffic, only.settings) == (2, 100, "two")
