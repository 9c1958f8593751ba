"""Each rule of `mlops check`, on plain data and on a work tree: a good tree has no problem, and each wrong
thing is one problem in its place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from checked_tree import PROD, SETTINGS, STAGING, WINDOW, Tree, asks, record, text_of
from engine_world import MODEL, START, World

from mlops.errors import Forbidden, InvalidInput, Problem, TargetError
from mlops.lifecycle.desired import check as module
from mlops.lifecycle.desired import check_rules, provenance, tree
from mlops.spec.desired import DesiredState
from mlops.spec.files import FREEZE, POLICY, release_of, release_path
from mlops.targets.base import JournalEntry


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tree]:
    made = Tree(tmp_path)
    for room in (module, tree, provenance):
        monkeypatch.setattr(room, "Git", lambda _: made.git)
    return made


def test_a_good_tree_has_no_problem(there: Tree):
    assert there.problems(None) == []
    assert there.problems() == []


def test_a_good_promotion_has_no_problem(there: Tree):
    there.write(PROD, asks(2, 1))
    assert there.problems() == []
    assert there.problems(None) == []


@pytest.mark.parametrize(
    ("name", "text", "where", "field"),
    [
        (STAGING, "release: 7\n", f"{STAGING}:1", "release"),
        (STAGING, "release: 2\nreplaces: 1\nhodl: null\n", f"{STAGING}:3", "hodl"),
        (STAGING, asks(2, 1, "bypass: {gates: [freeze], reason: because I can, approver: me}\n"),
         f"{STAGING}:3", "bypass.gates"),
        (POLICY, "order: [staging]\nenvironments: {staging: {}, prod: {}}\n", f"{POLICY}:1", ""),
        (FREEZE, "windows: 7\n", f"{FREEZE}:1", "windows"),
        (FREEZE, f"windows:\n  - {{environments: [prd], {WINDOW}}}\n", f"{FREEZE}:2",
         "windows.0.environments.0"),
        (FREEZE, f"windows:\n  - {{environments: [prod], models: [fright], {WINDOW}}}\n", f"{FREEZE}:2",
         "windows.0.models.0"),
        (FREEZE, f"windows:\n  - {{environments: [prod], {WINDOW}}}\n"
         f"  - {{environments: [prod, prd], models: [freight], {WINDOW}}}\n", f"{FREEZE}:3",
         "windows.1.environments.1"),
        ("mlops.toml", SETTINGS.replace("usecase", "use_case"), "mlops.toml:3", "models.freight.usecase"),
        (f"pipelines/{MODEL}/model.yaml", "metrics: {}\n", f"pipelines/{MODEL}/model.yaml:1", "champion"),
        (release_path(MODEL, 3), text_of(record(2, "a" * 40)), f"{release_path(MODEL, 3)}:2", "version"),
        (release_path(MODEL, 3), "model: [\n", f"{release_path(MODEL, 3)}:2", ""),
        ("releases/freight/latest.yaml", "", "releases/freight/latest.yaml", ""),
        ("releases/freight/007.yaml", "", "releases/freight/007.yaml", ""),
        ("releases/freight/0.yml", "", "releases/freight/0.yml", ""),
        ("releases/freight/\u0663.yaml", "", "releases/freight/\u0663.yaml", ""),
        ("releases/trains/1.yaml", "", "releases/trains/1.yaml", ""),
        ("releases/freight/9.sig", "", "releases/freight/9.sig", ""),
        ("environments/moon/freight.yaml", "", "environments/moon/freight.yaml", ""),
        ("environments/prod/trains.yaml", "", "environments/prod/trains.yaml", ""),
        ("environments/prod/freight.yml", "", "environments/prod/freight.yml", ""),
    ],
)  # fmt: skip
def test_a_wrong_file_is_a_problem_in_its_place(there: Tree, name: str, text: str, where: str, field: str):
    there.write(name, text)
    found = there.fields(None)
    assert (where, field) in found, found
    assert {place.partition(":")[0] for place, _ in found} <= {name, STAGING}, "other files are not blamed"


def test_a_freeze_of_what_exists_is_none(there: Tree):
    there.write(FREEZE, f"windows:\n  - {{environments: [staging, prod], models: [freight], {WINDOW}}}\n")
    assert there.problems() == [], "and what stands does not move"


def test_what_has_no_model_is_told_once_and_not_read(there: Tree):
    there.write("releases/trains/1.yaml", "not: a release")
    assert there.fields() == [("releases/trains/1.yaml", "")]


def test_names_are_not_judged_where_what_exists_is_not_known(there: Tree):
    there.write(FREEZE, f"windows:\n  - {{environments: [prd], {WINDOW}}}\n")
    there.write("environments/moon/freight.yaml", "")
    there.write("mlops.toml", "models: 1")
    assert {where.partition(":")[0] for where, _ in there.fields()} == {"mlops.toml"}
    there.write("mlops.toml", SETTINGS)
    there.write(POLICY, "order: 1\n")
    assert {where.partition(":")[0] for where, _ in there.fields()} == {POLICY}


def test_a_signature_lies_beside_its_release(there: Tree):
    there.write("releases/freight/1.sig", "{}")
    assert there.problems() == []


def test_a_release_of_uncommitted_changes(there: Tree):
    made = record(3, there.trained)
    dirty = made.model_copy(update={"source": made.source.model_copy(update={"dirty": True})})
    there.write(release_path(MODEL, 3), text_of(dirty))
    assert [field for _, field in there.fields(None)] == ["source.dirty"]


# --- the registry -------------------------------------------------------------------------------------------


@pytest.fixture
def world(there: Tree, tmp_path: Path) -> World:
    made = World(tmp_path)
    for version in (1, 2):
        made.registry.add(record(version, there.trained), tmp_path)
    return made


def test_the_registry_is_asked_for_every_release(there: Tree, world: World):
    assert there.problems(None, world) == []
    there.write(release_path(MODEL, 3), text_of(record(3, there.trained)))
    (problem,) = there.problems(None, world)
    assert (problem.where, problem.field) == (f"{release_path(MODEL, 3)}:2", "version")


@pytest.mark.parametrize(("tag", "field"), [("mlops.digest", "digest"), ("mlops.commit", "source.commit")])
@pytest.mark.parametrize("value", [None, "other"])
def test_a_version_that_says_another_thing_or_nothing(
    there: Tree, world: World, tag: str, field: str, value: str | None
):
    world.registry.tag(MODEL, 1, {tag: value})
    (problem,) = there.problems(None, world)
    assert (problem.where.partition(":")[0], problem.field) == (release_path(MODEL, 1), field)


def test_what_is_served_decides_about_a_change(there: Tree, world: World):
    there.write(PROD, asks(2, 1))
    (problem,) = there.problems("HEAD", world)
    assert (problem.field, "staging serves nothing" in problem.message) == ("release", True)
    assert there.problems(None, world) == [], "what stands is not asked again what it was asked when it moved"


def test_who_may_not_read_the_journals_is_answered_by_the_files(there: Tree, world: World):
    there.write(PROD, asks(2, 1))
    notes: list[str] = []

    def check() -> list[Problem]:
        return module.check(there.root, "HEAD", now=START, target=world.target, note=notes.append)

    def refuse(error: Exception) -> None:
        def entries(*_: object) -> None:
            raise error

        world.store.entries = entries  # type: ignore[method-assign,assignment]

    assert len(check()) == 1 and notes == [], "staging serves nothing, says its journal"
    refuse(Forbidden("no role"))
    assert check() == [], "by the files alone it was asked for"
    assert len(notes) == 1 and "no role" in notes[0]
    there.write(PROD, asks(2, 1, 'hold: {reason: wait, since: "2026-01-01T00:00:00Z", by: ann}\n'))
    assert [problem.field for problem in check()] == ["hold"], "what files tell still counts"
    there.write(PROD, asks(2, 1))
    refuse(TargetError("the store is down"))
    (problem,) = check()
    assert (problem.field, problem.message) == ("release", "the store is down"), "not known is not allowed"


def test_without_a_target_a_move_is_from_what_the_file_asked_for_last(there: Tree):
    """Prod began with 2, went back to 1, and asks for 2 again: that is forward, and frozen."""
    there.git.commit({PROD: None})
    there.merged(PROD, asks(2))
    there.merged(PROD, asks(1, 2))
    there.merged(FREEZE, f"windows:\n  - {{environments: [prod], {WINDOW}}}\n")
    there.write(PROD, asks(2, 1))
    assert [field for _, field in there.fields()] == ["release"]


@pytest.mark.parametrize("room", ["parameters", "dependencies", "rows"])
def test_every_model_is_asked_about_its_own_files(there: Tree, monkeypatch: pytest.MonkeyPatch, room: str):
    asked = []

    def problems(root: Path, model: str) -> list[Problem]:
        asked.append((root, model))
        return [Problem(f"{model}.py", room)]

    monkeypatch.setattr(getattr(module, room), "problems", problems)
    assert there.problems() == [Problem(f"{MODEL}.py", room)]
    assert asked == [(there.root, MODEL)]
    there.write("mlops.toml", "models: 1")
    assert all(problem.where != f"{MODEL}.py" for problem in there.problems())


def served(world: World, env: str, *releases: int) -> None:
    for number, version in enumerate(releases):
        at = START - timedelta(hours=9 - number)
        world.store.append(env, JournalEntry(at, "apply.finished", MODEL, version, "ada", "c" * 40, {}))


def fields(there: Tree, world: World) -> list[str]:
    return [problem.field for problem in there.problems("HEAD", world)]


def test_a_move_that_the_target_lets_in(there: Tree, world: World):
    served(world, "staging", 2)
    served(world, "prod", 1)
    there.write(PROD, asks(2, 1))
    assert fields(there, world) == []
    failed = {"reason": "slow", "percent": 10, "file_commit": there.git.head()}
    world.store.append("prod", JournalEntry(START, "analysis.failed", MODEL, 2, "ada", "c" * 40, failed))
    assert fields(there, world) == [], "the merge that is yet to come is a person's new decision"
    there.write(FREEZE, f"windows:\n  - {{environments: [prod], {WINDOW}}}\n")
    assert fields(there, world) == ["release"]


def test_an_apply_that_was_skipped_is_led_to_by_the_files_history(there: Tree, world: World):
    made = record(3, there.trained)
    there.merged(release_path(MODEL, 3), text_of(made))
    world.registry.add(made, there.root)
    served(world, "staging", 3)
    served(world, "prod", 1)
    there.merged(PROD, asks(2, 1))  # and never applied
    there.write(PROD, asks(3, 2))
    assert fields(there, world) == []
    served(world, "prod", 7)
    assert fields(there, world) == ["replaces"], "nobody asked for what is served"


def test_a_first_file_may_ask_for_what_is_served(there: Tree, world: World):
    served(world, "staging", 2)
    served(world, "prod", 2)
    there.git.commit({PROD: None})
    there.write(PROD, asks(2))
    assert fields(there, world) == []


def test_what_moves_is_judged_by_what_is_served_and_not_by_the_files_too(there: Tree, world: World):
    """Staging has served what its file was never merged to say: by a person's apply of a branch."""
    made = record(3, there.trained)
    there.merged(release_path(MODEL, 3), text_of(made))
    world.registry.add(made, there.root)
    there.write(PROD, asks(3, 1))
    assert [problem.field for problem in there.problems("HEAD", world)] == ["release"]
    happened = JournalEntry(START - timedelta(hours=2), "apply.finished", MODEL, 3, "ada", "c" * 40, {})
    world.store.append("staging", happened)
    assert there.problems("HEAD", world) == []
    assert [problem.field for problem in there.problems("HEAD")] == ["release"], "files alone do not know"


