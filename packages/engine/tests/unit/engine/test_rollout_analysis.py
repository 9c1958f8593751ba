"""What `Rollout` decides while it watches: when to send the sample, what a window is compared with, and where
to go back to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from engine_world import MODEL, World, policy
from rollout_world import ONE_STEP, of_kind, shares

from mlops.errors import Blocked, Inconclusive
from mlops.lifecycle.apply.environment import execute, plan_for
from mlops.lifecycle.apply.rollout import Event
from mlops.lifecycle.decide.journal import Kind
from mlops.lifecycle.desired.approvals import unweighed
from mlops.spec.desired import Strategy
from mlops.spec.policy import EnvironmentPolicy, Policy
from mlops.targets.memory import Behaviour


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
