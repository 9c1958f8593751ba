"""GitHub's workflows as `Pipeline`s. Called workflows are put in place of the job that calls them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ci_model import ROOT, RUN, Pipeline, Unit, both, canonical, command_of, read, reduced

FOLDER = ROOT / ".github" / "workflows"
_ABOUT = re.compile(
    r"github\.event_name != 'repository_dispatch' "
    r"\|\| github\.event\.client_payload\.data\.model == '([\w-]+)'"
)
"""The condition of a job that calls, where an event must be about a model; on Azure the webhook filters."""


def load(
    name: str, document: dict[str, Any] | None = None, others: Mapping[str, dict[str, Any]] | None = None
) -> Pipeline:
    """The workflow `name`, or a changed copy of it; `others` are such copies of those that it calls."""
    workflow = document or read(FOLDER / f"{name}.yml")
    on = workflow["on"]
    push = on.get("push") or {}
    asked = (on.get("workflow_dispatch") or {}) if "workflow_dispatch" in on else {}
    inputs = {k: v.get("options", []) for k, v in (asked.get("inputs") or {}).items()}
    units: dict[str, Unit] = {}
    members: dict[str, set[str]] = {}
    about = ""
    for job_name, job in workflow["jobs"].items():
        needs = set().union(*(members[n] for n in _list(job.get("needs"))))
        if asked_of := _ABOUT.fullmatch(job.get("if", "")):
            about = asked_of[1]
        condition = "" if asked_of else canonical(job.get("if", ""))
        if "uses" not in job:
            units[job_name] = _unit(job, workflow, needs, condition, inputs)
            members[job_name] = {job_name}
            continue
        called = (others or {}).get(Path(job["uses"]).stem) or read(ROOT / job["uses"])
        given = {k: expanded(v, inputs) for k, v in job["with"].items()}
        inner_names = _names(job_name, called, len(workflow["jobs"]))
        for inner_name, inner in called["jobs"].items():
            wanted = {inner_names[n] for n in _list(inner.get("needs"))}
            first = not wanted
            shown = both(condition if first else "", canonical(inner.get("if", "")))
            made = _unit(
                inner,
                {**called, "concurrency": workflow.get("concurrency")},
                wanted | (needs if first else set()),
                shown,
                given,
            )
            units[inner_names[inner_name]] = made
        members[job_name] = set(inner_names.values())
    reduced(units)
    cancel = workflow.get("concurrency", {}).get("cancel-in-progress", "false")
    return Pipeline(
        branches=push.get("branches", []),
        paths=push.get("paths", []),
        pull_requests="pull_request" in on,
        inputs=inputs,
        events=(on.get("repository_dispatch") or {}).get("types", []),
        about=about,
        schedule=[entry["cron"] for entry in on.get("schedule", [])],
        cancels=canonical(cancel) == "eq(event, 'pull_request')",
        units=units,
    )


def _names(caller: str, called: dict[str, Any], callers: int) -> dict[str, str]:
    """What the jobs of a called workflow are called here: theirs alone where nothing else could be meant."""
    if callers == 1:
        return {name: name for name in called["jobs"]}
    alone = len(called["jobs"]) == 1
    return {name: caller if alone else f"{caller}_{name}" for name in called["jobs"]}


def _unit(
    job: dict[str, Any],
    workflow: dict[str, Any],
    needs: set[str],
    condition: str,
    inputs: dict[str, list[str]],
) -> Unit:
    lock = job.get("concurrency") or workflow.get("concurrency") or {}
    steps = job["steps"]
    logins = [s for s in steps if s.get("uses", "").endswith("/azure-login")]
    checkouts = [s for s in steps if s.get("uses", "").startswith("actions/checkout@")]
    set_up = [s for s in steps if s.get("uses", "").endswith("/setup")]
    return Unit(
        needs=needs,
        condition=condition,
        environments=sorted(expanded(job["environment"], inputs)) if "environment" in job else [],
        locked=lock.get("cancel-in-progress") == "false" and "github.run_id" not in lock["group"],
        minutes=int(job["timeout-minutes"]),
        head=any(s["with"].get("ref") == "main" for s in checkouts),
        pulumi=any(s.get("with", {}).get("pulumi") == "true" for s in set_up),
        writes=any(s.get("uses", "").startswith("actions/create-github-app-token@") for s in steps)
        or "write" in (job["permissions"].get("contents"), job["permissions"].get("pull-requests")),
        model=expanded(job.get("env", {}).get("MLOPS_MODEL", ""), inputs)[0],
        # Those before the last one belong to a wait for a long job.
        login=canonical(logins[-1].get("if", "")) if logins else None,
        commands=[
            (expanded_command(command_of(s["run"]), inputs), canonical(s.get("if", "")))
            for s in steps
            if s.get("run", "").startswith((RUN, ".github/scripts/"))
        ],
    )


def expanded(text: str, inputs: dict[str, list[str]]) -> list[str]:
    """Every value that an expression over inputs can have."""
    found = re.search(r"\$\{\{ inputs\.(\w+)(?: \|\| '[\w-]+')? \}\}", text)
    if not found:
        return [text]
    return [text.replace(found[0], value) for value in inputs[found[1]]]


def expanded_command(text: str, inputs: dict[str, list[str]]) -> str:
    """A command must not hold an expression: it is how a script is injected."""
    assert "${{" not in text, f"{text!r} holds an expression; give the value through env"
    return text


def jobs() -> Iterable[tuple[str, str, dict[str, Any]]]:
    """(workflow, job name, job) of every workflow file."""
    for path in sorted(FOLDER.glob("*.yml")):
        for name, job in read(path)["jobs"].items():
            yield path.stem, name, job


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
