"""The pull request, promote and apply give one answer. Every small world is built, all three are asked, and
each is compared with an oracle that shares no code with them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from engine_world import MODEL, START, World, make_release

from mlops.lifecycle.decide import transitions
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.desired import check_rules
from mlops.lifecycle.desired.approvals import unweighed
from mlops.lifecycle.desired.check import by_target
from mlops.lifecycle.desired.pending import plan_for
from mlops.lifecycle.desired.tree import Tree, Wanted
from mlops.lifecycle.propose.promote import Tip, proposed
from mlops.spec._yaml import Document
from mlops.spec.desired import Bypass, DesiredState
from mlops.spec.files import desired_path, release_path
from mlops.spec.gates import GateResult
from mlops.spec.policy import EnvironmentPolicy, Freeze, FreezeWindow, Policy
from mlops.spec.release import Release
from mlops.spec.settings import ModelSettings, Project, Settings
from mlops.targets.base import JournalEntry

ENV, BEFORE = "prod", "staging"
SOAK = 3600
POLICY = Policy(
    order=[BEFORE, ENV], environments={BEFORE: EnvironmentPolicy(), ENV: EnvironmentPolicy(soak=SOAK)}
)
FROZEN = Freeze(
    windows=[
        FreezeWindow(
            environments=[ENV],
            start=START.replace(tzinfo=None) - timedelta(days=1),
            end=START.replace(tzinfo=None) + timedelta(days=1),
            timezone="UTC",
            reason="audit",
            by="ann",
        )
    ]
)
HOLD = '{reason: wait, since: "2026-01-01T00:00:00Z", by: ada}'


@dataclass(frozen=True)
class Case:
    """Release 2 is asked for in prod, in a world where this is so."""

    staging: str
    """never asked for, asked for only, served for so many seconds, overtaken by 3, or held since."""
    prod: str
    """What prod has served so far: nothing, an older release, itself and then a newer one, a newer one only
    (it was asked for and skipped), or itself and then a newer one, and it failed in between."""
    hold: bool
    frozen: bool
    blocked: bool
    """By the gate `champion` when it was made."""
    bypass: tuple[str, ...]
    right: bool
    """Whether `replaces` is what the file named before; promote always writes it so."""


STAGING = ("never", "asked", "3599", "3600", "overtaken", "held")
PROD = ("nothing", "older", "way back", "skipped", "failed")
BYPASSES = ((), ("order",), ("soak",), ("champion",), ("order", "soak", "champion"), ("freeze",))
CASES = [
    Case(*facts)
    for facts in itertools.product(
        STAGING, PROD, (False, True), (False, True), (False, True), BYPASSES, (True, False)
    )
]


def expected(case: Case) -> set[str]:
    """The rules that refuse, from the words of docs/reference/gates.md alone."""
    found = set() if case.right or case.prod == "nothing" else {"replaces"}
    if case.prod == "way back":
        return found
    found |= {"hold"} if case.hold else set()
    found |= {"freeze"} if case.frozen else set()
    found |= {"bypass"} if "freeze" in case.bypass else set()
    found |= {"gates"} if case.blocked and "champion" not in case.bypass else set()
    there = case.staging in ("3599", "3600")
    found |= {"order"} if not there and "order" not in case.bypass else set()
    found |= {"soak"} if case.staging == "3599" and "soak" not in case.bypass else set()
    return found


# --- the world ----------------------------------------------------------------------------------------------


def served(case: Case) -> list[int]:
    return {"nothing": [], "older": [1], "way back": [2, 3], "skipped": [3], "failed": [2, 3]}[case.prod]


@cache
def release(blocked: bool) -> Release:
    verdict = "blocked" if blocked else "pass"
    gates = [GateResult(name="champion", verdict=verdict, observed="0", limit="0")]
    return make_release(2, gates=gates)


def happened(world: World, env: str, kind: str, version: int, ago: float, **data: Any) -> None:
    at = START - timedelta(seconds=ago)
    world.store.append(env, JournalEntry(at, kind, MODEL, version, "bot", f"{version:040x}", data))


@cache
def world_of(staging: str, prod: tuple[int, ...], failed: bool, artifact: Path) -> World:
    """What the target knows; shared by the cases that differ in files only."""
    world = World(artifact)
    if staging in ("overtaken", "held", "3599", "3600"):
        happened(world, BEFORE, "apply.finished", 2, float(staging) if staging.isdigit() else 9000)
    if staging == "overtaken":
        happened(world, BEFORE, "apply.finished", 3, 8000)
    if staging == "held":
        happened(world, BEFORE, "analysis.failed", 2, 8000, reason="slow", file_commit="f" * 40)
    for number, version in enumerate(prod):
        happened(world, ENV, "apply.finished", version, 7000 - number)
        world.endpoints.create(ENV, "blue" if number % 2 == 0 else "green", make_release(version), artifact)
    if prod:
        names = [d.name for d in world.endpoints.state(ENV, MODEL).deployments]
        last = "blue" if len(prod) % 2 else "green"
        world.endpoints.set_traffic(ENV, MODEL, {name: 100 * (name == last) for name in names})
        for name in names:
            if name != last:
                world.endpoints.delete(ENV, MODEL, name)
    if failed:
        happened(world, ENV, "analysis.failed", 2, 6000, reason="slow", file_commit="f" * 40)
    return world


@cache
def history(case_prod: str, hold: bool) -> tuple[str | None, tuple[DesiredState, ...]]:
    """The text of the file of prod at the base, and what it said, newest first."""
    named = {"nothing": [], "older": [1], "way back": [2, 3], "skipped": [1, 2, 3], "failed": [2, 3]}[
        case_prod
    ]
    texts = [
        f"release: {version}\nreplaces: {named[i - 1] if i else 'null'}\nhold: {HOLD if hold else 'null'}\n"
        for i, version in enumerate(named)
    ]
    states = [Document(text, desired_path(ENV, MODEL)).parse(DesiredState) for text in reversed(texts)]
    return (texts[-1] if texts else None), tuple(states)


@cache
def change(case_prod: str, hold: bool, bypass: tuple[str, ...], right: bool) -> tuple[Document, DesiredState]:
    """The file after the change."""
    text, said = history(case_prod, hold)
    tip = Tip(ENV, MODEL, "c" * 40, text, said, POLICY, Freeze())
    made, _ = proposed(tip, release(False), answered(bypass))
    if not right:
        replaced = f"replaces: {said[0].release if said else 'null'}"
        assert replaced in made
        made = made.replace(replaced, "replaces: 9")
    if hold and not said:
        made = made.replace("hold: null", f"hold: {HOLD}")
    document = Document(made, desired_path(ENV, MODEL))
    return document, document.parse(DesiredState)


def answered(bypass: tuple[str, ...]) -> Bypass | None:
    return Bypass(gates=list(bypass), reason="login is broken", approver="grace") if bypass else None


def blocked(results: Any) -> set[str]:
    return {result.name for result in results if result.verdict == "blocked"}


def asked_in_staging(case: Case) -> list[DesiredState]:
    named = {"never": [1], "asked": [2], "overtaken": [3, 2]}.get(case.staging, [2])
    return [DesiredState(release=version) for version in named]


def tree_of(case: Case) -> Tree:
    document, state = change(case.prod, case.hold, case.bypass, case.right)
    _, said = history(case.prod, case.hold)
    upstream = asked_in_staging(case)
    made = release(case.blocked)
    return Tree(
        settings=Settings(
            project=Project(name="freight-mlops"), models={MODEL: ModelSettings(usecase="freight")}
        ),
        policy=POLICY,
        freeze=FROZEN if case.frozen else Freeze(),
        freeze_document=None,
        release_names=[release_path(MODEL, version) for version in (1, 2, 3)],
        release_texts={},
        releases={(MODEL, 2): (Document("version: 2\n", release_path(MODEL, 2)), made)},
        environment_names=[desired_path(env, MODEL) for env in POLICY.order],
        wanted={
            (BEFORE, MODEL): Wanted(BEFORE, MODEL, document, upstream[0], upstream, upstream),
            (ENV, MODEL): Wanted(ENV, MODEL, document, state, said, said),
        },
        heads={(BEFORE, MODEL): upstream, (ENV, MODEL): said},
    )


# --- the three ----------------------------------------------------------------------------------------------


def by_check(case: Case, world: World | None) -> set[str]:
    """`mlops check`: the rules that refuse the change, with the target's facts or by the files alone."""
    tree = tree_of(case)
    files = check_rules.by_files(tree, START)
    judge = (
        by_target(tree, "c" * 40, world.target, START, weigh=unweighed, otherwise=files) if world else files
    )
    wanted = tree.wanted[ENV, MODEL]
    found = blocked(judge(check_rules.Asked(wanted, release(case.blocked), POLICY)))
    told = [*check_rules.may_move(tree, judge), *check_rules.says_what_it_replaces(tree)]
    assert bool(told) == bool(found) or (case.prod == "nothing" and not case.right)
    return found