def test_what_stands_is_judged_by_the_files_also_where_a_target_is_asked(there: Tree, world: World):
    there.merged(release_path(MODEL, 3), text_of(record(3, there.trained, verdict="blocked")))
    there.merged(STAGING, asks(3, 2))
    world.registry.add(record(3, there.trained, verdict="blocked"), there.root)
    assert [problem.field for problem in there.problems("HEAD", world)] == ["release"]


# --- changes ------------------------------------------------------------------------------------------------


def test_a_release_is_never_edited_and_never_deleted(there: Tree):
    path = there.root / release_path(MODEL, 1)
    path.write_text(path.read_text() + "# a comment\n")
    there.git.changed.append(release_path(MODEL, 1))
    assert there.fields() == [(f"{release_path(MODEL, 1)}:1", "")]
    assert there.fields(None) == there.fields(), "what was committed is enough to compare with"
    path.unlink()
    assert (release_path(MODEL, 1), "") in there.fields()


def test_a_signature_may_be_made_anew_but_not_be_lost(there: Tree):
    there.merged("releases/freight/1.sig", "{}")
    there.write("releases/freight/1.sig", "{ }")
    assert there.problems() == []
    (there.root / "releases/freight/1.sig").unlink()
    assert there.fields() == [("releases/freight/1.sig", "")]


