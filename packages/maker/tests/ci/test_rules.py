"""No workflow can be made to do more than its job: each rule holds, and catches the edit that breaks it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ci_github as github
import pytest
from ci_model import ROOT, TRAINING, read
from ci_rules import problems, unpinned

FILES = sorted(github.FOLDER.glob("*.yml"))
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))
TRAIN = next(iter(TRAINING.values()))
Edit = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_workflow_keeps_the_rules(path: Path) -> None:
    assert problems(read(path)) == []


@pytest.mark.parametrize("path", [*FILES, *ACTIONS], ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_actions_of_others_are_pinned(path: Path) -> None:
    """A tag can be moved to other code; a commit cannot."""
    assert unpinned(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", ACTIONS, ids=lambda p: p.parent.name)
def test_composite_actions_hold_no_expression_in_a_script(path: Path) -> None:
    scripts = [s["run"] for s in read(path)["runs"]["steps"] if "run" in s]
    assert [s for s in scripts if "${{" in s] == []


@pytest.mark.parametrize(
    "line",
    [
        "- uses: actions/checkout@v7",
        "- uses: actions/checkout@3d3c42e # v7.0.1",
        "- uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",
        "uses: azure/login@main # v3.0.1",
    ],
)
def test_a_loose_pin_is_caught(line: str) -> None:
    assert unpinned(f"      {line}\n") == [line]


def test_one_action_has_one_commit_everywhere() -> None:
    """Two versions of an action in one repository mean that an update was forgotten somewhere."""
    lines = [
        line.strip().removeprefix("- ").removeprefix("uses: ")
        for path in [*FILES, *ACTIONS]
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses: " in line and "@" in line
    ]
    names = {line.partition("@")[0] for line in lines}
    assert len(set(lines)) == len(names), sorted(set(lines))


def _job(name: str, **changes: Any) -> Edit:
    return lambda w: w["jobs"][name].update(changes)


def _grant(name: str, scope: str, access: str = "write") -> Edit:
    return lambda w: w["jobs"][name]["permissions"].update({scope: access})


def _without(name: str, key: str) -> Edit:
    return lambda w: w["jobs"][name].pop(key)


def _script(name: str, run: str) -> Edit:
    return lambda w: w["jobs"][name]["steps"].append({"run": run})


WRONG: list[tuple[str, Edit, str]] = [
    ("ci", lambda w: w.pop("permissions"), "must be {}"),
    ("ci", lambda w: w.update(permissions={"contents": "read"}), "must be {}"),
    ("ci", _without("lint", "permissions"), "says no permissions"),
    ("ci", _grant("lint", "contents"), "write is never needed"),
    ("ci", _grant("lint", "packages"), "write is never needed"),
    ("ci", _grant("plan", "pull-requests"), "executes a pull request's code"),
    ("ci", _grant("test", "id-token"), "belongs to a job that logs in"),
    ("ci", _grant("test", "attestations"), "belongs to a job that attests"),
    ("publish", _grant("build", "attestations"), "belongs to a job that attests"),
    (
        "publish",
        lambda w: w["jobs"]["attest"]["permissions"].pop("attestations"),
        "belongs to a job that attests",
    ),
    (
        "publish",
        lambda w: w["jobs"]["attest"]["steps"].append({"run": "make dist"}),
        "attests beside other steps",
    ),
    ("ci", _grant("test", "actions", "read"), "reads another run's artifact"),
    ("ci", _without("test", "timeout-minutes"), "no timeout"),
    ("ci", lambda w: w["on"].update(pull_request_target=""), "pull_request_target"),
    ("ci", _script("lint", "echo ${{ github.event.pull_request.title }}"), "injected"),
    ("ci", _script("lint", "echo ${{ secrets.AZURE_CLIENT_SECRET }}"), "log in with OIDC"),
    ("ci", lambda w: w["jobs"]["lint"]["steps"][0]["with"].pop("persist-credentials"), "leaves its token"),
    ("release", _without("prod", "environment"), "without an environment"),
    ("release", lambda w: w["jobs"]["prod"]["permissions"].pop("id-token"), "belongs to a job that logs in"),
    ("release", _without("prod", "concurrency"), "without a lock"),
    (
        TRAIN,
        lambda w: w["concurrency"].update({"cancel-in-progress": "true"}),
        "without the lock of its model",
    ),
    (TRAIN, lambda w: w["concurrency"].update(group="train"), "without the lock of its model"),
    (TRAIN, lambda w: w.pop("concurrency"), "without the lock of its model"),
    (TRAIN, _job("model", secrets="inherit"), "passed on as a whole"),
    (
        TRAIN,
        _job("model", secrets={"RELEASE_APP_PRIVATE_KEY": "${{ secrets.KEY }}"}),
        "under another name than its own",
    ),
    (TRAIN, lambda w: w["jobs"]["model"]["permissions"].pop("id-token"), "belongs to a job that logs in"),
    (TRAIN, _grant("model", "contents"), "write is never needed"),
    ("train", _without("train", "environment"), "a secret without an environment"),
    ("infra", _without("dev", "if"), "from a fork"),
    ("infra", _job("staging", **{"if": "always()"}), "from a fork"),
    ("infra", _job("dev", secrets="inherit"), "passed on as a whole"),
    ("infra-stack", _without("apply", "concurrency"), "without a lock"),
    ("train", lambda w: w["jobs"]["train"]["env"].pop("AZURE_TENANT_ID"), "cannot renew its login"),
    ("destroy-stack", _without("destroy", "concurrency"), "without a lock"),
    ("destroy", _without("expired", "environment"), "without an environment"),
    ("destroy", _job("confirm", permissions={"id-token": "write"}), "belongs to a job that logs in"),
    ("monitor", lambda w: w["concurrency"].update({"cancel-in-progress": "true"}), "without a lock"),
    ("monitor", _grant("monitor", "pages"), "belongs to a job that deploys pages"),
    ("monitor", _script("monitor", ".github/scripts/run make docs"), "runs make where Azure can be reached"),
    ("monitor", _script("publish", "mlops board --out site/board"), "beside other steps"),
    ("monitor", _without("publish", "environment"), "without an environment"),
]


@pytest.mark.parametrize(("name", "edit", "sentence"), WRONG, ids=[f"{n}-{s}" for n, _, s in WRONG])
def test_a_wrong_edit_is_caught(name: str, edit: Edit, sentence: str) -> None:
    workflow = copy.deepcopy(read(github.FOLDER / f"{name}.yml"))
    edit(workflow)
    assert any(sentence in problem for problem in problems(workflow)), problems(workflow)


def test_destroy_and_apply_wait_for_each_other() -> None:
    """Pulumi locks a stack, but fails instead of waiting: both jobs must share one group."""
    apply = read(github.FOLDER / "infra-stack.yml")["jobs"]["apply"]["concurrency"]
    assert read(github.FOLDER / "destroy-stack.yml")["jobs"]["destroy"]["concurrency"] == apply