def by_promote(case: Case, world: World) -> set[str]:
    intent = proposal(case.prod, case.hold, case.frozen, case.blocked, case.bypass)
    return blocked(plan_for(intent, world.target, START, unweighed).gates)


@cache
def proposal(prod: str, hold: bool, frozen: bool, blocked: bool, bypass: tuple[str, ...]) -> Intent:
    text, said = history(prod, hold)
    tip = Tip(ENV, MODEL, "c" * 40, text, said, POLICY, FROZEN if frozen else Freeze())
    return proposed(tip, release(blocked), answered(bypass))[1]


@cache
def by_apply(case: Case, world: World) -> set[str]:
    """After the merge: the file's last commit is the merge. Nothing is changed, so that it is asked once."""
    _, state = change(case.prod, case.hold, case.bypass, case.right)
    _, said = history(case.prod, case.hold)
    intent = Intent(
        env=ENV,
        model=MODEL,
        desired=state,
        release=release(case.blocked),
        policy=POLICY,
        freeze=FROZEN if case.frozen else Freeze(),
        commit="d" * 40,
        file_commit="d" * 40,
        lineage=transitions.lineage([state, *said]),
    )
    return blocked(plan_for(intent, world.target, START, unweighed).gates)


def worlds(artifact: Path) -> Iterator[tuple[Case, World]]:
    for case in CASES:
        yield case, world_of(case.staging, tuple(served(case)), case.prod == "failed", artifact)