def test_desired_state_is_never_deleted(there: Tree):
    (there.root / PROD).unlink()
    assert there.fields() == [(PROD, "")]
    assert there.fields(None) == []
    there.git.commit({PROD: None})
    assert there.fields() == [], "it was gone before"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (asks(2, 1), []),
        (asks(2), ["replaces"]),
        (asks(2, 7), ["replaces"]),
        (asks(1, 2), ["replaces"]),
        (asks(1), []),
        (asks(1, None, "strategy: {canary: [100]}\n"), []),
        (asks(2, 1, 'hold: {reason: wait, since: "2026-01-01T00:00:00Z", by: ann}\n'), ["hold"]),
        (
            asks(2, 7, 'hold: {reason: wait, since: "2026-01-01T00:00:00Z", by: ann}\n'),
            ["replaces", "hold"],  # what is told once hides nothing else
        ),
        (asks(1, None, 'hold: {reason: wait, since: "2026-01-01T00:00:00Z", by: ann}\n'), []),
        (
            asks(2, 1, "bypass: {gates: [order, hold], reason: because I can, approver: me}\n"),
            ["bypass.gates"],
        ),
    ],
)
def test_a_change_keeps_the_rules(there: Tree, text: str, fields: list[str]):
    there.write(PROD, text)
    assert [field for _, field in there.fields()] == fields


