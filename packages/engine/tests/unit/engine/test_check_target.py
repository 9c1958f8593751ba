"""What `mlops check --target` asks, and whom: each model of its own journal, as commit and file stand."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from checked_tree import GATES, PROD, SETTINGS, WINDOW, Tree, asks, record, text_of
from engine_world import MODEL, START, World
from memory_git import MemoryGit

from mlops.errors import Forbidden, TargetError, Unavailable
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.plan import Plan
from mlops.lifecycle.desired import approvals, check_rules, pending, provenance, tree
from mlops.lifecycle.desired import check as module
from mlops.lifecycle.desired.check import by_target
from mlops.spec.files import FREEZE, POLICY, desired_path, release_path
from mlops.targets.base import JournalEntry, Target

OTHER = "trains"


class Asked(NamedTuple):
    """A work tree with two models, a target, and what was noted."""

    there: Tree
    world: World
    notes: list[str]

    def fields(self, base: str | None = "HEAD") -> list[tuple[str, str]]:
        found = module.check(
            self.there.root, base, now=START, target=self.world.target, note=self.notes.append
        )
        return [(problem.where.partition(":")[0], problem.field) for problem in found]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    there, world = Tree(tmp_path), World(tmp_path)

    def git(root: Path) -> MemoryGit:
        return {tmp_path: there.git}[root]

    for room in (module, tree, provenance, approvals):
        monkeypatch.setattr(room, "Git", git)
    there.git.commit(
        {
            "mlops.toml": f'{SETTINGS}[models.{OTHER}]\nusecase = "freight"\n',
            f"pipelines/{OTHER}/model.yaml": GATES,
        }
    )
    for version in (1, 2):
        one = record(version, there.trained)
        there.git.commit({release_path(OTHER, version): text_of(one.model_copy(update={"model": OTHER}))})
        world.registry.add(one, tmp_path)
        world.registry.add(one.model_copy(update={"model": OTHER}), tmp_path)
    there.git.commit({desired_path("staging", OTHER): asks(1)})
    there.git.commit({desired_path("staging", OTHER): asks(2, 1), desired_path("prod", OTHER): asks(1)})
    there.out()
    return Asked(there, world, [])


def served(world: World, env: str, model: str, release: int) -> None:
    at = START - timedelta(hours=9)
    world.store.append(env, JournalEntry(at, "apply.finished", model, release, "ada", "c" * 40, {}))


def move_both(asked: Asked) -> None:
    for model in (MODEL, OTHER):
        asked.there.write(desired_path("prod", model), asks(2, 1))


@pytest.mark.parametrize(("verified", "blamed"), [(MODEL, OTHER), (OTHER, MODEL)])
def test_each_model_is_judged_by_its_own_journal(asked: Asked, verified: str, blamed: str):
    for model in (MODEL, OTHER):
        served(asked.world, "prod", model, 1)
    served(asked.world, "staging", verified, 2)
    move_both(asked)
    assert asked.fields() == [(desired_path("prod", blamed), "release")]


@pytest.mark.parametrize(("frozen", "with_target"), [(m, t) for m in (MODEL, OTHER) for t in (False, True)])
def test_a_freeze_of_one_model_stops_no_other(asked: Asked, frozen: str, with_target: bool):
    asked.there.write(FREEZE, f"windows:\n  - {{environments: [prod], models: [{frozen}], {WINDOW}}}\n")
    for model in (MODEL, OTHER):
        served(asked.world, "prod", model, 1)
        served(asked.world, "staging", model, 2)
    move_both(asked)
    found = asked.there.problems("HEAD", asked.world if with_target else None)
    places = {(problem.where.partition(":")[0], problem.field) for problem in found}
    assert places == {(desired_path("prod", frozen), "release")}


def test_the_target_is_asked_for_the_move_that_is_yet_to_be_merged(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
):
    intents: list[Intent] = []

    def plan_for(intent: Intent, target: Target, now: datetime, weigh: pending.Weigh) -> Plan:
        intents.append(intent)
        return real(intent, target, now, weigh)

    real = pending.plan_for
    monkeypatch.setattr(pending, "plan_for", plan_for)
    asked.there.write(PROD, asks(2, 1))
    asked.fields()
    (intent,) = intents
    assert (intent.env, intent.model, intent.desired.release) == ("prod", MODEL, 2)
    assert intent.commit == asked.there.git.head(), "in whose history gates are looked for"
    assert intent.file_commit == "", "a person's new decision, which no analysis has failed"


def test_gates_are_compared_where_policy_asks_for_approvals(asked: Asked):
    """That the pull request is approved is seen when it is merged: here only that the files can be read."""
    policy = "order: [staging, prod]\nenvironments: {staging: {}, prod: {loosened_approvals: 2}}\n"
    asked.there.merged(POLICY, policy)
    served(asked.world, "prod", MODEL, 1)
    served(asked.world, "staging", MODEL, 2)
    asked.there.write(PROD, asks(2, 1))
    assert asked.fields() == []


def test_a_registry_that_cannot_be_asked_is_no_problem_of_a_file(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
):
    def down(*_: object) -> None:
        raise Unavailable("later")

    monkeypatch.setattr(asked.world.registry, "get", down)
    with pytest.raises(Unavailable):
        asked.fields(None)


def refuse(asked: Asked, error: Exception) -> None:
    def entries(*_: object) -> None:
        raise error

    asked.world.store.entries = entries  # type: ignore[method-assign,assignment]


def test_who_may_not_read_journals_is_told_what_was_not_asked_of_old_releases(asked: Asked):
    """Without any record only a journal knows that a version was verified."""
    version = asked.world.registry.get(MODEL, 1)
    facts = {"mlops.digest", "mlops.commit"}
    asked.world.registry.tag(MODEL, 1, {tag: None for tag in version.tags if tag not in facts})
    served(asked.world, "staging", MODEL, 1)
    assert asked.fields(None) == [] and asked.notes == [], "its journal knows it"
    refuse(asked, Forbidden("no role"))
    assert {where for where, _ in asked.fields(None)} == {release_path(MODEL, 1)}
    (note,) = asked.notes
    assert "no role" in note


@pytest.mark.parametrize(
    ("error", "verdicts"),
    [(TargetError("the store is down"), [("order", "blocked")]), (Forbidden("no role"), [])],
)
def test_what_cannot_be_asked_blocks_the_order_and_what_may_not_be_is_left_to_the_files(
    asked: Asked, error: Exception, verdicts: list[tuple[str, str]]
):
    asked.there.write(PROD, asks(2, 1))
    read = tree.read(asked.there.root, "HEAD", None, asked.notes.append)[0]
    wanted = read.wanted["prod", MODEL]
    assert read.policy is not None
    question = check_rules.Asked(wanted, read.releases[MODEL, 2][1], read.policy)
    refuse(asked, error)
    left: list[object] = []

    def by_files(of: check_rules.Asked) -> list[Any]:
        left.append(of)
        return []

    judge = by_target(
        read,
        "c" * 40,
        asked.world.target,
        START,
        weigh=approvals.unweighed,
        otherwise=by_files,
        note=asked.notes.append,
    )
    assert [(result.name, result.verdict) for result in judge(question)] == verdicts
    assert (left == [question]) == isinstance(error, Forbidden) == bool(asked.notes)
