"""GitHub's workflows as `Pipeline`s. Called workflows are put in place of the job that calls them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ci_model import ROOT, RUN, Pipeline, Unit, both, canonical, command_of, read, reduced

FOLDER = ROOT / ".github" / "workflows"


def load(name: str, document: dict[str, Any] | None = None) -> Pipeline:
    """The workflow `name`, or a changed copy of it."""
    workflow = document or read(FOLDER / f"{name}.yml")
    on = workflow["on"]
    push = on.get("push") or {}
    asked = (on.get("workflow_dispatch") or {}) if "workflow_dispatch" in on else {}
    inputs = {k: v.get("options", []) for k, v in (asked.get("inputs") or {}).items()}
    units: dict[str, Unit] = {}
    members: dict[str, set[str]] = {}
    for job_name, job in workflow["jobs"].items():
        needs = set().union(*(members[n] for n in _list(job.get("needs"))))
        condition = canonical(job.get("if", ""))
        if "uses" not in job:
            units[job_name] = _unit(job, workflow, needs, condition, inputs)
            members[job_name] = {job_name}
            continue
        called = read(ROOT / job["uses"])
        given = {k: [v] for k, v in job["with"].items()}
        alone = len(called["jobs"]) == 1
        inner_names = {n: job_name if alone else f"{job_name}_{n}" for n in called["jobs"]}
        for inner_name, inner in called["jobs"].items():
            wanted = {inner_names[n] for n in _list(inner.get("needs"))}
            first = not wanted
            shown = both(condition if first else "", canonical(inner.get("if", "")))
            made = _unit(inner, workflow, wanted | (needs if first else set()), shown, given)
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
        schedule=[entry["cron"] for entry in on.get("schedule", [])],
        cancels=canonical(cancel) == "eq(event, 'pull_request')",
        units=units,
    )


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
