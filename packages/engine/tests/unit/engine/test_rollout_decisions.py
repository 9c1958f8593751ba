"""What `Rollout` and `execute` decide themselves: when to ask again, what is recorded, what is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from engine_world import MODEL, Killed, World
from rollout_world import ONE_STEP, of_kind, shares

from mlops.errors import Blocked, InvalidInput, TargetError
from mlops.lifecycle.apply.environment import execute, plan_for
from mlops.lifecycle.apply.rollout import Event
from mlops.lifecycle.decide.journal import Kind
from mlops.lifecycle.desired.approvals import unweighed
from mlops.spec.desired import Bypass, Hold, Strategy
from mlops.targets.memory import Behaviour


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
