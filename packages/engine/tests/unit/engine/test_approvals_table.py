"""Weaker gates need more eyes: who has to have approved, of every move and every number, against a table from
the words of `loosened_approvals`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from engine_world import MODEL, START, make_release

from mlops.lifecycle.decide import transitions
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.journal import Facts, Held, Served
from mlops.lifecycle.decide.plan import plan
from mlops.lifecycle.decide.transitions import Move, Weaker
from mlops.spec.desired import Bypass, DesiredState
from mlops.spec.gates import GateResult
from mlops.spec.policy import EnvironmentPolicy, Freeze, Policy
from mlops.targets.base import EndpointState

ENV, WANTED = "prod", 2
NOW = START + timedelta(days=1)
LINES = ("limit roc_auc: 0.6 to 0.5", "size: 20 to 40")
WEAKER = {
    "not compared": None,
    "as strict": Weaker((), ("ann", "ben")),
    "as strict, yet to come": Weaker((), None),
    "yet to come": Weaker(LINES, None),
    "nobody": Weaker(LINES, ()),
    "one": Weaker(LINES, ("ann",), "pull/4"),
    "two": Weaker(LINES, ("ann", "ben")),
}
APPROVED = {"nobody": 0, "one": 1, "two": 2}


def policy(needed: int) -> Policy:
    return Policy(order=[ENV], environments={ENV: EnvironmentPolicy(loosened_approvals=needed)})


def facts(verified: bool) -> Facts:
    past = (1, WANTED, 3) if verified else (1, 3)
    return Facts(served=tuple(Served(r, START, "bot", "c" * 40) for r in past), commit="c" * 40)


def desired(*bypass: str) -> DesiredState:
    skip = Bypass(gates=list(bypass), reason="login is broken", approver="grace") if bypass else None
    return DesiredState(release=WANTED, replaces=1, bypass=skip)


def approvals(
    needed: int,
    weaker: str,
    served: int | None = 1,
    *,
    verified: bool = False,
    bypass: str = "",
    failed: bool = False,
) -> GateResult:
    held = {WANTED: Held(WANTED, "slow", START, "f" * 40)} if failed else {}
    move = Move(
        env=ENV,
        model=MODEL,
        desired=desired(*([bypass] if bypass else [])),
        release=make_release(WANTED),
        lineage=frozenset({1, 2, 3}),
        served=served,
        facts=replace(facts(verified), held=held),
        upstream=None,
        policy=policy(needed),
        freeze=Freeze(),
        now=NOW,
        weaker=WEAKER[weaker],
    )
    (found,) = [result for result in transitions.verdicts(move) if result.name == "approvals"]
    return found


def expected(needed: int, weaker: str, served: int | None, verified: bool) -> str:
    if needed == 0 or verified or served == WANTED:
        return "skipped"
    if weaker in ("not compared", "yet to come"):
        return "skipped"
    if weaker.startswith("as strict"):
        return "pass"
    return "pass" if APPROVED[weaker] >= needed else "blocked"


@pytest.mark.parametrize("weaker", WEAKER)
def test_every_move_needs_the_approvals_that_policy_asks_for(weaker: str):
    for needed, served, verified in product((0, 1, 2, 3), (None, 1, WANTED, 3), (False, True)):
        found = approvals(needed, weaker, served, verified=verified)
        assert found.verdict == expected(needed, weaker, served, verified), (needed, served, verified)


def test_what_failed_here_since_it_was_verified_needs_them_again():
    assert approvals(2, "one", verified=True).verdict == "skipped"
    assert approvals(2, "one", verified=True, failed=True).verdict == "blocked"


def test_no_bypass_is_an_approval():
    """One person writes it."""
    for name in ("order", "soak", "absolute"):
        assert approvals(2, "one", bypass=name).verdict == "blocked"


@pytest.mark.parametrize(
    ("needed", "weaker", "verified", "observed", "words"),
    [
        (0, "one", False, "policy asks for none", ()),
        (1, "one", True, "verified here before, or a way back", ()),
        (1, "not compared", False, "compared by promote and apply", ()),
        (1, "as strict", False, "no gate was loosened", ()),
        (2, "yet to come", False, "counted when it is merged", (*LINES, "2 must approve", "release 1")),
        (1, "one", False, "ann", LINES),
        (2, "two", False, "ann, ben", LINES),
        (2, "one", False, "ann", (*LINES, "prod asks for 2", "approved by: ann", "pull/4")),
        (2, "nobody", False, "nobody", (*LINES, "approved by: nobody", "none is known")),
    ],
)
def test_it_says_what_was_loosened_and_who_agreed(
    needed: int, weaker: str, verified: bool, observed: str, words: tuple[str, ...]
):
    found = approvals(needed, weaker, verified=verified)
    assert (found.observed, found.limit) == (observed, f"{needed} where gates were loosened")
    assert [word for word in words if word not in found.detail] == []
    assert bool(found.detail) == bool(words)


@pytest.mark.parametrize(("weaker", "refused"), [("nobody", True), ("one", False), ("not compared", False)])
def test_a_plan_asks_for_them(weaker: str, refused: bool):
    intent = Intent(
        env=ENV,
        model=MODEL,
        desired=desired(),
        release=make_release(WANTED),
        policy=policy(1),
        freeze=Freeze(),
        commit="d" * 40,
        file_commit="d" * 40,
        lineage=frozenset({1, 2, 3}),
    )
    nothing = EndpointState(ENV, MODEL)
    found = plan(
        intent, nothing, facts(False), tagged=frozenset(), upstream=None, now=NOW, weaker=WEAKER[weaker]
    )
    assert ("approvals:" in found.refusal) == refused
