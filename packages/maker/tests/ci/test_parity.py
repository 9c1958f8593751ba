"""GitHub Actions and Azure Pipelines do the same, in the same order, under the same conditions and approvals.

Two definitions of one process drift apart silently, and the one that is used less is wrong on the day that
it is needed. Differences are allowed only in `differences.yaml`, each with a reason, and none that is gone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import ci_azure as azure
import ci_github as github
import pytest
import yaml
from ci_model import NAMES, ROOT, TRAINING, Pipeline, canonical

ACCEPTED = yaml.safe_load((ROOT / "packages/maker/tests/ci/differences.yaml").read_text(encoding="utf-8"))
TRAIN = next(iter(TRAINING.values()))
Difference = tuple[str, str, str, Any, Any]


def _differences(name: str, ours: Pipeline, theirs: Pipeline) -> Iterator[Difference]:
    """(pipeline, unit, field, on GitHub, on Azure)."""
    for item in fields(Pipeline):
        a, b = getattr(ours, item.name), getattr(theirs, item.name)
        if item.name != "units" and a != b:
            yield name, "", item.name, a, b
    if list(ours.units) != list(theirs.units):
        yield name, "", "units", list(ours.units), list(theirs.units)
    for unit in ours.units.keys() & theirs.units.keys():
        for key, a in vars(ours.units[unit]).items():
            b = vars(theirs.units[unit])[key]
            if a != b:
                yield name, unit, key, a, b


def _files() -> Difference:
    """Which pipelines there are at all; those that only another one calls are part of it.

    One `train` stands for those of all models: that each has its own is a test for itself.
    """
    ours = [p.stem for p in github.FOLDER.glob("*.yml") if "workflow_call" not in github.read(p)["on"]]
    theirs = ["ci", *(p.stem for p in azure.FOLDER.glob("*.yml"))]
    return "", "", "files", _kinds(ours), _kinds(theirs)


def _kinds(names: list[str]) -> list[str]:
    return sorted({"train" if name.startswith("train-") else name for name in names})


def _accepted() -> list[Difference]:
    return [(d["pipeline"], d["unit"], d["field"], d["github"], d["azure"]) for d in ACCEPTED]


@pytest.mark.parametrize("name", NAMES)
def test_both_systems_do_the_same(name: str) -> None:
    """What is not the same is written down with its reason."""
    found = list(_differences(name, github.load(name), azure.load(name)))
    assert [d for d in found if d not in _accepted()] == []


def test_no_pipeline_is_missing_in_one_system() -> None:
    """A workflow that only one system has is a difference too."""
    assert _files() in _accepted() or _files()[3] == _files()[4], _files()
    assert set(_kinds(list(NAMES))) <= set(_files()[3]) & set(_files()[4])


@pytest.mark.parametrize(("system", "pattern"), [(github, "train-*.yml"), (azure, "train-*.yml")])
def test_every_model_has_a_pipeline_that_trains_it_and_nothing_else_has(system: Any, pattern: str) -> None:
    """A model that was added by hand, or removed, would be trained never, or fail on each push."""
    assert sorted(p.stem for p in system.FOLDER.glob(pattern)) == sorted(TRAINING.values())
    for model, name in TRAINING.items():
        loaded = system.load(name)
        assert loaded.about == model
        assert {unit.model for unit in loaded.units.values()} == {model}


def test_every_accepted_difference_is_there_and_has_a_reason() -> None:
    """A line that matches nothing would hide the next difference of that place."""
    found = [d for n in NAMES for d in _differences(n, github.load(n), azure.load(n))]
    assert [d for d in _accepted() if d not in [*found, _files()]] == []
    assert all(len(d["reason"]) > 30 for d in ACCEPTED), "say why, in a sentence"


def _drop_step(document: dict[str, Any]) -> None:
    document["jobs"]["check"]["steps"].pop()


def _other_verb(document: dict[str, Any]) -> None:
    document["jobs"]["check"]["steps"][-1]["run"] = ".github/scripts/run mlops status"


def _swap(document: dict[str, Any]) -> None:
    steps = document["jobs"]["check"]["steps"]
    steps[-1], steps[-2] = steps[-2], steps[-1]


def _condition(document: dict[str, Any]) -> None:
    document["jobs"]["staging"]["if"] = "needs.changed.outputs.prod == 'true'"


def _environment(document: dict[str, Any]) -> None:
    document["jobs"]["prod"]["environment"] = "staging-promote"


def _no_lock(document: dict[str, Any]) -> None:
    del document["jobs"]["prod"]["concurrency"]


def _cancel(document: dict[str, Any]) -> None:
    document["jobs"]["prod"]["concurrency"]["cancel-in-progress"] = "true"


def _old_commit(document: dict[str, Any]) -> None:
    del document["jobs"]["prod"]["steps"][0]["with"]["ref"]


def _order(document: dict[str, Any]) -> None:
    document["jobs"]["prod"]["needs"] = ["staging"]


def _path(document: dict[str, Any]) -> None:
    document["on"]["push"]["paths"].pop()


def _no_job(document: dict[str, Any]) -> None:
    del document["jobs"]["prod"]


def _logged_in(document: dict[str, Any]) -> None:
    del document["jobs"]["prod"]["steps"][2]


def _token(document: dict[str, Any]) -> None:
    app = next(s for s in document["jobs"]["train"]["steps"] if "app-token" in s.get("uses", ""))
    document["jobs"]["submit"]["steps"].append(app)


def _may_write(document: dict[str, Any]) -> None:
    document["jobs"]["prod"]["permissions"]["contents"] = "write"


def _later(document: dict[str, Any]) -> None:
    document["on"]["schedule"][0]["cron"] = "41 6 * * *"


def _no_verdict(document: dict[str, Any]) -> None:
    (step,) = [s for s in document["jobs"]["monitor"]["steps"] if "--verdict" in s.get("run", "")]
    step["run"] = step["run"].replace("--verdict ", "")


def _other_event(document: dict[str, Any]) -> None:
    document["on"]["repository_dispatch"]["types"] = ["mlops.run.completed"]


def _one_turn_less(document: dict[str, Any]) -> None:
    steps = document["jobs"]["train"]["steps"]
    steps.remove(next(s for s in steps if "--for 50m" in s.get("run", "")))


def _no_output(document: dict[str, Any]) -> None:
    step = document["jobs"]["submit"]["steps"][-1]
    step["run"] = step["run"].replace("--output job", "")


def _not_after_confirm(document: dict[str, Any]) -> None:
    document["jobs"]["prod"]["needs"] = ["expired"]


def _also_after_a_failure(document: dict[str, Any]) -> None:
    job = document["jobs"]["prod"]
    job["if"] = job["if"].replace("!failure() && ", "")


def _any_stack(document: dict[str, Any]) -> None:
    job = document["jobs"]["prod"]
    job["if"] = job["if"].replace("inputs.stack == 'prod'", "inputs.stack != ''")


def _calling(edit: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The edit is one of the workflow that all models call."""

    def edited(_: dict[str, Any]) -> dict[str, dict[str, Any]]:
        called = github.read(github.FOLDER / "train.yml")
        edit(called)
        return {"train": called}

    return edited


