"""Every small world, planned and carried out: what nobody wants to learn in production.

From every endpoint with up to three deployments, and everything that the journal may say of them, the plan
leads to what the file says; a process may die at any step, and the next plan leads there too. On the way
something healthy serves once something does, nothing unproven gets traffic, and no canary step is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
import small_worlds as w
from small_worlds import CANARY, ENV, NEW, NEWER, NOW, OLD, OLDER, WANTED, Small, carry_out

from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.journal import Facts
from mlops.lifecycle.decide.plan import Plan, plan
from mlops.lifecycle.decide.rollout_steps import (
    Analyse,
    CoolDown,
    Create,
    Finish,
    Retire,
    Shift,
    Smoke,
    Step,
    StopEndpoint,
)
from mlops.lifecycle.decide.transitions import Upstream
from mlops.spec.desired import Hold
from mlops.spec.policy import EnvironmentPolicy, Freeze, FreezeWindow, Policy
from mlops.targets.base import COLOURS, Deployment

MOST_STEPS = 14


def serving(world: Small) -> list[Deployment]:
    """What answers people now and is not known to be bad."""
    return [d for d in world.deployments if d.state == "ready" and d.traffic and not bad(world, d)]


def bad(world: Small, deployment: Deployment) -> bool:
    return deployment.release in world.facts.held


def fine(deployment: Deployment) -> bool:
    return (deployment.release, deployment.state, deployment.settings) == (WANTED, "ready", NEW)


def as_the_file_says(world: Small) -> bool:
    return (
        [(fine(d), d.traffic) for d in world.deployments] == [(True, 100)]
        and world.current == WANTED
        and world.tagged == {WANTED}
    )


def proven(world: Small) -> set[str]:
    """Deployments of the wanted release that may take traffic as they are."""
    found = set()
    beside = [o for o in world.deployments if o.state == "ready" and o.release != WANTED]
    alone = not any(o.traffic or o.release == world.current for o in beside)
    for d in world.deployments:
        made_anew = (
            alone
            and not d.traffic
            and any(
                o.release == WANTED and o.settings == OLD and o.state == "ready" and o.traffic
                for o in world.deployments
            )
        )
        known = world.facts.smoked or (world.current == WANTED and d.traffic)
        if fine(d) and known and not made_anew:
            found.add(d.name)
    return found


def canary(world: Small) -> bool | None:
    """Whether the wanted release has to prove itself step by step; None where two answers would be right."""
    if any(d.release == WANTED and d.state == "ready" for d in world.deployments) and world.current == WANTED:
        return False
    verified = {s.release for s in world.facts.served}
    ready = [d for d in world.deployments if d.state == "ready" and d.release != WANTED]
    beside = [d for d in ready if d.traffic or d.release == world.current]
    back = {d.release > WANTED and WANTED in verified for d in beside}
    by_old_settings = any(d.release == WANTED and d.state == "ready" and d.traffic for d in world.deployments)
    if by_old_settings and not any(map(fine, world.deployments)):
        return None
    return back == {False} if len(back) == 1 else None


def frozen() -> Freeze:
    hour, local = timedelta(hours=1), NOW.replace(tzinfo=None)
    during = {"start": local - hour, "end": local + hour, "timezone": "UTC", "reason": "audit", "by": "ann"}
    return Freeze(windows=[FreezeWindow(environments=[ENV], **during)])


class Walk:
    """One plan, carried out step by step, with everything that has to hold in between."""

    def __init__(self, start: Small, asked: Intent) -> None:
        self.start, self.asked = start, asked
        self.made = start.planned(asked)
        self.proven = proven(start)
        self.passed = set(start.facts.passed) if any(map(fine, start.deployments)) else set()
        self.left: list[Small] = []
        """Worlds that a death would leave behind."""

    def told(self, why: str) -> str:
        steps = "\n  ".join(step.text for step in self.made.steps)
        return f"{why}\n {self.start}\n  {steps}"

    def run(self) -> Small:
        assert not self.made.refusal, self.told("refused")
        assert not self.made.recovery, self.told("recovers from nothing")
        assert len(self.made.steps) <= MOST_STEPS, self.told("too many steps")
        world = self.start
        for step in self.made.steps:
            self.left += w.halves(world, step)
            try:
                after = carry_out(world, step)
            except w.Refused as refused:
                raise AssertionError(self.told(f"{step.text}: {refused}")) from None
            self.check(world, step, after)
            self.left.append(after)
            world = after
        assert as_the_file_says(world), self.told(f"does not end as the file says: {world}")
        self.check_whole()
        return world

    def check(self, before: Small, step: Step, after: Small) -> None:
        if serving(before):
            assert serving(after), self.told(f"dark after: {step.text}")
        match step:
            case Create():
                self.proven.discard(step.colour)
                self.passed.clear()
                made = after.named(step.colour)
                if made is not None and made.traffic:
                    assert not serving(before), self.told(f"traffic before its smoke test: {step.text}")
            case Smoke():
                self.proven.add(step.colour)
            case Shift():
                self.check_shift(before, step)
            case Analyse():
                self.check_analysis(before, step)
            case Retire():
                gone = before.named(step.colour)
                assert gone is not None and not (fine(gone) and gone.traffic), self.told(step.text)

    def check_shift(self, before: Small, step: Shift) -> None:
        for name, percent in step.traffic:
            to = before.named(name)
            assert to is not None
            if not fine(to) or percent <= to.traffic:
                continue
            assert name in self.proven, self.told(f"traffic before its smoke test: {step.text}")
            if canary(self.start):
                missing = {p for p in self.asked.desired.strategy.canary if p < percent} - self.passed
                assert not missing, self.told(f"canary steps {missing} are left out: {step.text}")

    def check_analysis(self, before: Small, step: Analyse) -> None:
        new, live = before.named(step.colour), before.named(step.live)
        assert new is not None and live is not None and new is not live
        assert fine(new) and live.state == "ready", self.told(f"nothing to compare: {step.text}")
        assert (new.traffic, live.traffic) == (step.percent, 100 - step.percent), self.told(step.text)
        assert step.percent not in self.passed, self.told(f"passed already: {step.text}")
        assert step.seconds == self.asked.desired.strategy.analysis
        self.passed.add(step.percent)

    def check_whole(self) -> None:
        steps = self.made.steps
        kinds = Counter(type(step) for step in steps)
        target = [d for d in self.start.deployments if fine(d)]
        assert kinds[Create] == (0 if target else 1), self.told("starts what is there, or does not start it")
        if kinds[StopEndpoint]:
            stuck = {d.name for d in self.start.deployments if d.traffic}
            assert set(COLOURS) <= stuck, self.told("stops although there is a place to start from")
        if as_the_file_says(self.start) and self.start.facts.smoked:
            assert self.made.empty, self.told("finds something to do where all is done")
        if target and target[0].name in proven(self.start):
            assert not kinds[Smoke] or len(target) > 1 or self.hand_over(target[0]), self.told("asks again")
        match canary(self.start):
            case True:
                assert self.passed >= set(self.asked.desired.strategy.canary), self.told("no canary")
            case False:
                assert not kinds[Analyse], self.told("a way back waits for a canary")

    def hand_over(self, target: Deployment) -> bool:
        """Settings that went there and back again: asked once more, which costs a second."""
        same = [d for d in self.start.deployments if d.release == WANTED and d.settings == OLD]
        return not target.traffic and bool(same)


def walk_all(starts: Iterable[Small], asked: Intent) -> int:
    """Walk from every world, and from every world that a death on the way leaves; how many there were."""
    seen: set[object] = set()
    queue = [world for world in starts if not world.facts.held]
    while queue:
        world = queue.pop()
        if world.key in seen:
            continue
        seen.add(world.key)
        walk = Walk(world, asked)
        walk.run()
        queue += [left for left in walk.left if left.key not in seen]
    return len(seen)


def test_every_plan_leads_to_the_file_and_nothing_is_dark_unproven_or_skipped_on_the_way():
    assert walk_all(w.worlds(), w.intent()) > 40_000


def test_it_holds_without_canary_steps_too():
    assert walk_all(w.worlds(2, w.FEW_PASTS[:2]), w.intent((100,))) > 5_000


def after_a_failure(world: Small) -> Small:
    """What the plan of a held release leaves, with what holds at every step of it."""
    made = world.planned(w.intent())
    assert "analysis" in made.refusal
    assert made.lines() == [step.text for step in made.recovery]
    for step in made.recovery:
        before, world = world, carry_out(world, step)
        assert not serving(before) or serving(world), f"dark after: {step.text}\n{before}"
    return world


def test_a_failed_release_is_removed_and_what_took_over_last_serves_even_after_a_kill():
    for start in w.worlds(3, w.FEW_PASTS):
        if not start.facts.held or start.facts.smoked:
            continue
        end = after_a_failure(start)
        assert all(d.release != WANTED for d in end.deployments)
        assert end.facts == start.facts, "a recovery is no new verdict"
        there = [d for d in start.deployments if d.release == WANTED]
        well = [d for d in start.deployments if d.release != WANTED and d.state == "ready"]
        if there and well:
            (serves,) = [d for d in end.deployments if d.traffic]
            best = [d.release for d in well if d.release == start.current] or [
                d.release for d in well if d.traffic == max(o.traffic for o in well)
            ]
            assert serves.traffic == 100
            assert serves.release in best
        elif not there:
            assert end == start
        else:
            assert not end.deployments, "nothing is better than wrong answers"
        world = start
        for step in start.planned(w.intent()).recovery:
            world = carry_out(world, step)
            assert after_a_failure(world).deployments == end.deployments, "killed, it ends elsewhere"


def test_a_plan_that_only_recovers_still_has_something_to_do():
    """The release that serves failed when it was started again: no step leads on, and one leads back."""
    failed = w.sent_back(at(one("blue", WANTED, 100), past=(WANTED,), smoked=True))
    made = failed.planned(w.intent())
    assert made.steps == ()
    assert made.recovery
    assert not made.empty


def test_a_release_that_fails_anywhere_on_its_way_leaves_the_one_before_it():
    """Every smoke test and analysis of every plan with two deployments fails once."""
    tried: set[object] = set()
    for start in w.worlds(2):
        if start.facts.held or start.facts.passed:
            continue
        world = start
        for step in start.planned(w.intent()).steps:
            if isinstance(step, Smoke | Analyse) and not getattr(step, "replaces", ""):
                failed = w.sent_back(world)
                if failed.key not in tried:
                    tried.add(failed.key)
                    assert all(d.release != WANTED for d in after_a_failure(failed).deployments)
            world = carry_out(world, step)
    assert len(tried) > 1_000


def test_a_digest_that_differs_is_refused_and_never_given_traffic():
    for start, index in product(w.worlds(2, w.FEW_PASTS), (0, 1)):
        if (
            start.facts.passed
            or len(start.deployments) <= index
            or start.deployments[index].release != WANTED
        ):
            continue
        forged = replace(start.deployments[index], digest=w.WRONG)
        deployments = (*start.deployments[:index], forged, *start.deployments[index + 1 :])
        world = start._replace(deployments=deployments)
        made = world.planned(w.intent())
        assert "digest" in made.refusal
        assert all(dict(s.traffic).get(forged.name, 0) == 0 for s in made.recovery if isinstance(s, Shift))


def test_a_digest_of_another_release_is_not_compared_with_the_wanted_one():
    (other,) = (w.deployment("blue", (OLDER, "ready", NEW), 100),)
    world = Small((other,), replace(w.journals()[0], served=w.served(OLDER)), frozenset({OLDER}))
    assert not world.planned(w.intent()).refusal


BRAKES = {
    "freeze": {"freeze": frozen()},
    "hold": {"hold": Hold(reason="wait", since=NOW, by="ada")},
    "order": {"upstream": Upstream("before", Facts())},
    "soak": {"upstream": Upstream("before", Facts(served=w.served(WANTED, at=NOW - timedelta(seconds=59))))},
}


@pytest.mark.parametrize("brake", sorted(BRAKES))
def test_no_forward_move_skips_what_brakes_it_and_a_way_back_is_never_braked(brake: str):
    asked, given = w.intent(), BRAKES[brake]
    desired = asked.desired.model_copy(update={"hold": given.get("hold")})
    soaking = Policy(order=[ENV], environments={ENV: EnvironmentPolicy(soak=60)})
    asked = replace(asked, desired=desired, freeze=given.get("freeze", Freeze()), policy=soaking)
    for start in w.worlds(1):
        made = plan(
            asked,
            start.observed,
            start.facts,
            tagged=start.tagged,
            upstream=given.get("upstream"),
            now=NOW,
        )
        names = {gate.name for gate in made.gates if gate.verdict == "blocked"}
        braked = made.direction in ("first", "forward")
        if brake in ("order", "soak"):
            braked = braked and WANTED not in start.facts.verified
        assert names == ({brake} if braked else set()) | ({"analysis"} if start.facts.held else set())
        assert made.lines() == [s.text for s in (made.recovery if names else made.steps)]
        assert start.facts.held or not made.recovery


# --- what serves ----------------------------------------------------------------------------------------


def at(*deployments: Deployment, past: tuple[int, ...] = (), **facts: object) -> Small:
    known = replace(w.journals()[0], served=w.served(*past), **facts)
    return Small(deployments, known, frozenset(past[-1:]))


def one(name: str, release: int, traffic: int, state: str = "ready", settings: str = NEW) -> Deployment:
    return w.deployment(name, (release, state, settings), traffic)


@pytest.mark.parametrize(
    ("world", "served", "direction"),
    [
        (at(), None, "first"),
        (at(past=(OLDER,)), OLDER, "forward"),
        (at(past=(WANTED,)), WANTED, "none"),
        (at(past=(WANTED, NEWER)), NEWER, "backward"),
        (at(past=(NEWER,)), NEWER, "forward"),
        (at(one("blue", OLDER, 0)), None, "first"),
        (at(one("blue", OLDER, 100)), OLDER, "forward"),
        (at(one("blue", OLDER, 100, "failed")), None, "first"),
        (at(one("blue", WANTED, 100)), None, "first"),
        (at(one("blue", WANTED, 100), commit=""), WANTED, "none"),
        (at(one("blue", OLDER, 40), one("green", WANTED, 60)), OLDER, "forward"),
        (at(one("blue", OLDER, 40), one("green", WANTED, 60), commit=""), WANTED, "none"),
        (at(one("blue", OLDER, 0), one("green", NEWER, 100), past=(OLDER,)), OLDER, "forward"),
        (at(one("blue", OLDER, 0, "failed"), one("green", NEWER, 100), past=(OLDER,)), NEWER, "forward"),
        (at(one("blue", OLDER, 10), one("green", WANTED, 90), past=(WANTED,)), WANTED, "none"),
        (at(one("blue", NEWER, 10), one("green", OLDER, 90), past=(WANTED, NEWER)), NEWER, "backward"),
        (at(one("blue", WANTED, 0, "failed"), one("green", OLDER, 100), past=(WANTED,)), OLDER, "forward"),
    ],
)
def test_what_serves_is_what_took_over_last_and_is_well_else_what_has_traffic(
    world: Small, served: int | None, direction: str
):
    made = world.planned(w.intent())
    assert (made.served, made.direction) == (served, direction)


def test_a_newcomer_with_most_of_the_traffic_is_still_compared_with_what_it_replaces():
    """Killed at 60 %: the steps that are left are not skipped because it has most traffic."""
    world = at(one("blue", OLDER, 40), one("green", WANTED, 60), smoked=True, passed=frozenset({10}))
    assert [s for s in world.planned(w.intent()).steps if isinstance(s, Analyse)] == [
        Analyse("green", "blue", 100, 10)
    ]


def test_traffic_of_an_interrupted_third_release_goes_to_what_took_over_last_before_it_is_retired():
    world = at(one("blue", OLDER, 90), one("green", NEWER, 10), past=(OLDER,))
    assert world.planned(w.intent()).steps[:3] == (
        Shift((("blue", 100), ("green", 0))),
        Retire("green"),
        Create("green", WANTED),
    )


def test_where_traffic_is_stuck_on_lost_deployments_in_both_colours_the_endpoint_starts_anew():
    world = at(one("blue", OLDER, 90, "failed"), one("green", NEWER, 10, "failed"), past=(OLDER,))
    steps = world.planned(w.intent()).steps
    assert [step.kind for step in steps] == ["stop", "create", "smoke", "shift", "finish"]
    assert "no place" in steps[0].text


def test_a_lost_newcomer_that_is_started_again_takes_no_traffic_before_its_smoke_test():
    world = at(one("blue", OLDER, 90), one("green", WANTED, 10, "failed"), past=(OLDER,))
    kinds = [step.kind for step in world.planned(w.intent((100,))).steps]
    assert kinds == ["shift", "create", "smoke", "shift", "analyse", "finish", "retire"]


def test_of_two_deployments_by_old_settings_the_one_that_serves_is_kept():
    world = at(one("blue", WANTED, 0, settings=OLD), one("green", WANTED, 100, settings=OLD), past=(WANTED,))
    assert world.planned(w.intent()).steps[:3] == (
        Retire("blue"),
        Create("blue", WANTED, "green"),
        Smoke("blue", "green"),
    )


# --- keeping the old one warm -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "ago", "warm"), [(False, 0, 600), (True, 0, 600), (True, 599, 1), (True, 600, 0), (True, 900, 0)]
)
def test_the_old_one_stays_warm_from_the_moment_that_the_new_one_took_over(done: bool, ago: int, warm: int):
    past = (*w.served(OLDER), *(w.served(WANTED, at=NOW - timedelta(seconds=ago)) if done else ()))
    live, old = one("green", WANTED, 100), one("blue", OLDER, 0)
    known = replace(w.journals()[0], served=past, smoked=True, passed=frozenset(CANARY))
    world = Small((old, live), known, frozenset({WANTED}))
    steps = world.planned(w.intent(cool_down=600)).steps
    assert [s for s in steps if isinstance(s, CoolDown)] == ([CoolDown("blue", warm)] if warm else [])
    assert steps[-1] == Retire("blue")


@pytest.mark.parametrize(
    ("old", "past"),
    [(one("blue", NEWER, 0), (OLDER, WANTED)), (one("blue", OLDER, 0, "failed"), (OLDER, WANTED))],
    ids=["never served here", "is lost"],
)
def test_what_nobody_can_go_back_to_is_not_kept_warm(old: Deployment, past: tuple[int, ...]):
    world = at(old, one("green", WANTED, 100), past=past, smoked=True)
    steps = world.planned(w.intent(cool_down=1e9)).steps
    assert not [s for s in steps if isinstance(s, CoolDown)]
    assert steps[-1] == Retire("blue")


# --- tags and the journal ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tagged", "past", "finishes"),
    [
        ({WANTED}, (WANTED,), False),
        ({WANTED}, (), True),
        ({WANTED}, (WANTED, OLDER), True),
        ({WANTED, OLDER}, (WANTED,), True),
        (set(), (WANTED,), True),
        ({OLDER}, (WANTED,), True),
    ],
)
def test_tags_and_journal_both_say_what_is_live(tagged: set[int], past: tuple[int, ...], finishes: bool):
    world = at(one("blue", WANTED, 100), past=past, smoked=True)._replace(tagged=frozenset(tagged))
    made: Plan = world.planned(w.intent())
    kinds: list[type[Step]] = [type(step) for step in made.steps]
    assert (Finish in kinds) == finishes
