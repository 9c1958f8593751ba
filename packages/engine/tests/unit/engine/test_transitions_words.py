"""What the rules of a move say: whom, what, since when, and what is allowed instead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from engine_world import MODEL, START, make_release

from mlops.lifecycle.decide import transitions
from mlops.lifecycle.decide.journal import Facts, Held, Served
from mlops.lifecycle.decide.transitions import Move, Upstream, Weaker
from mlops.spec.desired import Bypass, DesiredState, Hold
from mlops.spec.files import desired_path
from mlops.spec.gates import GateResult
from mlops.spec.policy import EnvironmentPolicy, Freeze, FreezeWindow, Policy

BEFORE, ENV = "staging", "prod"
NOW = START + timedelta(days=1)
PLAIN = DesiredState(release=2, replaces=1)


def policy(**fields: Any) -> Policy:
    own = EnvironmentPolicy(**fields)
    return Policy(order=[BEFORE, ENV], environments={BEFORE: EnvironmentPolicy(), ENV: own})


def facts(*releases: int, ago: timedelta = timedelta(hours=9)) -> Facts:
    return Facts(served=tuple(Served(r, NOW - ago, "bot", "c" * 40) for r in releases))


MOVE = Move(
    env=ENV,
    model=MODEL,
    desired=PLAIN,
    release=make_release(2),
    lineage=frozenset({1, 2}),
    served=1,
    facts=facts(1),
    upstream=Upstream(BEFORE, facts(2)),
    policy=policy(),
    freeze=Freeze(),
    now=NOW,
)


def said(name: str, **changes: Any) -> GateResult:
    return next(r for r in transitions.verdicts(replace(MOVE, **changes)) if r.name == name)


def test_a_hold_names_who_where_and_the_file():
    held = DesiredState(release=2, replaces=1, hold=Hold(reason="wait", since=START, by="ada"))
    found = said("hold", desired=held)
    assert (found.verdict, found.observed) == ("blocked", "set")
    assert found.detail == transitions.on_hold(held, ENV, MODEL)
    assert f"ada put {MODEL} in {ENV} on hold" in found.detail and desired_path(ENV, MODEL) in found.detail


def test_a_freeze_names_where_until_when_and_whom():
    local = NOW.replace(tzinfo=None)
    window = FreezeWindow(
        environments=[ENV],
        start=local,
        end=local + timedelta(hours=1),
        timezone="UTC",
        reason="audit",
        by="ann",
    )
    found = said("freeze", freeze=Freeze(windows=[window]))
    assert (found.verdict, found.observed) == ("blocked", "inside")
    assert found.detail.startswith(f"{ENV} is frozen until 2026-03-02 13:00 UTC (audit, ann)")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"upstream": None}, "first environment"),
        ({"facts": facts(2, 1)}, "verified here before, or a way back"),
    ],
)
def test_why_no_environment_before_is_asked(changes: dict[str, Any], why: str):
    assert [(said(n, **changes).verdict, said(n, **changes).observed) for n in ("order", "soak")] == [
        ("skipped", why)
    ] * 2


@pytest.mark.parametrize(
    ("desired", "replaced"), [(PLAIN, "1"), (DesiredState(release=2, replaces=None), "nothing")]
)
def test_what_is_not_replaced_is_named(desired: DesiredState, replaced: str):
    found = said("replaces", desired=desired, served=5)
    assert (found.verdict, found.observed, found.limit) == ("blocked", "5", replaced)
    assert f"release 2 was to replace {replaced}, but {ENV} serves release 5" in found.detail
    assert said("replaces", desired=desired, served=None).limit == replaced


@pytest.mark.parametrize(
    ("before", "serves", "detail"),
    [
        (facts(), "nothing", f"{BEFORE} serves nothing, not release 2; bring it there first"),
        (facts(3), "release 3", f"{BEFORE} serves release 3, not release 2; bring it there first"),
        (
            replace(facts(2), held={2: Held(2, "slow", START, "f" * 40)}),
            "release 2",
            f"release 2 failed in {BEFORE} (slow)",
        ),
    ],
)
def test_what_the_environment_before_does_instead(before: Facts, serves: str, detail: str):
    found = said("order", upstream=Upstream(BEFORE, before))
    assert (found.verdict, found.observed, found.detail) == ("blocked", serves, detail)
    soak = said("soak", upstream=Upstream(BEFORE, before), policy=policy(soak=3600))
    assert (soak.verdict, soak.observed, soak.limit) == ("skipped", "not upstream", "1:00:00")


def test_how_long_to_wait():
    upstream = Upstream(BEFORE, facts(2, ago=timedelta(minutes=30, seconds=5)))
    found = said("soak", upstream=upstream, policy=policy(soak=3600))
    assert (found.verdict, found.observed, found.limit) == ("blocked", "0:30:05", "1:00:00")
    assert found.detail == (
        f"release 2 has been healthy in {BEFORE} for 0:30:05 of 1:00:00; wait until 2026-03-02 12:29 UTC"
    )


def test_what_cannot_be_skipped_is_named_with_what_can():
    skip = Bypass(gates=["hold", "soak", "freeze"], reason="login is broken", approver="grace")
    found = said("bypass", desired=DesiredState(release=2, replaces=1, bypass=skip))
    assert (found.verdict, found.observed) == ("blocked", "hold, soak, freeze")
    assert found.limit == "order, soak, absolute"
    assert found.detail == "'hold' and 'freeze' cannot be skipped; allowed: order, soak, absolute"
    assert said("bypass").observed == "none"


def test_gates_that_blocked_are_named():
    gates = [
        GateResult(name=name, verdict=verdict, observed="0", limit="0")
        for name, verdict in (("absolute", "blocked"), ("size", "pass"), ("champion", "blocked"))
    ]
    found = said("gates", release=make_release(2, gates=gates))
    assert (found.verdict, found.observed) == ("blocked", "absolute, champion")
    assert found.detail == "release 2 was blocked by absolute, champion when it was made"


@pytest.mark.parametrize(
    ("weaker", "verdict", "observed", "words"),
    [
        (Weaker(("size: 20 to 40",), None), "skipped", "counted when it is merged", "2 must approve"),
        (Weaker(("size: 20 to 40",), ()), "blocked", "nobody", "(none is known)"),
        (Weaker(("size: 20 to 40",), ("ann",), "pull/4"), "blocked", "ann", "approve pull/4 and apply"),
        (Weaker(("size: 20 to 40",), ("ann", "ben")), "pass", "ann, ben", "size: 20 to 40"),
    ],
)
def test_who_approved_what(weaker: Weaker, verdict: str, observed: str, words: str):
    found = said("approvals", weaker=weaker, policy=policy(loosened_approvals=2))
    assert (found.verdict, found.observed) == (verdict, observed)
    assert "since release 1 (size: 20 to 40)" in found.detail and words in found.detail


@pytest.mark.parametrize(
    ("changes", "observed"),
    [
        ({"policy": policy()}, "policy asks for none"),
        ({"facts": facts(2, 1)}, "verified here before, or a way back"),
        ({"weaker": None}, "compared by promote and apply"),
    ],
)
def test_why_nobody_is_asked_to_approve(changes: dict[str, Any], observed: str):
    asked = {"weaker": Weaker(("size: 20 to 40",), ()), "policy": policy(loosened_approvals=1), **changes}
    found = said("approvals", **asked)
    assert (found.verdict, found.observed) == ("skipped", observed)


def test_what_is_not_said_of_a_comparison():
    assert MOVE.weaker is None, "not compared"
    assert Weaker((), None).where == "", "no page is known"


@pytest.mark.parametrize("kind", [Move, Upstream, Weaker])
def test_what_decides_is_changed_by_nobody(kind: type):
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