@pytest.fixture(scope="module")
def somewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifact")


def test_check_promote_and_apply_give_the_same_answer(somewhere: Path):
    for case, world in worlds(somewhere):
        wanted = expected(case)
        assert by_apply(case, world) == wanted, case
        assert by_check(case, world) == wanted, case
        if case.right and not (case.hold and case.prod == "nothing"):
            assert by_promote(case, world) == wanted, case


def test_without_a_target_check_refuses_only_what_the_others_refuse(somewhere: Path):
    """Files cannot know what passed and how long ago; all else they say as the others do."""
    seen = set()
    for case, world in worlds(somewhere):
        by_files = by_check(case, None)
        missed = by_apply(case, world) - by_files
        assert by_files <= expected(case), case
        # A release that the file named before counts as verified, so that to ask for it again is a way back.
        if case.prod not in ("skipped", "failed"):
            assert missed <= ({"soak"} if case.staging == "never" else {"soak", "order"}), case
        seen |= by_files
    assert seen == {"replaces", "hold", "freeze", "order", "gates", "bypass"}


def test_a_deployment_that_is_not_made_of_the_release_is_refused_by_all_three(somewhere: Path):
    """Somebody deployed another artifact by hand and called it release 2."""
    case = Case("3600", "older", hold=False, frozen=False, blocked=False, bypass=(), right=True)
    world = world_of.__wrapped__("3600", (1,), False, somewhere)
    assert by_apply(case, world) == set()
    other = make_release(2).model_copy(update={"digest": f"sha256:{'e' * 64}"})
    world.endpoints.create(ENV, "green", other, somewhere)
    by_apply.cache_clear()
    assert by_apply(case, world) == by_check(case, world) == by_promote(case, world) == {"digest"}