def _other_model(document: dict[str, Any]) -> None:
    document["jobs"]["train"]["env"]["MLOPS_MODEL"] = "another"


def _any_model(document: dict[str, Any]) -> None:
    del document["jobs"]["model"]["if"]


def _other_stack(document: dict[str, Any]) -> None:
    document["jobs"]["model"]["with"]["stack"] = "prod"


def _no_lock_of_all(document: dict[str, Any]) -> None:
    del document["concurrency"]


@pytest.mark.parametrize(
    ("name", "edit", "field"),
    [
        (TRAIN, _calling(_token), "writes"),
        (TRAIN, _calling(_other_model), "model"),
        (TRAIN, _any_model, "about"),
        (TRAIN, _other_stack, "environments"),
        (TRAIN, _no_lock_of_all, "locked"),
        ("release", _may_write, "writes"),
        ("monitor", _later, "schedule"),
        ("monitor", _no_verdict, "commands"),
        (TRAIN, _other_event, "events"),
        (TRAIN, _calling(_one_turn_less), "commands"),
        (TRAIN, _calling(_no_output), "commands"),
        ("destroy", _not_after_confirm, "needs"),
        ("destroy", _also_after_a_failure, "condition"),
        ("destroy", _any_stack, "condition"),
        ("ci", _drop_step, "commands"),
        ("ci", _other_verb, "commands"),
        ("ci", _swap, "commands"),
        ("release", _condition, "condition"),
        ("release", _environment, "environments"),
        ("release", _no_lock, "locked"),
        ("release", _cancel, "locked"),
        ("release", _old_commit, "head"),
        ("release", _order, "needs"),
        ("release", _path, "paths"),
        ("release", _no_job, "units"),
        ("release", _logged_in, "login"),
    ],
)
def test_a_change_of_one_system_is_found(name: str, edit: Any, field: str) -> None:
    """The comparison would notice each kind of drift."""
    document = copy.deepcopy(github.read(github.FOLDER / f"{name}.yml"))
    others = edit(document)
    found = list(_differences(name, github.load(name, document, others), azure.load(name)))
    assert field in [d[2] for d in found if d not in _accepted()]


@pytest.mark.parametrize(
    ("on_github", "on_azure"),
    [
        ("vars.A == 'x' && github.event_name != 'pull_request'",
         "and(succeeded(), ne(variables['Build.Reason'], 'PullRequest'), eq(variables.A, 'x'))"),
        ("vars.A == 'x' || vars.B != ''", "or(ne(variables.B, ''), eq(variables.A, 'x'))"),
        ("!failure() && !cancelled()", "and(not(failed()), not(canceled()))"),
        ("contains(needs.a.outputs.b, '\"c\"')", "contains(dependencies.a.outputs['a.a.a.b'], '\"c\"')"),
        ("github.event_name == 'schedule'", "eq(variables['Build.Reason'], 'Schedule')"),
        ("env.JOB != ''", "and(succeeded(), ne(variables.JOB, ''))"),
        ("needs.changed.outputs.prod == 'true'",
         "eq(dependencies.changed.outputs['changed.changed.prod'], 'true')"),
        ("inputs.confirm == inputs.stack", "${{ eq(parameters.confirm, parameters.stack) }}"),
        ("", "succeeded()"),
    ],
)  # fmt: skip
def test_conditions_of_both_systems_meet(on_github: str, on_azure: str) -> None:
    assert canonical(on_github) == canonical(on_azure)


@pytest.mark.parametrize(("one", "other"), [
    ("vars.A == 'x'", "vars.A != 'x'"),
    ("vars.A == 'x' && vars.B == 'y'", "vars.A == 'x' || vars.B == 'y'"),
    ("vars.A == 'x'", "vars.A == 'y'"),
    ("vars.A == 'x'", ""),
    ("!failure()", "failure()"),
    ("!failure()", "!cancelled()"),
])  # fmt: skip
def test_conditions_that_differ_stay_different(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)
