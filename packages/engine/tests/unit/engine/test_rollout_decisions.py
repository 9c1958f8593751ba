"""What `Rollout` and `execute` decide themselves: when to ask again, when to send the sample, what a window
at 100 % is compared with, where to go back to, what is recorded, who may retire the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from engine_world import MODEL, Killed, World, policy

from mlops.errors import Blocked, Inconclusive, InvalidInput, Locked, TargetError
from mlops.lifecycle.apply.environment import execute, plan_for
from mlops.lifecycle.apply.rollout import Event
from mlops.lifecycle.decide import journal
from mlops.lifecycle.decide.journal import Kind
from mlops.lifecycle.desired.approvals import unweighed
from mlops.spec.desired import Bypass, Hold, Strategy
from mlops.spec.policy import EnvironmentPolicy, Policy
from mlops.targets.base import JournalEntry
from mlops.targets.memory import Behaviour, MemoryLease

ONE_STEP = Strategy(canary=[100], analysis=10, min_requests=20)


def of_kind(world: World, kind: str, env: str = "staging") -> list[JournalEntry]:
    return [e for e in world.store.entries(env, MODEL) if e.kind == kind]


def shares(world: World, env: str = "staging") -> dict[int, int]:
    return {d.release: d.traffic for d in world.endpoints.state(env, MODEL).deployments}


def steal(world: World) -> None:
    _, lease = world.store.leases["staging"]
    assert isinstance(lease, MemoryLease)
    lease.stolen = True


# --- the smoke test ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("refusals", "served"), [(0, 1), (1, 1), (2, 1), (3, None)])
def test_a_smoke_test_is_asked_three_times_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch, refusals: int, served: int | None
):
    score, asked = world.endpoints.score, []

    def refusing(*args: object, **options: object) -> object:
        asked.append(world.clock.now())
        if len(asked) <= refusals:
            raise TargetError("not yet")
        return score(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(world.endpoints, "score", refusing)
    world.ask("staging", world.release())
    if served is None:
        with pytest.raises(Blocked, match=r"smoke test failed: not yet.*Nothing is served"):
            world.apply("staging")
        assert not shares(world), "the endpoint is stopped"
    else:
        world.apply("staging")
    assert world.served("staging") == served
    assert len(asked) == min(refusals + 1, 3)
    waited = [(b - a).total_seconds() for a, b in pairwise(asked)]
    assert waited == [0.5, 1.0][: len(waited)]


def test_a_wrong_answer_is_asked_again_too(world: World, monkeypatch: pytest.MonkeyPatch):
    score, asked = world.endpoints.score, []

    def odd_at_first(*args: object, **options: object) -> object:
        asked.append(1)
        return {"predictions": []} if len(asked) == 1 else score(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(world.endpoints, "score", odd_at_first)
    world.ask("staging", world.release())
    world.apply("staging")
    assert world.served("staging") == 1


@pytest.mark.parametrize("canary", [[100], [50, 100]])
def test_every_request_of_a_rollout_says_that_no_client_has_sent_it(
    world: World, monkeypatch: pytest.MonkeyPatch, canary: list[int]
):
    world.ship()
    world.load = 0
    score, asked = world.endpoints.score, []

    def noting(*args: object, **options: object) -> object:
        asked.append(options["synthetic"])
        return score(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(world.endpoints, "score", noting)
    world.ask("staging", world.release(), strategy=Strategy(canary=canary, analysis=1, min_requests=20))
    world.apply("staging")
    assert len(asked) > 20 and all(asked)


def test_the_smoke_test_asks_the_newcomer_by_name_and_not_what_serves(world: World):
    world.ship()
    bad = world.release()
    world.endpoints.behaviours[bad] = Behaviour(error_every=1)
    world.ask("staging", bad)
    with pytest.raises(Blocked, match="the smoke test failed") as caught:
        world.apply("staging")
    assert " at " not in str(caught.value).split(":")[0], "it never had a share"
    (failed,) = of_kind(world, Kind.FAILED)
    assert (failed.release, failed.data["percent"]) == (bad, 0)
    assert failed.data["file_commit"] == world.intent("staging").file_commit
    assert shares(world) == {1: 100}


@pytest.mark.parametrize("earlier", [1, 2])
def test_a_newcomer_that_cannot_answer_never_gets_traffic_wherever_the_process_dies(artifact, earlier: int):
    """What the journal says of the release before it is no smoke test of this one."""
    tried = 0
    for point in range(1, 100):
        world = World(artifact)
        for _ in range(earlier):
            world.ship()
        bad = world.release()
        world.endpoints.behaviours[bad] = Behaviour(error_every=1)
        world.ask("staging", bad)
        given: list[int] = []
        world.watch = lambda world=world, bad=bad, given=given: given.append(shares(world).get(bad, 0))
        try:
            world.apply("staging", kill_after=point)
        except Killed:
            tried += 1
        except Blocked:
            break
        with pytest.raises(Blocked):
            world.apply("staging")
        assert set(given) == {0}, f"traffic after a kill at effect {point}"
        assert shares(world) == {earlier: 100}
    assert tried > 10


def test_canary_steps_of_a_deployment_that_is_lost_are_watched_again(world: World):
    world.ship()
    world.ask("staging", world.release())

    def die(event: Event) -> None:
        if event.kind == "done" and event.text.startswith("send 50 %"):
            raise Killed

    with pytest.raises(Killed):
        execute(world.intent("staging"), world.target, actor="bot", clock=world.clock, progress=die)
    world.endpoints.set_traffic("staging", MODEL, {"blue": 100, "green": 0})
    world.endpoints.delete("staging", MODEL, "green")
    world.apply("staging")
    assert [e.data["percent"] for e in of_kind(world, Kind.PASSED)] == [10, 10, 50, 100]


def test_canary_steps_that_were_passed_are_not_watched_again_by_who_goes_on(world: World):
    world.ship()
    world.ask("staging", world.release())

    def die(event: Event) -> None:
        if event.kind == "done" and event.text.startswith("send 50 %"):
            raise Killed

    with pytest.raises(Killed):
        execute(world.intent("staging"), world.target, actor="bot", clock=world.clock, progress=die)
    world.apply("staging")
    assert [e.data["percent"] for e in of_kind(world, Kind.PASSED)] == [10, 50, 100]


# --- the analysis -----------------------------------------------------------------------------------------


def test_a_pass_waits_for_the_end_of_its_window_and_a_failure_does_not(world: World):
    world.ship()
    began = world.clock.now()
    world.ship(strategy=ONE_STEP)
    assert world.clock.now() - began >= timedelta(seconds=10)
    bad = world.release()
    world.endpoints.behaviours[bad] = Behaviour(error_every=7)
    world.ask("staging", bad, strategy=ONE_STEP)
    began = world.clock.now()
    with pytest.raises(Blocked, match="error rate"):
        world.apply("staging")
    assert world.clock.now() - began < timedelta(seconds=5)


@pytest.mark.parametrize("length", [0.12, 1.0, 7.3])
def test_a_window_is_as_long_as_the_file_says(world: World, length: float):
    world.ship()
    world.load = 400
    world.ask("staging", world.release(), strategy=Strategy(canary=[100], analysis=length, min_requests=20))
    world.apply("staging")
    shifted = [e.at for e in of_kind(world, Kind.STEP) if e.data["step"] == "analyse"]
    passed = [e.at for e in of_kind(world, Kind.PASSED)]
    assert (passed[-1] - shifted[-1]).total_seconds() == pytest.approx(length, abs=1e-3)


def test_what_people_send_while_the_sample_is_sent_is_not_compared(world: World):
    """Nine in ten of their requests reach the old one, and they look unlike the sample."""
    world.ship()
    world.load = 0
    world.ask("staging", world.release(), strategy=Strategy(canary=[10, 100], analysis=1, min_requests=60))
    score = world.endpoints.score

    def busy(*args: object, **options: object) -> object:
        world.endpoints.behaviours = {v: Behaviour(predict=lambda _: 0.05) for v in world.releases}
        answer = score(*args, **options)  # type: ignore[arg-type]
        world.endpoints.behaviours = {v: Behaviour(predict=lambda _: 0.9) for v in world.releases}
        world.endpoints.drive("staging", MODEL, 10)
        return answer

    world.endpoints.score = busy  # type: ignore[method-assign, assignment]
    world.apply("staging")
    assert world.served("staging") == 2


def test_a_window_of_no_length_is_still_judged(world: World):
    world.ship()
    world.load = 0
    world.ship(strategy=Strategy(canary=[100], analysis=0, min_requests=20))
    assert [e.data["percent"] for e in of_kind(world, Kind.PASSED)] == [100]


def test_the_sample_is_sent_only_where_the_policy_of_this_environment_allows_it(artifact):
    world = World(artifact, synthetic=False)
    allowed = {"staging": EnvironmentPolicy(), "prod": EnvironmentPolicy(synthetic_traffic=True)}
    world.policy = Policy(order=["staging", "prod"], environments=allowed)
    world.ship()
    world.load = 0
    world.ask("staging", world.release())
    with pytest.raises(Inconclusive, match="are needed for a verdict"):
        world.apply("staging")
    (entry,) = of_kind(world, Kind.INCONCLUSIVE)
    assert entry.data["percent"] == 10
    assert "allow `synthetic_traffic` for staging" in entry.data["reason"]
    assert not of_kind(world, Kind.PASSED)


def test_a_strict_limit_waits_for_the_predictions_that_it_takes(artifact):
    """What is asked for is told; where policy sends the sample, as much of it is sent."""
    world = World(artifact, synthetic=False)
    world.ship()
    world.load = 3
    strict = Strategy(
        canary=[50, 100], analysis=10, min_requests=20, max_prediction_shift=0.05, detectable_shift=0.5
    )
    world.ask("staging", world.release(), strategy=strict)
    with pytest.raises(Inconclusive, match=r"\d+ predictions in 10 s at 50 %, \d+ are needed for a verdict"):
        world.apply("staging")
    assert len(of_kind(world, Kind.INCONCLUSIVE)) == 1
    world.policy = Policy(
        order=["staging", "prod"],
        environments={
            "staging": EnvironmentPolicy(synthetic_traffic=True),
            "prod": EnvironmentPolicy(synthetic_traffic=True),
        },
    )
    world.apply("staging")
    assert world.served("staging") == 2


def test_enough_requests_are_judged_themselves_and_no_sample_is_sent(world: World):
    world.ship()
    world.load = 400
    texts: list[str] = []
    world.ask("staging", world.release())
    execute(
        world.intent("staging"),
        world.target,
        actor="bot",
        clock=world.clock,
        progress=lambda event: texts.append(event.text),
    )
    assert not [text for text in texts if "too few" in text]
    assert all(e.data["live"] is not None for e in of_kind(world, Kind.PASSED) if e.data["percent"] < 100)


def test_what_the_sample_looked_like_is_no_baseline_for_real_requests(world: World):
    world.ship()
    world.load = 0
    world.ship()
    assert [e.data["percent"] for e in of_kind(world, Kind.PASSED)] == [10, 50, 100]
    assert all(e.data["live"] is None for e in of_kind(world, Kind.PASSED))


def slowing_at_all_traffic(world: World, *releases: int) -> int:
    """Release 2 of a canary at 100 %; from then on these releases take a second each."""
    world.ship()
    newer = world.release()
    world.ask("staging", newer, strategy=Strategy(canary=[50, 100], analysis=10, min_requests=20))

    def on_sleep(seconds: float) -> None:
        if world.served("staging") == newer:
            world.endpoints.behaviours |= dict.fromkeys(releases, Behaviour(latency=1.0))
        world.endpoints.drive("staging", MODEL, 400)

    world.clock.on_sleep = on_sleep
    return newer


def test_at_all_traffic_a_machine_that_became_slow_is_no_verdict_on_the_release(world: World):
    newer = slowing_at_all_traffic(world, 1, 2)
    with pytest.raises(Inconclusive, match="the machine was slow, and not the release: p99 1e"):
        world.apply("staging")
    assert of_kind(world, Kind.FAILED) == [] and world.served("staging") == newer
    world.endpoints.behaviours.clear()
    world.clock.on_sleep = lambda seconds: world.endpoints.drive("staging", MODEL, 400)
    world.apply("staging")
    assert of_kind(world, Kind.PASSED)[-1].data["percent"] == 100


def test_at_all_traffic_a_release_that_is_slow_where_the_live_one_is_not_goes_back(world: World):
    slowing_at_all_traffic(world, 2)
    with pytest.raises(Blocked, match="at 100 %: latency p99"):
        world.apply("staging")
    assert world.served("staging") == 1


def test_where_policy_sends_no_sample_the_live_one_is_not_asked(world: World):
    world.policy = policy(synthetic=False)
    slowing_at_all_traffic(world, 1, 2)
    with pytest.raises(Blocked, match="at 100 %: latency p99"):
        world.apply("staging")


def test_at_all_traffic_the_newcomer_is_compared_with_the_last_window_that_was_passed(world: World):
    """The old one idles at 100 %; its own counters of that window say nothing."""
    world.ship()
    bad = world.release()
    world.ask("staging", bad, strategy=Strategy(canary=[50, 100], analysis=10, min_requests=20))

    def worse_alone(seconds: float) -> None:
        if world.served("staging") == bad:
            world.endpoints.behaviours[bad] = Behaviour(predict=lambda _: 0.99)
        world.endpoints.drive("staging", MODEL, 400)

    world.clock.on_sleep = worse_alone
    with pytest.raises(Blocked, match="at 100 %: the distribution of predictions moved"):
        world.apply("staging")
    (failed,) = of_kind(world, Kind.FAILED)
    assert failed.data["new"]["requests"] >= 20
    assert failed.data["live"] == of_kind(world, Kind.PASSED)[-1].data["live"]


def test_without_an_earlier_window_all_traffic_is_judged_by_its_errors_alone(world: World):
    world.ship()
    version = world.release()
    world.endpoints.behaviours[version] = Behaviour(latency=5.0)
    world.ask("staging", version, strategy=ONE_STEP)
    world.apply("staging")
    assert world.served("staging") == version


def test_a_restart_while_it_is_watched_is_no_verdict_and_ends_the_window(world: World):
    world.ship()
    world.ask("staging", world.release())
    began = world.clock.now()

    def restart(seconds: float) -> None:
        world.endpoints.drive("staging", MODEL, 400)
        if world.clock.now() - began > timedelta(seconds=2):
            world.endpoints._counters.clear()

    world.clock.on_sleep = restart
    with pytest.raises(Inconclusive, match="restarted while it was watched"):
        world.apply("staging")
    assert shares(world) == {1: 90, 2: 10}
    assert world.clock.now() - began < timedelta(seconds=5)
    assert not of_kind(world, Kind.FAILED)


# --- turning back -----------------------------------------------------------------------------------------


def test_a_failure_goes_back_to_what_took_over_last_and_says_at_which_share(world: World):
    world.ship()
    bad = world.release()
    world.endpoints.behaviours[bad] = Behaviour(error_every=3)
    world.ask("staging", bad)
    events: list[Event] = []
    with pytest.raises(Blocked, match=r"failed in staging at 10 %.*Release 1 serves all traffic") as caught:
        execute(world.intent("staging"), world.target, actor="bot", clock=world.clock, progress=events.append)
    assert "--clear-hold" in str(caught.value)
    assert [e.text for e in events if e.kind == "back"] == ["all traffic back to release 1"]
    kinds = world.kinds("staging")
    assert kinds.index(Kind.FAILED) < len(kinds) - 1, "recorded before anything moves"
    assert world.served("staging") == 1


def test_the_next_commit_of_the_file_is_a_new_decision_even_when_the_old_one_was_recorded(world: World):
    bad = world.hold()
    made = plan_for(world.intent("staging"), world.target, world.clock.now(), unweighed)
    assert "analysis" in made.refusal
    world.ask("staging", bad, strategy=ONE_STEP)
    made = plan_for(world.intent("staging"), world.target, world.clock.now(), unweighed)
    assert not made.refusal


# --- what a finish records --------------------------------------------------------------------------------


def test_a_finish_moves_tags_and_aliases_and_makes_a_champion_only_in_the_last_environment(world: World):
    first = world.ship()
    second = world.ship()
    assert world.tagged("staging") == [second]
    assert world.registry.aliases[MODEL] == {"staging": second}
    world.ask("prod", second)
    world.apply("prod")
    assert world.registry.aliases[MODEL] == {"staging": second, "prod": second, "champion": second}
    assert world.tagged("prod") == [second]
    world.ask("staging", first)
    world.apply("staging")
    assert world.registry.aliases[MODEL] == {"staging": first, "prod": second, "champion": second}
    assert (world.tagged("staging"), world.tagged("prod")) == ([first], [second])


def test_a_finish_says_what_was_released_by_which_commit_and_why(world: World):
    world.ship()
    world.ship()
    hold = Hold(reason="errors at night", since=world.clock.now(), by="ada")
    bypass = Bypass(gates=["order"], reason="login is broken", approver="grace")
    world.ask("prod", 1)
    world.ask("staging", 1, hold=hold, bypass=bypass)
    assert world.intent("staging").commit != world.intent("staging").file_commit
    world.apply("staging")
    entry = of_kind(world, Kind.FINISHED)[-1]
    assert entry.data["digest"] == world.releases[1].digest
    assert entry.data["file_commit"] == world.intent("staging").file_commit
    assert entry.data["reason"] == "errors at night"
    assert entry.data["bypass"]["approver"] == "grace"
    assert (entry.release, entry.actor, entry.commit) == (1, "bot", world.intent("staging").commit)
    assert of_kind(world, Kind.FINISHED)[0].data["bypass"] is None
    assert of_kind(world, Kind.FINISHED)[0].data["reason"] == ""


# --- execute ----------------------------------------------------------------------------------------------


def test_what_was_started_says_from_where_and_in_which_steps(world: World):
    world.ship()
    world.ask("prod", 1)
    world.ship()
    first, second = of_kind(world, Kind.STARTED)
    assert (first.data["replaces"], first.data["direction"]) == (None, "first")
    assert (second.data["replaces"], second.data["direction"]) == (1, "forward")
    assert second.data["steps"][-1] == "retire blue"
    assert second.data["file_commit"] == world.intent("staging").file_commit


def test_an_outcome_says_what_was_replaced_and_nothing_when_it_is_the_same(world: World):
    world.ask("staging", world.release())
    assert world.apply("staging").replaced is None
    world.ask("staging", world.release())
    assert world.apply("staging").replaced == 1
    world.endpoints.fail("staging", MODEL)
    again = world.apply("staging")
    assert (again.replaced, again.changed, again.direction) == (None, True, "none")


@pytest.mark.parametrize("applied", [False, True])
def test_a_commit_is_too_late_only_after_a_newer_one_was_applied(world: World, applied: bool):
    asked: list[str] = []

    def newer(commit: str) -> bool:
        asked.append(commit)
        return True

    world.ask("staging", world.release())
    intent = world.intent("staging")
    if applied:
        world.apply("staging")
        with pytest.raises(Blocked, match="came too late"):
            execute(intent, world.target, actor="bot", clock=world.clock, overtaken=newer)
        assert asked == [intent.commit]
    else:
        execute(intent, world.target, actor="bot", clock=world.clock, overtaken=newer)
        assert asked == []


def test_a_hold_on_what_an_older_commit_asked_for_is_none_to_clear(world: World):
    bad = world.hold()
    world.ask("staging", bad, strategy=ONE_STEP)
    with pytest.raises(InvalidInput, match="no hold on release 2"):
        world.apply("staging", clear_hold="fixed")


def test_a_commit_that_does_not_touch_the_file_is_no_new_decision(world: World):
    world.ship()
    world.ask("prod", 1)  # from now on the commit and the last commit of the file differ
    bad = world.release()
    world.endpoints.behaviours[bad] = Behaviour(error_every=5)
    world.ask("staging", bad)
    with pytest.raises(Blocked, match="error rate"):
        world.apply("staging")
    world.endpoints.behaviours.clear()
    world.ask("prod", bad)
    with pytest.raises(Blocked, match="is not tried again by itself"):
        world.apply("staging")


def test_a_refused_apply_only_recovers_and_does_none_of_its_steps(world: World):
    world.ship()
    world.ask("staging", world.release())
    world.freeze_now("staging")
    before = world.kinds("staging")
    with pytest.raises(Blocked, match="may not enter staging: freeze"):
        world.apply("staging")
    assert world.kinds("staging") == before


def test_prod_asks_staging_and_staging_asks_nobody(world: World):
    version = world.release()
    world.ask("staging", version)
    world.ask("prod", version)
    gates = {
        env: {
            g.name: g for g in plan_for(world.intent(env), world.target, world.clock.now(), unweighed).gates
        }
        for env in ("staging", "prod")
    }
    assert gates["staging"]["order"].verdict == "skipped"
    assert gates["prod"]["order"].verdict == "blocked"
    assert "staging serves nothing" in gates["prod"]["order"].detail


def test_only_versions_that_are_tagged_live_here_count_as_live(world: World):
    world.ship()
    world.ask("prod", 1)
    world.apply("prod")
    world.registry.tag(MODEL, 1, {"mlops.env.staging": "retired"})
    kinds = [
        s.kind for s in plan_for(world.intent("staging"), world.target, world.clock.now(), unweighed).steps
    ]
    assert kinds == ["finish"]


# --- while the old one stays warm -------------------------------------------------------------------------

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