def test_only_the_file_that_begins_to_ask_is_blamed_for_strange_code(there: Tree):
    there.merged(release_path(MODEL, 3), text_of(record(3, "f" * 40)))
    there.merged(STAGING, asks(3, 2))
    there.write(PROD, asks(3, 1))
    assert there.fields() == [(f"{PROD}:1", "release")]


def test_two_commits_of_a_pull_request_are_judged_as_one_change(there: Tree):
    base = there.git.head()
    there.merged(release_path(MODEL, 3), text_of(record(3, there.trained)))
    there.merged(PROD, asks(3, 1))
    there.merged(PROD, asks(2, 1))
    assert there.problems(base) == [], "what the branch said in between was never served"


def test_a_first_file_replaces_nothing(there: Tree):
    there.git.commit({PROD: None})
    there.write(PROD, asks(1, 7))
    assert [field for _, field in there.fields()] == ["replaces"]
    there.write(PROD, asks(1))
    assert there.fields() == []


def test_a_frozen_environment(there: Tree):
    there.write(FREEZE, f"windows:\n  - {{environments: [prod], {WINDOW}}}\n")
    there.write(PROD, asks(2, 1))
    (problem,) = there.problems()
    assert (problem.field, "frozen" in problem.message) == ("release", True)
    there.merged(PROD, asks(2, 1))
    there.write(PROD, asks(1))
    assert there.problems() == [], "the way back, as git revert makes it"
    there.write(PROD, asks(1, 2))
    assert there.problems() == [], "or as a person writes it"


def test_code_that_is_none_of_this_history(there: Tree):
    made = record(3, "f" * 40)
    there.git.commit({release_path(MODEL, 3): text_of(made), STAGING: asks(3, 2)})
    there.git.commit({STAGING: asks(2, 1)})
    there.out()
    assert there.problems() == [], "nobody begins to ask for it"
    there.write(PROD, asks(3, 1))
    (problem,) = there.problems()
    assert (problem.field, "does not have" in problem.message) == ("release", True)
    there.git.known = {"f" * 40}
    (problem,) = there.problems()
    assert "not part of the history" in problem.message


# --- what stands --------------------------------------------------------------------------------------------


def test_what_stands_was_asked_for_upstream_once(there: Tree):
    """However long ago: history was read back fifty changes."""
    for version in range(3, 70):
        there.git.commit({release_path(MODEL, version): text_of(record(version, there.trained))})
        there.git.commit({STAGING: asks(version, version - 1)})
    there.out()
    assert there.problems() == []
    assert there.problems(None) == []
    there.write(release_path(MODEL, 99), text_of(record(99, there.trained)))
    there.git.commit({PROD: asks(99, 1)})
    there.out()
    (problem,) = there.problems(None)
    assert "staging asks for release 69, not release 99" in problem.message
    assert [p.message for p in there.problems()] == [problem.message], "a base does not change what stands"


@pytest.mark.parametrize("base", [None, "HEAD"])
def test_what_its_gates_blocked_stands_nowhere(there: Tree, base: str | None):
    there.merged(release_path(MODEL, 3), text_of(record(3, there.trained, verdict="blocked")))
    there.merged(STAGING, asks(3, 2))
    assert there.fields(base) == [(f"{STAGING}:1", "release")]
    there.merged(STAGING, asks(3, 2, "bypass: {gates: [absolute], reason: because I can, approver: me}\n"))
    assert there.fields(base) == []
    there.merged(STAGING, asks(3, 2, "strategy: {canary: [100]}\n"))
    assert there.fields(base) == [(f"{STAGING}:1", "release")], "an edit beside it does not hide it"


def test_a_way_back_stands(there: Tree):
    there.merged(release_path(MODEL, 3), text_of(record(3, there.trained)))
    there.merged(STAGING, asks(3, 2))
    there.merged(PROD, asks(3, 1, "bypass: {gates: [order], reason: because I can, approver: me}\n"))
    there.merged(PROD, asks(1))
    assert there.problems(None) == []


