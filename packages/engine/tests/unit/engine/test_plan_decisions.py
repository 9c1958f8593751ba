"""Every decision of the planner in a world of its own: who is started, asked, given traffic, removed.

The exhaustive worlds say that no plan does harm; this table says what each condition is for.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import small_worlds as w
from small_worlds import NEW, NEWER, OLD, OLDER, WANTED, Small

from mlops.lifecycle.decide.journal import Held
from mlops.lifecycle.decide.plan import Plan, refuge, turn_back
from mlops.lifecycle.decide.rollout_steps import Analyse, CoolDown, Create, Finish, Retire, Shift, Smoke, Step
from mlops.spec.desired import Hold
from mlops.targets.base import Deployment

BLUE, GREEN, VIOLET = w.NAMES


def at(
    *there: Deployment, past: tuple[int, ...] = (), tagged: set[int] | None = None, **facts: object
) -> Small:
    known = replace(w.journals()[0], served=w.served(*past), **facts)
    return Small(there, known, frozenset(past[-1:] if tagged is None else tagged))


def one(name: str, release: int, traffic: int, state: str = "ready", settings: str = NEW) -> Deployment:
    return w.deployment(name, (release, state, settings), traffic)


def words(step: Step) -> str:
    match step:
        case Create() | Smoke():
            return f"{step.kind} {step.colour}" + (f" for {step.replaces}" if step.replaces else "")
        case Shift():
            return "shift " + " ".join(f"{name} {percent}" for name, percent in step.traffic)
        case Analyse():
            return f"analyse {step.colour} {step.live} {step.percent}"
        case CoolDown() | Retire():
            return f"{step.kind} {step.colour}"
        case Finish():
            return f"finish {step.release}"
        case _:
            return step.kind


def canary(new: str, old: str) -> list[str]:
    """All steps of `CANARY`, as words."""
    return [
        f"shift {new} 10 {old} 90",
        f"analyse {new} {old} 10",
        f"shift {new} 100 {old} 0",
        f"analyse {new} {old} 100",
    ]


PLANS = [
    pytest.param(
        at(one(BLUE, WANTED, 100, settings=OLD), one(GREEN, WANTED, 0), past=(WANTED,), smoked=True),
        "none",
        ["smoke green for blue", "shift green 100 blue 0", "retire blue"],
        id="anew by settings, waiting, smoked",
    ),
    pytest.param(
        at(one(BLUE, WANTED, 60, settings=OLD), one(GREEN, WANTED, 40), past=(WANTED,), smoked=True),
        "none",
        ["shift green 100 blue 0", "retire blue"],
        id="anew by settings, serving a part, smoked",
    ),
    pytest.param(
        at(one(BLUE, WANTED, 60, settings=OLD), one(GREEN, WANTED, 40), past=(WANTED,), smoked=False),
        "none",
        ["shift green 100 blue 0", "retire blue"],
        id="anew by settings, serving a part, not smoked",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 100), past=(WANTED, OLDER)),
        "forward",
        ["create green", "smoke green", *canary("green", "blue"), "finish 2", "retire blue"],
        id="served once, not last, back again",
    ),
    pytest.param(
        at(one(BLUE, NEWER, 100), past=(WANTED, NEWER)),
        "backward",
        ["create green", "smoke green", "shift green 100 blue 0", "finish 2", "retire blue"],
        id="newer serves, wanted was",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 100), past=(OLDER,), smoked=True, passed=frozenset({10})),
        "forward",
        ["create green", "smoke green", *canary("green", "blue"), "finish 2", "retire blue"],
        id="lost target, passed 10",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 90), one(GREEN, WANTED, 10), past=(OLDER,), smoked=True, passed=frozenset({10})),
        "forward",
        ["shift green 100 blue 0", "analyse green blue 100", "finish 2", "retire blue"],
        id="target ready, passed 10",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 50), one(GREEN, WANTED, 50), past=(OLDER,), smoked=True, passed=frozenset({50})),
        "forward",
        [*canary("green", "blue"), "finish 2", "retire blue"],
        id="a smaller step that the file asks for since",
    ),
    pytest.param(
        at(one(GREEN, NEWER, 0), past=()),
        "first",
        ["create blue", "smoke blue", "shift blue 100 green 0", "finish 2", "retire green"],
        id="rest without traffic in the free colour",
    ),
    pytest.param(
        at(one(BLUE, NEWER, 0, "failed"), past=()),
        "first",
        ["retire blue", "create blue", "smoke blue", "shift blue 100", "finish 2"],
        id="rest without traffic in first colour",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 100, "failed"), past=(OLDER,)),
        "forward",
        ["create green", "smoke green", "shift green 100", "finish 2", "retire blue"],
        id="rest with traffic not ready",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 90, "failed"), one(GREEN, WANTED, 10, "failed"), past=(OLDER,)),
        "forward",
        ["create green", "smoke green", "shift green 100", "finish 2", "retire blue"],
        id="rest with traffic not ready in both but wanted broken",
    ),
    pytest.param(
        at(
            one(BLUE, OLDER, 90),
            one(GREEN, WANTED, 10),
            past=(OLDER,),
            smoked=True,
            passed=frozenset(w.CANARY),
        ),
        "forward",
        ["shift green 100 blue 0", "finish 2", "retire blue"],
        id="every step was passed, and somebody moved the traffic",
    ),
    pytest.param(
        at(one(BLUE, NEWER, 0), one(GREEN, WANTED, 100, "failed"), past=(WANTED, NEWER)),
        "backward",
        [
            "shift blue 100",
            "create green",
            "smoke green",
            "shift green 100 blue 0",
            "finish 2",
            "retire blue",
        ],
        id="a way back to what is lost with all traffic",
    ),
    pytest.param(
        at(one(GREEN, WANTED, 0, "failed")),
        "first",
        ["create green", "smoke green", "shift green 100", "finish 2"],
        id="lost without traffic, in the second colour",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 90, "failed"), one(GREEN, NEWER, 10, "failed"), past=(OLDER,)),
        "forward",
        ["stop", "create blue", "smoke blue", "shift blue 100", "finish 2"],
        id="no colour is free",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 100), one(GREEN, WANTED, 0), past=(OLDER,), smoked=True),
        "forward",
        [*canary("green", "blue"), "finish 2", "retire blue"],
        id="smoked and waiting",
    ),
    pytest.param(
        at(
            one(BLUE, OLDER, 60, "failed"),
            one(GREEN, NEWER, 40, "failed"),
            one(VIOLET, WANTED, 0, "failed"),
            past=(OLDER,),
        ),
        "forward",
        [
            "create violet",
            "smoke violet",
            "shift violet 100",
            "finish 2",
            "retire blue",
            "retire green",
        ],
        id="no colour is free, and it is there already",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 0), one(GREEN, WANTED, 100, "failed"), past=(OLDER,)),
        "forward",
        [
            "shift blue 100",
            "create green",
            "smoke green",
            *canary("green", "blue"),
            "finish 2",
            "retire blue",
        ],
        id="broken with all traffic, keep",
    ),
    pytest.param(
        at(one(BLUE, WANTED, 100, "failed"), past=(WANTED,)),
        "none",
        ["create blue", "smoke blue"],
        id="broken with all traffic, alone",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 100), one(GREEN, WANTED, 0, "failed"), one(VIOLET, NEWER, 0), past=(OLDER,)),
        "forward",
        ["retire violet", "create green", "smoke green", *canary("green", "blue"), "finish 2", "retire blue"],
        id="broken without traffic, keep; third",
    ),
    pytest.param(
        at(one(BLUE, WANTED, 100), one(GREEN, WANTED, 0, "failed"), past=(WANTED,), smoked=True),
        "none",
        ["retire green"],
        id="target and broken",
    ),
    pytest.param(
        at(one(BLUE, WANTED, 100), past=(WANTED, OLDER), smoked=False),
        "forward",
        ["smoke blue", "finish 2"],
        id="target serves, was before but older is last",
    ),
    pytest.param(
        at(one(BLUE, WANTED, 100), past=(WANTED,), smoked=True, tagged={WANTED, OLDER}),
        "none",
        ["finish 2"],
        id="done but tag of two",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 0, "failed"), one(GREEN, NEWER, 100), past=(OLDER,)),
        "forward",
        ["retire blue", "create blue", "smoke blue", *canary("blue", "green"), "finish 2", "retire green"],
        id="lost current, other has traffic",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 10), one(GREEN, NEWER, 90), past=(OLDER,)),
        "forward",
        [
            "shift blue 100 green 0",
            "retire green",
            "create green",
            "smoke green",
            *canary("green", "blue"),
            "finish 2",
            "retire blue",
        ],
        id="current is not the busiest",
    ),
    pytest.param(
        at(one(BLUE, OLDER, 0), one(GREEN, OLDER, 100), past=(OLDER,)),
        "forward",
        ["retire blue", "create blue", "smoke blue", *canary("blue", "green"), "finish 2", "retire green"],
        id="two of current",
    ),
    pytest.param(
        at(one(BLUE, WANTED, 100, settings=OLD), past=()),
        "first",
        [
            "create green for blue",
            "smoke green for blue",
            "shift green 100 blue 0",
            "finish 2",
            "retire blue",
        ],
        id="first, something is kept",
    ),
    pytest.param(
        at(one(BLUE, WANTED, 0, settings=OLD), past=(WANTED,)),
        "none",
        ["create green for blue", "smoke green for blue", "shift green 100 blue 0", "retire blue"],
        id="old settings without traffic",
    ),
    pytest.param(
        at(one(BLUE, WANTED, 0, settings=OLD), one(GREEN, WANTED, 100, settings=OLD), past=(WANTED,)),
        "none",
        [
            "retire blue",
            "create blue for green",
            "smoke blue for green",
            "shift blue 100 green 0",
            "retire green",
        ],
        id="two old settings",
    ),
    pytest.param(
        at(one(BLUE, WANTED, 50), one(GREEN, OLDER, 50), past=(OLDER, WANTED), smoked=True),
        "none",
        ["shift blue 100 green 0", "retire green"],
        id="half traffic",
    ),
    pytest.param(
        at(), "first", ["create blue", "smoke blue", "shift blue 100", "finish 2"], id="nobody serves"
    ),
]


@pytest.mark.parametrize(("world", "direction", "steps"), PLANS)
def test_the_plan_of_a_world(world: Small, direction: str, steps: list[str]) -> None:
    made = world.planned(w.intent())
    assert (made.direction, [words(step) for step in made.steps]) == (direction, steps)
    assert not made.refusal and not made.recovery


@pytest.mark.parametrize(
    ("world", "served", "direction"),
    [
        # It served long ago; what it is on its way in beside is what the move starts from.
        (
            at(
                one(BLUE, OLDER, 0, "failed"), one(GREEN, WANTED, 60), one(VIOLET, NEWER, 40),
                past=(WANTED, OLDER),
            ),
            NEWER,
            "backward",
        ),
        (at(one(GREEN, WANTED, 60), one(VIOLET, NEWER, 40), past=(OLDER, WANTED)), WANTED, "none"),
        (at(one(BLUE, OLDER, 10), one(GREEN, NEWER, 90), past=(NEWER, OLDER)), OLDER, "forward"),
        (at(one(BLUE, NEWER, 100), past=(WANTED, OLDER)), NEWER, "backward"),
        # Nothing was ever applied: what has most traffic serves, whoever put it there.
        (at(one(BLUE, OLDER, 10), one(GREEN, WANTED, 90), commit=""), WANTED, "none"),
        (at(past=(WANTED, OLDER)), OLDER, "forward"),
    ],
)  # fmt: skip
def test_what_a_move_starts_from_is_of_now_and_not_of_long_ago(
    world: Small, served: int, direction: str
) -> None:
    made = world.planned(w.intent())
    assert (made.served, made.direction) == (served, direction)


def test_what_failed_and_is_gone_needs_no_turning_back() -> None:
    held = {WANTED: Held(WANTED, "slow", w.NOW, w.FILE_COMMIT)}
    made = at(one(BLUE, OLDER, 100), past=(OLDER,), held=held).planned(w.intent())
    assert "analysis" in made.refusal
    assert made.recovery == ()


@pytest.mark.parametrize(
    ("held", "recovers"),
    [
        ({WANTED: w.FILE_COMMIT}, True),
        ({WANTED: "e" * 40}, False),  # asked for anew since
        ({OLDER: w.FILE_COMMIT}, False),
        ({OLDER: w.FILE_COMMIT, NEWER: w.FILE_COMMIT}, False),
    ],
)
def test_only_the_failure_of_what_this_commit_asks_for_is_turned_back(
    held: dict[int, str], recovers: bool
) -> None:
    known = {release: Held(release, "slow", w.NOW, commit) for release, commit in held.items()}
    world = at(one(BLUE, OLDER, 90), one(GREEN, WANTED, 10), past=(OLDER,), held=known)
    hold = Hold(reason="wait", since=w.NOW, by="ada")  # refuses the steps, and is no reason to turn back
    asked = w.intent()
    asked = replace(asked, desired=asked.desired.model_copy(update={"hold": hold}))
    made = world.planned(asked)
    assert "hold" in made.refusal
    assert [words(step) for step in made.recovery] == (
        ["shift blue 100 green 0", "retire green"] if recovers else []
    )
    assert made.lines() == [step.text for step in made.recovery]


@pytest.mark.parametrize(
    ("others", "past", "back"),
    [
        ((one(BLUE, OLDER, 0), one(VIOLET, NEWER, 90)), (OLDER,), BLUE),
        ((one(BLUE, OLDER, 0), one(VIOLET, NEWER, 90)), (OLDER, NEWER), VIOLET),
        ((one(BLUE, OLDER, 0), one(VIOLET, NEWER, 90)), (), VIOLET),
        ((one(BLUE, OLDER, 90), one(VIOLET, NEWER, 0)), (), BLUE),
        ((one(BLUE, OLDER, 90, "failed"), one(VIOLET, NEWER, 0)), (OLDER,), VIOLET),
        ((one(BLUE, OLDER, 90, "failed"),), (OLDER,), None),
        ((), (), None),
    ],
)
def test_where_traffic_goes_when_a_release_may_not_serve(
    others: tuple[Deployment, ...], past: tuple[int, ...], back: str | None
) -> None:
    world = at(*others, one(GREEN, WANTED, 10), past=past)
    found = refuge(world.observed, world.facts, WANTED)
    assert (found.name if found else None) == back
    steps = [words(step) for step in turn_back(world.observed, world.facts, WANTED)]
    assert steps[-1] == ("retire green" if back else "stop")
    assert len(steps) == (2 if back else 1)
    assert not back or steps[0].startswith(f"shift {back} 100")


def test_every_deployment_of_what_may_not_serve_is_removed() -> None:
    world = at(one(BLUE, WANTED, 10), one(GREEN, WANTED, 0, "failed"), one(VIOLET, OLDER, 90), past=(OLDER,))
    assert [words(step) for step in turn_back(world.observed, world.facts, WANTED)] == [
        "shift violet 100 blue 0",
        "retire blue",
        "retire green",
    ]


@pytest.mark.parametrize("forged", [BLUE, GREEN])
def test_the_verdict_on_a_digest_says_both(forged: str) -> None:
    right = (one(BLUE, WANTED, 60), one(GREEN, WANTED, 40))
    there = tuple(replace(d, digest=w.WRONG) if d.name == forged else d for d in right)
    known = w.RELEASES[WANTED].digest
    for deployments, verdict, observed in ((right, "pass", "as released"), (there, "blocked", w.WRONG[:19])):
        gate = at(*deployments, past=(WANTED,)).planned(w.intent()).gates[-1]
        assert (gate.name, gate.verdict, gate.limit) == ("digest", verdict, known[:19])
        assert gate.observed == observed


@pytest.mark.parametrize("traffic", [0, 10, 100])
def test_another_digest_is_refused_whatever_its_traffic(traffic: int) -> None:
    """It would be given traffic by the next step."""
    forged = replace(one(GREEN, WANTED, traffic), digest=w.WRONG)
    made = at(one(BLUE, OLDER, 100 - traffic), forged, past=(OLDER,)).planned(w.intent())
    assert made.gates[-1].verdict == "blocked" and "digest:" in made.refusal


def test_a_plan_is_empty_when_neither_way_has_a_step() -> None:
    assert Plan("none", (), ()).empty
    assert not Plan("none", (Retire(BLUE),), ()).empty
    assert not Plan("none", (), (), recovery=(Retire(BLUE),)).empty


def test_what_is_tagged_and_was_never_recorded_is_finished() -> None:
    """The process died between the two."""
    there = one(BLUE, WANTED, 100)
    for past, tagged, steps in (
        ((), {WANTED}, ["finish 2"]),
        ((WANTED,), {WANTED}, []),
        ((WANTED,), {WANTED, OLDER}, ["finish 2"]),
        ((WANTED,), set(), ["finish 2"]),
    ):
        made = at(there, past=past, tagged=tagged, smoked=True).planned(w.intent())
        assert [words(step) for step in made.steps] == steps


def test_what_broke_by_old_settings_is_not_what_serves_until_its_successor_does() -> None:
    world = at(one(BLUE, WANTED, 0, "failed", OLD), one(GREEN, WANTED, 100), past=(WANTED,), smoked=True)
    assert [words(step) for step in world.planned(w.intent()).steps] == ["retire blue"]
    world = at(one(BLUE, WANTED, 60, "failed", OLD), one(GREEN, WANTED, 40), past=(WANTED,), smoked=True)
    assert [words(step) for step in world.planned(w.intent()).steps] == ["shift green 100", "retire blue"]


def test_what_broke_by_old_settings_is_started_again_in_its_place() -> None:
    world = at(one(BLUE, WANTED, 100, "failed", OLD), past=(WANTED,), smoked=True)
    assert [words(step) for step in world.planned(w.intent()).steps] == ["create blue", "smoke blue"]


HOUR = 3600.0


@pytest.mark.parametrize(
    ("last", "past", "hours", "warm"),
    [
        (one(BLUE, OLDER, 0), (OLDER, WANTED), 48, HOUR),  # took over 47 hours ago
        (one(BLUE, OLDER, 0), (OLDER, WANTED), 47, None),
        (one(BLUE, OLDER, 0), (OLDER, WANTED), 46, None),
        (one(BLUE, OLDER, 0, "failed"), (OLDER, WANTED), 48, None),
        (one(BLUE, NEWER, 0), (OLDER, WANTED), 48, None),  # it never served here
    ],
)
def test_what_served_and_is_well_stays_warm_from_the_take_over_on(
    last: Deployment, past: tuple[int, ...], hours: float, warm: float | None
) -> None:
    world = at(last, one(GREEN, WANTED, 100), past=past, smoked=True)
    steps = world.planned(w.intent(cool_down=hours * HOUR)).steps
    wanted = [CoolDown(BLUE, warm)] if warm else []
    assert list(steps) == [*wanted, Retire(BLUE)]
