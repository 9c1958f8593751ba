"""The rollout as a person sees it: who gets traffic when, what turns it back, and what it says."""

from __future__ import annotations

import pytest
from engine_world import MODEL, World

from mlops.errors import Blocked, Inconclusive, IntegrityError, TargetError
from mlops.spec.desired import Hold, Strategy
from mlops.targets.memory import Behaviour


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
    world.ship()
    before = world.kinds("staging")
    assert not world.apply("staging").changed
    assert world.kinds("staging") == before


def test_traffic_follows_the_canary_steps_and_the_old_one_goes_last(world: World):
    world.ship()
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
    good = world.ship()
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


def test_rollback_is_at_once_and_needs_no_canary(world: World):
    world.ship()
    world.ship()
    world.revert("staging")
    outcome = world.apply("staging")
    assert outcome.direction == "backward"
    assert not any("compare" in step for step in outcome.steps)
    assert world.served("staging") == 1


def test_rollback_works_in_a_freeze_and_under_a_hold(world: World):
    world.ship()
    world.ship()
    world.freeze_now("staging")
    before = world.files["staging"][0]
    hold = Hold(reason="bad", since=world.clock.now(), by="ada")
    world.files["staging"].append(before.model_copy(update={"hold": hold}))
    world.apply("staging")
    assert world.served("staging") == 1


def test_another_artifact_under_the_same_number_is_an_integrity_error(world: World):
    version = world.release()
    world.ask("staging", version)
    world.releases[version] = world.releases[version].model_copy(update={"digest": "sha256:" + "f" * 64})
    with pytest.raises(IntegrityError, match=r"yaml: digest: "):
        world.apply("staging")
    assert not world.endpoints.list()


def test_too_little_traffic_is_no_verdict_and_traffic_stays(artifact):
    world = World(artifact, synthetic=False)
    world.ship()
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
    world.ship()
    world.load = 0
    world.ship()
    assert world.served("staging") == 2
    bad = world.release()
    world.endpoints.behaviours[bad] = Behaviour(error_every=3)
    world.ask("staging", bad)
    with pytest.raises(Blocked, match="error rate"):
        world.apply("staging")


def test_a_release_that_goes_bad_only_under_all_traffic_is_sent_back(world: World):
    world.ship()
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
    world.ship()
    dead = world.release()
    world.endpoints.behaviours[dead] = Behaviour(starts=False)
    world.ask("staging", dead)
    with pytest.raises(TargetError, match="did not become ready"):
        world.apply("staging")
    assert world.served("staging") == 1
    world.endpoints.behaviours[dead] = Behaviour()
    world.apply("staging")
    assert world.served("staging") == dead


def test_the_old_one_stays_warm_and_the_lock_is_free_meanwhile(world: World):
    strategy = Strategy(canary=[100], analysis=1, min_requests=20, cool_down=600)
    world.ship()
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
    world.ship()
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


def test_counters_that_cannot_be_read_are_no_verdict(world: World, monkeypatch: pytest.MonkeyPatch):
    world.ship()
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
    world.ship(strategy=strategy)
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
