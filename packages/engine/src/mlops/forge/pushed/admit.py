"""What a job waits for before its first step: its concurrency group, then its environment's approval.

act knows neither. The stand-in of actions/checkout, which is every job's first step, asks here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mlops.errors import Blocked
from mlops.forge.git import Git
from mlops.forge.pushed.expressions import fill, truth
from mlops.forge.pushed.store import APPROVAL, Run, Store
from mlops.forge.pushed.workflows import Job, called, read

PAUSE = 0.1


def admit(store: Store, number: int, job_id: str, say: Callable[[str], None]) -> None:
    """Return when the job may start. Raises `Blocked` when it may not start at all."""
    run = store.get(number)
    job, context = _found(store, run, job_id)
    if job.concurrency is not None:
        group, cancel = fill(job.concurrency.group, context), truth(job.concurrency.cancel, context)
        _queue(store, f"{number}/{job_id}", group, cancel, say)
    environment = fill(job.environment, context)
    if environment:
        _enter(store, run, job_id, environment, say)
        store.set_entered(number, job_id, environment)
    store.set_waits(number, job_id, "")


def _found(store: Store, run: Run, job_id: str) -> tuple[Job, dict[str, Any]]:
    """A job of the run, or of a workflow that one of its jobs calls, and what its expressions may use.

    act names the jobs of a called workflow as that does; one that is called twice could be either.
    """
    git = Git(store.bare)
    workflow = read(run.path, git.show(run.sha, run.path) or "")
    outside = context_of(store, run)
    others = called(git, run.sha, workflow)
    matching = [(job, outside) for job in workflow.jobs.values() if job.id == job_id and not job.calls]
    for caller in workflow.jobs.values():
        other = others.get(caller.calls)
        if other is None or job_id not in other.jobs:
            continue
        given = {name: fill(value, outside) for name, value in caller.given.items()}
        matching.append((other.jobs[job_id], {**outside, "inputs": other.called_with(given)}))
    if not matching:
        raise Blocked(f"{run.path} at {run.sha[:8]} has no job {job_id}")
    if len(matching) > 1 and any(job.concurrency or job.environment for job, _ in matching):
        raise Blocked(
            f"{len(matching)} jobs of {run.path} are called {job_id}, and the local forge cannot tell which "
            f"of them this is, so it can neither queue it nor ask for an approval; run {workflow.stem} on "
            "GitHub"
        )
    return matching[0]


def context_of(store: Store, run: Run) -> dict[str, Any]:
    """What expressions outside of steps may use."""
    payload = store.payload(run.number)
    github = {
        "actor": run.actor,
        "event": payload,
        "event_name": run.event,
        "head_ref": payload.get("pull_request", {}).get("head", {}).get("ref", ""),
        "ref": run.ref,
        "ref_name": run.ref.removeprefix("refs/heads/"),
        "repository": payload["repository"]["full_name"],
        "run_id": str(run.number),
        "sha": run.sha,
        "workflow": run.workflow,
    }
    return {"github": github, "inputs": payload.get("inputs", {}), "vars": store.settings().vars}


def _queue(store: Store, member: str, group: str, cancel: bool, say: Callable[[str], None]) -> None:
    store.join(group, member, cancel)
    number, _, job = member.partition("/")
    told = False
    while (standing := store.standing(group, member)) == "waiting":
        if not told:
            say(f"waits for the group {group}")
            store.set_waits(int(number), job, f"the group {group}")
            told = True
        time.sleep(PAUSE)
    if standing == "out":
        raise Blocked(f"cancelled: a newer run waits in the group {group} instead")


def _enter(store: Store, run: Run, job: str, environment: str, say: Callable[[str], None]) -> None:
    settings = store.settings()
    main = settings.default_branch
    if run.ref != f"refs/heads/{main}" and not environment.endswith("-plan"):
        raise Blocked(f"environment {environment} takes jobs of {main} only, and this one is of {run.ref}")
    if environment not in settings.approvals:
        return
    told = False
    while not (by := store.approved(run.number, environment)):
        if not told:
            say(f"environment {environment} waits for an approval: mlops forge approve {run.number}")
            store.set_waits(run.number, job, f"{APPROVAL}{environment}")
            told = True
        time.sleep(PAUSE)
    say(f"environment {environment} is approved by {by}")
