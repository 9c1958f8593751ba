"""Workflow files as data: what starts them, what they must not run beside, which actions they use. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from mlops.errors import InvalidInput, Problem
from mlops.forge.git import Git

FOLDER = ".github/workflows"
ACTIONS = ".github/actions"
_USES = re.compile(r"(?m)^\s*(?:-\s+)?uses:\s*['\"]?([\w.-]+/[\w./-]+)@([\w.-]+)")


@dataclass(frozen=True)
class Concurrency:
    """Both fields may hold expressions."""

    group: str
    cancel: str = "false"


@dataclass(frozen=True)
class Job:
    """What has to be known of a job before it may start."""

    id: str
    runner: str = ""
    environment: str = ""
    concurrency: Concurrency | None = None
    first: str = ""
    """The action that its first step uses."""
    calls: str = ""
    """The workflow of this repository that it is replaced by, by path; its own steps are there."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Inputs of that workflow; they may hold expressions."""


@dataclass(frozen=True)
class Workflow:
    """One file of `.github/workflows`."""

    stem: str
    """Its name without folder and extension, as a person calls it."""
    path: str
    name: str
    on: Mapping[str, Mapping[str, Any]]
    """Each event that starts it, with its filters; empty ones mean: always."""
    concurrency: Concurrency | None = None
    jobs: Mapping[str, Job] = field(default_factory=dict)

    @property
    def uses(self) -> tuple[str, ...]:
        """Other workflows of this repository that its jobs call, by path."""
        return tuple(dict.fromkeys(job.calls for job in self.jobs.values() if job.calls))

    def inputs(self, given: Mapping[str, str]) -> dict[str, str]:
        """Inputs of a start by hand, with defaults; raises `InvalidInput` for what it does not ask."""
        asked: Mapping[str, Any] = self.on.get("workflow_dispatch", {}).get("inputs") or {}
        for name, value in given.items():
            if name not in asked:
                raise InvalidInput(f"{self.path} asks for {', '.join(asked) or 'no input'}, not for {name!r}")
            options = asked[name].get("options")
            if options and value not in options:
                raise InvalidInput(
                    f"input {name!r} of {self.path} is one of {', '.join(options)}, not {value!r}"
                )
        missing = [n for n, spec in asked.items() if spec.get("required") == "true" and n not in given]
        if missing:
            raise InvalidInput(f"{self.path} needs a value for {', '.join(missing)}")
        return {name: given.get(name, spec.get("default", "")) for name, spec in asked.items()}

    def called_with(self, given: Mapping[str, str]) -> dict[str, str]:
        """Inputs when another workflow calls this one, with defaults."""
        asked: Mapping[str, Any] = self.on.get("workflow_call", {}).get("inputs") or {}
        return {name: given.get(name, spec.get("default", "")) for name, spec in asked.items()}


def workflows(git: Git, commit: str) -> list[Workflow]:
    """All workflows at a commit, by name; raises `InvalidInput` for a file that is none."""
    parsed = []
    for path in git.files(commit, FOLDER + "/"):
        if PurePosixPath(path).suffix in (".yml", ".yaml"):
            parsed.append(read(path, git.show(commit, path) or ""))
    return parsed


def read(path: str, text: str) -> Workflow:
    """A workflow from its text; raises `InvalidInput`."""
    try:
        # Texts only: `on` is a word here, and "1.10" is no number.
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except yaml.YAMLError as error:
        raise InvalidInput(Problem(path, f"not valid YAML: {error}")) from None
    if not isinstance(document, dict) or "on" not in document or not isinstance(document.get("jobs"), dict):
        raise InvalidInput(Problem(path, "a workflow has `on` and `jobs`"))
    jobs = document["jobs"]
    stem = PurePosixPath(path).stem
    return Workflow(
        stem=stem,
        path=path,
        name=document.get("name", stem),
        on=_events(document["on"]),
        concurrency=_concurrency(document.get("concurrency")),
        jobs={name: _job(name, job) for name, job in jobs.items()},
    )


def called(git: Git, commit: str, workflow: Workflow) -> dict[str, Workflow]:
    """The workflows that the jobs of `workflow` call, by path; raises `InvalidInput`."""
    return {path: read(path, git.show(commit, path) or "") for path in workflow.uses}


def remote_actions(git: Git, commit: str, workflow: Workflow) -> dict[str, str]:
    """`owner/name@ref` of every action from elsewhere that a run may need, with its `owner/name`."""
    paths = [workflow.path, *workflow.uses]
    paths += [
        p for p in git.files(commit, ACTIONS + "/") if PurePosixPath(p).name in ("action.yml", "action.yaml")
    ]
    actions = {}
    for path in paths:
        for name, ref in _USES.findall(git.show(commit, path) or ""):
            owner, repository = name.split("/")[:2]
            actions[f"{owner}/{repository}@{ref}"] = f"{owner}/{repository}"
    return actions


def _events(value: Any) -> dict[str, dict[str, Any]]:
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, list):
        return {str(name): {} for name in value}
    return {name: filters if isinstance(filters, dict) else {} for name, filters in value.items()}


def _concurrency(value: Any) -> Concurrency | None:
    if not value:
        return None
    if isinstance(value, str):
        return Concurrency(value)
    return Concurrency(value["group"], value.get("cancel-in-progress", "false"))


def _job(name: str, job: dict[str, Any]) -> Job:
    environment = job.get("environment", "")
    steps = job.get("steps") or [{}]
    return Job(
        id=name,
        runner=job.get("runs-on", ""),
        environment=environment.get("name", "") if isinstance(environment, dict) else environment,
        concurrency=_concurrency(job.get("concurrency")),
        first=steps[0].get("uses", ""),
        calls=job["uses"].removeprefix("./") if job.get("uses", "").startswith("./") else "",
        given=job.get("with") or {},
    )