def test_a_shallow_clone_is_a_problem(there: Tree):
    there.git.is_shallow = True
    assert any("--unshallow" in problem.message for problem in there.problems())


def test_an_unknown_base_is_a_sentence(there: Tree):
    with pytest.raises(InvalidInput):
        there.problems("no-such")


def test_what_two_rules_find_is_told_once(there: Tree, monkeypatch: pytest.MonkeyPatch):
    found = [Problem("b", "wrong"), Problem("a", "wrong")]
    monkeypatch.setattr(check_rules, "FILES", (lambda _: iter(found), lambda _: iter(found)))
    assert there.problems() == found[::-1]


def test_problems_come_in_order_and_once(there: Tree):
    there.write(STAGING, asks(7))
    there.write(PROD, asks(8))
    there.write("releases/trains/9.yaml", "")
    missing = [problem.message for problem in there.problems() if problem.field == "release"]
    assert len(missing) == 2 and all(text.endswith("released: 1, 2") for text in missing)
    found = list(map(str, there.problems()))
    assert found == sorted(set(found))
    assert {line.partition(":")[0] for line in found} == {STAGING, PROD, "releases/trains/9.yaml"}


# --- plain data ---------------------------------------------------------------------------------------------

ONE = release_path(MODEL, 1)
SIG = "releases/freight/1.sig"
GOOD = text_of(record(1, "a" * 40))


@pytest.mark.parametrize(
    ("before", "now", "places"),
    [
        ({ONE: GOOD}, {ONE: GOOD}, []),
        ({ONE: GOOD}, {ONE: f"{GOOD}# a comment\n"}, [f"{ONE}:1"]),
        ({ONE: GOOD}, {ONE: f"{GOOD}\n"}, [f"{ONE}:1"]),
        ({ONE: GOOD}, {ONE: None}, []),  # it cannot be read, which is told elsewhere
        ({ONE: GOOD}, {}, [ONE]),
        ({ONE: "not: a release"}, {}, []),
        ({ONE: text_of(record(2, "a" * 40))}, {}, []),
        ({"releases/freight/latest.yaml": GOOD}, {}, []),
        ({SIG: "{}"}, {}, [SIG]),
        ({SIG: "{}"}, {SIG: "{ }"}, []),
        ({}, {ONE: GOOD}, []),
    ],
)
def test_what_was_a_release_at_the_base_stays_one(
    before: dict[str, str], now: dict[str, str | None], places: list[str]
):
    def told(**fields: object) -> list[str]:
        known = {
            "base_releases": before,
            "release_names": list(now),
            "release_texts": {name: text for name, text in now.items() if text is not None},
            "edited": {},
            "restored": set(),
            **fields,
        }
        made: Any = SimpleNamespace(**known)
        return [problem.where for problem in check_rules.never_edited(made)]

    assert told() == places
    assert told(restored={ONE}) == [place for place in places if place != f"{ONE}:1"]
    if ONE in before:
        assert told(edited={ONE: "by eve"}) == [f"{ONE}:1" if ONE in now else ONE], "and once"


# --- what files let us assume ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "release", "served"),
    [([], None, []), ([], 1, []), ([2, 1], None, [1, 2]), ([2, 1], 1, [1, 2, 1]), ([2, 1], 3, [1, 2])],
)
def test_what_files_let_us_assume(history: list[int], release: int | None, served: list[int]):
    facts = check_rules.assumed([DesiredState(release=version) for version in history], release)
    assert [s.release for s in facts.served] == served


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("releases/freight/7.yaml", ("freight", 7)),
        ("releases/freight/0.yaml", ("freight", 0)),
        ("releases/freight/07.yaml", None),
        ("releases/freight/7.yml", None),
        ("releases/freight/7.sig", None),
        ("releases/freight/x.yaml", None),
        ("releases/freight/²2.yaml", None),
        ("releases/freight/\u0667.yaml", None),
        ("releases/7.yaml", None),
        ("other/freight/7.yaml", None),
        ("releases/a/b/7.yaml", None),
        ("releases/freight/.yaml", None),
    ],
)
def test_the_name_of_a_release(name: str, key: tuple[str, int] | None):
    assert release_of(name) == key


def test_what_a_file_says_comes_before_what_it_said(there: Tree):
    there.write(PROD, asks(2, 1))
    said = tree.read(there.root, None, None, print)[0].said("prod", MODEL)
    assert [state.release for state in said] == [2, 1], "what is not committed yet first, then HEAD"


@pytest.mark.parametrize("kind", [check_rules.Asked])
def test_what_decides_is_changed_by_nobody(kind: type):
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
