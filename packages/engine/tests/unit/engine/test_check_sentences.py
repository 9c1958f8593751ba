"""What the problems of `mlops check` name: what exists, what is allowed, and what the file said before."""

from __future__ import annotations

from pathlib import Path

import pytest
from checked_tree import PROD, STAGING, Tree, asks, record, text_of
from engine_world import MODEL

from mlops.lifecycle.desired import check as module
from mlops.lifecycle.desired import check_rules, provenance, tree
from mlops.lifecycle.desired.check_rules import LONG_AGO, Served
from mlops.spec.desired import DesiredState
from mlops.spec.files import POLICY, release_path


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    made = Tree(tmp_path)
    for room in (module, tree, provenance):
        monkeypatch.setattr(room, "Git", lambda _: made.git)
    return made


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("releases/trains/1.yaml", f"known: {MODEL}"),
        ("environments/moon/freight.yaml", f"{POLICY} knows staging, prod"),
        ("environments/prod/trains.yaml", f"allowed here: {MODEL}.yaml"),
    ],
)
def test_a_name_that_is_none_is_told_what_there_is(there: Tree, name: str, named: str):
    there.write(name, "")
    (problem,) = there.problems(None)
    assert problem.message.endswith(named)


def test_a_release_that_is_none_is_told_what_is_released(there: Tree):
    there.write("releases/freight/latest.yaml", "")
    there.write(PROD, asks(7, 1))
    (message,) = [problem.message for problem in there.problems() if problem.field == "release"]
    assert message.endswith("released: 1, 2")
    for version in (1, 2):
        (there.root / release_path(MODEL, version)).unlink()
    messages = [problem.message for problem in there.problems() if problem.where.startswith(PROD)]
    assert any(message.endswith("released: none") for message in messages)


def test_uncommitted_changes_are_named(there: Tree):
    made = record(3, there.trained)
    dirty = made.model_copy(update={"source": made.source.model_copy(update={"dirty": True})})
    there.write(release_path(MODEL, 3), text_of(dirty))
    (problem,) = there.problems(None)
    assert problem.message == provenance.unclean(dirty) != ""


def test_strange_code_is_said_of_its_release(there: Tree):
    there.merged(release_path(MODEL, 3), text_of(record(3, "f" * 40)))
    there.merged(STAGING, asks(3, 2))
    there.write(PROD, asks(3, 1))
    (problem,) = there.problems()
    assert problem.message.startswith(f"{release_path(MODEL, 3)} ")


def test_what_it_must_replace_is_named(there: Tree):
    there.write(PROD, asks(2, 7))
    (problem,) = there.problems()
    assert "must be 1," in problem.message
    there.git.commit({PROD: None})
    (problem,) = there.problems()
    assert "must be null," in problem.message


def test_each_edited_release_is_told_and_each_that_is_gone(there: Tree):
    """One that was edited hides none that comes after it."""
    there.write(release_path(MODEL, 1), "edited")
    (there.root / release_path(MODEL, 2)).unlink()
    there.git.changed.append(release_path(MODEL, 1))
    places = {problem.where for problem in there.problems()}
    assert {f"{release_path(MODEL, 1)}:1", release_path(MODEL, 2)} <= places


def test_a_file_does_not_say_who_applied_it(there: Tree):
    facts = check_rules.assumed([DesiredState(release=1)])
    assert facts.served == (Served(1, LONG_AGO, actor="", commit=""),)
