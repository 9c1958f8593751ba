"""Every combination of what decides whether a release may move, against a table written from the words of
docs/reference/gates.md: direction, order, soak, hold, freeze, bypass, lineage, gates.

A rule whose second condition nobody tests is the one that lets a bad release through a freeze.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import chain, combinations, product

import pytest
from engine_world import MODEL, START, make_release

from mlops.lifecycle.decide import transitions
from mlops.lifecycle.decide.journal import Facts, Held, Served
from mlops.lifecycle.decide.transitions import Move, Upstream
from mlops.spec.desired import Bypass, DesiredState, Hold
from mlops.spec.gates import GateResult
from mlops.spec.policy import EnvironmentPolicy, Freeze, FreezeWindow, Policy
from mlops.spec.release import Release

BEFORE, ENV = "staging", "prod"
NOW = START + timedelta(days=1)
WANTED = 2


def window(
    start: timedelta = timedelta(hours=-1),
    end: timedelta = timedelta(hours=1),
    environments: tuple[str, ...] = (ENV,),
    models: tuple[str, ...] = (),
) -> FreezeWindow:
    local = NOW.replace(tzinfo=None)
    return FreezeWindow(
        environments=list(environments),
        models=list(models),
        start=local + start,
        end=local + end,
        timezone="UTC",
        reason="audit",
        by="ann",
    )


FROZEN = {False: Freeze(), True: Freeze(windows=[window()])}
HOLDS = {False: None, True: Hold(reason="wait", since=START, by="ada")}
HELD = {False: None, True: Held(WANTED, "slow", START, "f" * 40)}
BYPASSES: tuple[tuple[str, ...], ...] = (
    (),
    ("order",),
    ("soak",),
    ("order", "soak"),
    ("champion",),
    ("hold",),
    ("absolute", "freeze"),
)
UPSTREAMS = ("first", "nothing", "older", "newer", "right", "failed there", "another failed there")
SOAKS = {
    soak: Policy(
        order=[BEFORE, ENV],
        environments={BEFORE: EnvironmentPolicy(soak=86_400), ENV: EnvironmentPolicy(soak=soak)},
    )
    for soak in (0, 3600)
}


@dataclass(frozen=True)
class Case:
    served: int | None
    verified: bool
    """Whether `WANTED` once passed everything here, and was not found wanting since."""
    held: bool
    hold: bool
    frozen: bool
    upstream: str
    waited: int
    """Seconds since what the environment before serves took over."""
    soak: int
    bypass: tuple[str, ...]
    blocked: bool
    """By its own gate `champion`."""
    led: bool
    """Whether the history of the file leads to what is served."""


@cache
def release(blocked: bool) -> Release:
    def gate(name: str, wrong: bool) -> GateResult:
        return GateResult(name=name, verdict="blocked" if wrong else "pass", observed="0", limit="0")

    return make_release(WANTED, gates=[gate("absolute", False), gate("champion", blocked)])


@cache
def desired(hold: bool, bypass: tuple[str, ...]) -> DesiredState:
    skip = Bypass(gates=list(bypass), reason="login is broken", approver="grace") if bypass else None
    return DesiredState(release=WANTED, replaces=1, hold=HOLDS[hold], bypass=skip)


@cache
def upstream(what: str, waited: int) -> Upstream | None:
    if what == "first":
        return None
    serves = {"nothing": (), "older": (WANTED, 1), "newer": (WANTED, 3)}.get(what, (1, WANTED))
    held = {"failed there": WANTED, "another failed there": 3}.get(what)
    at = NOW - timedelta(seconds=waited)
    facts = Facts(
        served=tuple(Served(r, at, "bot", "c" * 40) for r in serves),
        held={held: Held(held, "slow", NOW, "f" * 40)} if held else {},
    )
    return Upstream(BEFORE, facts)


@cache
def facts(served: int | None, verified: bool) -> Facts:
    """What serves may be there without a word of it in the journal; then it is not verified."""
    past = ([WANTED] if verified else []) + ([served] if served not in (None, WANTED) else [])
    return Facts(served=tuple(Served(r, START, "bot", "c" * 40) for r in past))


def move(case: Case) -> Move:
    lineage = {1, 2, 3} - (set() if case.led or case.served is None else {case.served})
    return Move(
        env=ENV,
        model=MODEL,
        desired=desired(case.hold, case.bypass),
        release=release(case.blocked),
        lineage=frozenset(lineage),
        served=case.served,
        facts=facts(case.served, case.verified),
        upstream=upstream(case.upstream, case.waited),
        policy=SOAKS[case.soak],
        freeze=FROZEN[case.frozen],
        now=NOW,
        held=HELD[case.held],
    )


def expected(case: Case) -> tuple[set[str], set[str]]:
    """(what blocks, what is bypassed)."""
    way_back = case.served is not None and case.served > WANTED and case.verified
    blocks: set[str] = set()
    if case.held:
        blocks.add("analysis")
    if case.served is not None and not case.led:
        blocks.add("replaces")
    if way_back or case.served == WANTED:
        return blocks, set()
    if case.hold:
        blocks.add("hold")
    if case.frozen:
        blocks.add("freeze")
    if case.blocked and "champion" not in case.bypass:
        blocks.add("gates")
    if set(case.bypass) & {"hold", "freeze"}:
        blocks.add("bypass")
    wrong: set[str] = set()
    if case.upstream != "first" and not case.verified:
        if case.upstream not in ("right", "another failed there"):
            wrong.add("order")
        elif case.waited < case.soak:
            wrong.add("soak")
    return blocks | (wrong - set(case.bypass)), wrong & set(case.bypass)


def cases() -> list[Case]:
    return [
        Case(served, verified, held, hold, frozen, before, waited, soak, bypass, blocked, led)
        for served, verified, held, hold, frozen, before, waited, soak, bypass, blocked, led in product(
            (None, 1, WANTED, 3),
            (False, True),
            (False, True),
            (False, True),
            (False, True),
            UPSTREAMS,
            (3599, 3600),
            (0, 3600),
            BYPASSES,
            (False, True),
            (False, True),
        )
        # What no rule combines is not multiplied: a failure here and a wrong history are asked of anything.
        if (held + (not led) + hold + frozen + blocked <= 2) and not (served is None and not led)
    ]


def check(case: Case) -> None:
    results = transitions.verdicts(move(case))
    found = (
        {r.name for r in results if r.verdict == "blocked"},
        {r.name for r in results if r.verdict == "bypassed"},
    )
    assert found == expected(case), case
    assert bool(transitions.refusal(results)) == bool(found[0]), case


def out_of_place(case: Case) -> int:
    """In how many ways it is none of a release that goes from one environment to the next."""
    ways = (case.held, case.hold, case.frozen, case.blocked, not case.led, case.verified, bool(case.bypass))
    odd = (case.served != 1, case.upstream != "right", case.waited < case.soak)
    return sum(ways) + sum(odd)


def test_one_or_two_things_out_of_place_answer_as_the_table_says():
    """A part of what follows: who breaks a rule reads the simplest case that shows it, and at once."""
    few = sorted((case for case in cases() if out_of_place(case) <= 2), key=out_of_place)
    assert 50 < len(few) < 1_000
    for case in few:
        check(case)


def test_every_combination_of_rules_answers_as_the_table_says():
    every = cases()
    assert len(every) > 15_000
    for case in every:
        check(case)


def test_a_refusal_names_each_rule_that_blocks_and_no_other():
    case = Case(1, False, False, True, True, "first", 0, 0, (), False, True)
    said = transitions.refusal(transitions.verdicts(move(case)))
    assert [part.split(":")[0] for part in said.split("; ") if part.split(":")[0].isalpha()] == [
        "hold",
        "freeze",
    ]
    assert "ada" in said and "ann" in said


def test_a_bypass_says_who_answers_for_it_and_what_it_skipped():
    case = Case(1, False, False, False, False, "right", 1, 3600, ("soak",), False, True)
    (result,) = [r for r in transitions.verdicts(move(case)) if r.verdict == "bypassed"]
    assert result.name == "soak"
    assert "grace: login is broken" in result.detail
    assert "0:00:01 of 1:00:00" in result.detail


def subsets(values: tuple[int, ...]) -> list[frozenset[int]]:
    sizes = range(len(values) + 1)
    return [frozenset(s) for s in chain.from_iterable(combinations(values, n) for n in sizes)]


@pytest.mark.parametrize("served", [None, 1, 2, 3])
@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_only_an_older_release_that_was_verified_here_is_a_way_back(wanted: int, served: int | None):
    for verified in subsets((1, 2, 3)):
        found = transitions.direction(wanted, served, verified)
        if served is None:
            assert found == "first"
        elif wanted == served:
            assert found == "none"
        elif wanted > served:
            assert found == "forward", "newer is forward, however often it was verified"
        else:
            assert found == ("backward" if wanted in verified else "forward")


def test_a_release_that_failed_after_it_was_verified_is_no_way_back():
    before = Facts(served=tuple(Served(r, START, "bot", "c" * 40) for r in (1, 2)))
    failed = Facts(served=before.served, held={1: Held(1, "slow", START, "f" * 40)})
    assert transitions.direction(1, 2, before.verified) == "backward"
    assert transitions.direction(1, 2, failed.verified) == "forward"


def test_a_release_that_failed_here_since_it_was_verified_soaks_again():
    """What exempts from the soak is that it passed here, not that it once served here."""
    case = Case(1, True, False, False, False, "right", 600, 3600, (), False, True)
    known = facts(case.served, case.verified)
    failed = replace(known, held={WANTED: Held(WANTED, "slow", START, "f" * 40)})
    for given, verdict in ((known, "skipped"), (failed, "blocked")):
        results = transitions.verdicts(replace(move(case), facts=given))
        assert [r.verdict for r in results if r.name == "soak"] == [verdict]


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("frozen", "windows"),
    [
        (False, []),
        (True, [window()]),
        (True, [window(start=timedelta(0))]),
        (False, [window(end=timedelta(0))]),
        (False, [window(start=HOUR, end=2 * HOUR)]),
        (False, [window(start=-2 * HOUR, end=-HOUR)]),
        (False, [window(environments=(BEFORE,))]),
        (True, [window(environments=(BEFORE, ENV))]),
        (True, [window(models=(MODEL,))]),
        (False, [window(models=("another",))]),
        (True, [window(models=("another", MODEL))]),
        (False, [window(environments=(BEFORE,)), window(models=("another",))]),
        (True, [window(environments=(BEFORE,)), window()]),
    ],
)
def test_a_freeze_covers_its_time_its_environments_and_its_models(frozen: bool, windows: list[FreezeWindow]):
    said = transitions.frozen(Freeze(windows=windows), NOW, ENV, MODEL)
    assert bool(said) == frozen
    assert not frozen or "audit, ann" in said


def test_a_freeze_is_local_time():
    berlin = window(timedelta(hours=1), timedelta(hours=2)).model_copy(update={"timezone": "Europe/Berlin"})
    assert transitions.frozen(Freeze(windows=[berlin]), NOW, ENV, MODEL), "13:00 in Berlin is 12:00 UTC"


# --- the history of a file --------------------------------------------------------------------------------

States = tuple[tuple[int, int | None], ...]
POSSIBLE = tuple((r, p) for r, p in product((1, 2, 3), (None, 1, 2, 3)) if r != p)


def names(history: States) -> set[int]:
    """All that the newest state and, while each change told the truth, the states before it name."""
    newest, older = history[0], history[1:]
    found = {n for n in newest if n is not None}
    if not older:
        return found
    truthful = older[0][0] in newest or newest in older[1:]
    return found | names(older) if truthful else found


def test_what_may_be_served_follows_every_history_of_a_file_as_far_as_it_tells_the_truth():
    for length in (1, 2, 3):
        for history in product(POSSIBLE, repeat=length):
            states = [DesiredState(release=r, replaces=p) for r, p in history]
            assert transitions.lineage(states) == names(history), history
    assert transitions.lineage([]) == frozenset()


def test_a_revert_is_one_whatever_its_hold_and_counts_as_the_truth():
    first = DesiredState(release=1)
    third = first.model_copy(update={"hold": HOLDS[True]})
    states = [third, DesiredState(release=3, replaces=2), DesiredState(release=2, replaces=1), first]
    assert transitions.is_revert(third, states[1:])
    assert transitions.lineage(states) == {1, 2, 3}
    assert not transitions.is_revert(DesiredState(release=1, replaces=3), states[1:])
    assert transitions.lineage([DesiredState(release=1, replaces=9), *states[1:]]) == {1, 9}


def test_the_first_state_of_a_file_replaces_nothing():
    assert transitions.follows(DesiredState(release=1), [])
    assert not transitions.follows(DesiredState(release=2, replaces=1), [])


def test_the_move_knows_when_a_soak_ends():
    case = Case(1, False, False, False, False, "right", 600, 3600, (), False, True)
    said = transitions.refusal(transitions.verdicts(move(case)))
    until: datetime = NOW + timedelta(seconds=3000)
    assert f"{until:%Y-%m-%d %H:%M} UTC" in said


GOOD = Case(1, False, False, False, False, "right", 3600, 0, (), False, True)


@pytest.mark.parametrize(("again", "verdict"), [(3600, "pass"), (3599, "blocked")])
def test_a_soak_counts_from_when_it_took_over_last(again: int, verdict: str):
    """It was served there before, and another one in between."""
    past = ((WANTED, 90_000), (3, 50_000), (WANTED, again))
    facts = Facts(served=tuple(Served(r, NOW - timedelta(seconds=ago), "bot", "c" * 40) for r, ago in past))
    case = Case(1, False, False, False, False, "right", 0, 3600, (), False, True)
    results = transitions.verdicts(replace(move(case), upstream=Upstream(BEFORE, facts)))
    assert [r.verdict for r in results if r.name == "soak"] == [verdict]


def test_every_rule_answers_by_its_name_and_in_one_order():
    results = transitions.verdicts(move(GOOD))
    names = ["replaces", "analysis", "hold", "freeze", "order", "soak", "gates", "approvals", "bypass"]
    assert [r.name for r in results] == names
    assert {r.name for r in results if r.verdict != "pass"} == {"approvals"}, "none was asked for"
    first = replace(move(GOOD), upstream=None)
    skipped = {r.name for r in transitions.verdicts(first) if r.verdict == "skipped"}
    assert skipped == {"order", "soak", "approvals"}


@pytest.mark.parametrize(("replaces", "said"), [(1, "1"), (None, "nothing")])
@pytest.mark.parametrize("led", [True, False])
def test_what_was_said_to_be_replaced_stands_beside_what_serves(replaces: int | None, said: str, led: bool):
    asked = desired(False, ()).model_copy(update={"replaces": replaces})
    moved = replace(move(replace(GOOD, led=led)), desired=asked)
    found = transitions.verdicts(moved)[0]
    assert (found.observed, found.limit) == ("1", said)
    assert (found.verdict == "pass") is led
    assert transitions.verdicts(replace(moved, served=None))[0].observed == "nothing"


@pytest.mark.parametrize(
    ("environments", "models", "frozen"),
    [((ENV,), (), True), ((ENV,), (MODEL,), True), ((ENV,), ("other",), False), ((BEFORE,), (MODEL,), False)],
)
def test_a_move_is_frozen_by_its_own_environment_and_model(
    environments: tuple[str, ...], models: tuple[str, ...], frozen: bool
):
    freeze = Freeze(windows=[window(environments=environments, models=models)])
    refusal = transitions.refusal(transitions.verdicts(replace(move(GOOD), freeze=freeze)))
    assert refusal.startswith("freeze:") is frozen and bool(refusal) is frozen


def test_where_nothing_is_asked_for_nobody_holds_it():
    assert transitions.on_hold(None, ENV, MODEL) == transitions.on_hold(desired(False, ()), ENV, MODEL) == ""
    assert "ada" in transitions.on_hold(desired(True, ()), ENV, MODEL)
