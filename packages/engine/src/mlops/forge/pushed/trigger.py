"""From something that happened to runs: a push, a pull request, a start by hand or by an event."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlops.errors import InvalidInput, MlopsError, NotFound, TargetError
from mlops.forge.base import PullRequest
from mlops.forge.git import Git
from mlops.forge.pushed.act import repository, without_stand_in
from mlops.forge.pushed.admit import context_of
from mlops.forge.pushed.decide import Decision, Event, decide
from mlops.forge.pushed.expressions import fill, truth
from mlops.forge.pushed.store import Run, Store
from mlops.forge.pushed.workflows import Workflow, remote_actions, workflows

NOTHING = "0" * 40
"""How git writes "no commit"."""
DEEPEST = 5
"""Runs that one push may start through one another; GitHub knows no such limit, a laptop needs it."""


@dataclass(frozen=True)
class Started:
    """What became of an event."""

    decisions: tuple[Decision, ...]
    runs: tuple[Run, ...]


def push(store: Store, ref: str, before: str, after: str, actor: str) -> Started:
    """A branch or tag moved. Raises `InvalidInput` when a workflow file at its new commit is not valid."""
    git = Git(store.bare)
    if after == NOTHING:
        return Started((), ())
    payload = {
        "ref": ref,
        "before": before,
        "after": after,
        "created": before == NOTHING,
        "deleted": False,
        "pusher": {"name": actor},
        "head_commit": {"id": after, "message": _message(git, after)},
    }
    changed = _changed(git, before, after, store.settings().default_branch)
    return start(store, Event("push", ref, after, actor, changed, _message(git, after), payload=payload))


def pull_request(store: Store, request: PullRequest, kind: str, actor: str) -> Started:
    """One was opened, or its branch moved (`synchronize`): what runs is the merge of both, as on GitHub."""
    git = Git(store.bare)
    base = git.head(f"refs/heads/{request.base}")
    try:
        merged = git.merge(base, request.head, f"Merge {request.head} into {base}")
    except MlopsError:
        return Started((), ())  # GitHub starts nothing for a pull request that conflicts
    git.run("update-ref", f"refs/pull/{request.number}/merge", merged)
    origin = {"full_name": repository(store.bare), "fork": False}
    payload = {
        "action": kind,
        "number": request.number,
        "pull_request": {
            "number": request.number,
            "title": request.title,
            "head": {"ref": request.branch, "sha": request.head, "repo": origin},
            "base": {"ref": request.base, "sha": base, "repo": origin},
        },
    }
    changed = tuple(git.run("diff", "--name-only", "-z", f"{base}...{request.head}").split("\0"))
    return start(
        store,
        Event(
            "pull_request",
            f"refs/pull/{request.number}/merge",
            merged,
            actor,
            tuple(filter(None, changed)),
            _message(git, request.head),
            base=request.base,
            type=kind,
            pull=request.number,
            payload=payload,
        ),
    )


def by_hand(store: Store, workflow: str, inputs: Mapping[str, str], actor: str) -> Started:
    """`workflow_dispatch` on the default branch; raises `InvalidInput`, `NotFound`."""
    sha, ref = _main(store)
    known_workflows = {w.stem: w for w in workflows(Git(store.bare), sha)}
    if workflow not in known_workflows or "workflow_dispatch" not in known_workflows[workflow].on:
        known = ", ".join(stem for stem, w in known_workflows.items() if "workflow_dispatch" in w.on)
        raise NotFound(f"no workflow {workflow!r} can be started by hand; these can: {known or 'none'}")
    payload = {"ref": ref, "inputs": known_workflows[workflow].inputs(inputs), "after": sha, "deleted": False}
    started = start(store, Event("workflow_dispatch", ref, sha, actor, workflow=workflow, payload=payload))
    for decision in started.decisions:
        if not decision.run:
            raise TargetError(f"{workflow} cannot run here: {decision.why}")
    return started


def by_event(store: Store, kind: str, payload: Mapping[str, Any], actor: str) -> Started:
    """`repository_dispatch` on the default branch."""
    sha, ref = _main(store)
    event = {"action": kind, "client_payload": dict(payload), "after": sha, "deleted": False}
    return start(store, Event("repository_dispatch", ref, sha, actor, type=kind, payload=event))


def start(store: Store, event: Event) -> Started:
    """Decide, and start a worker for each run."""
    parent = os.environ.get("MLOPS_FORGE_RUN")
    settings = store.settings()
    git = Git(store.bare)
    decisions = [_possible(git, event.sha, d) for d in decide(workflows(git, event.sha), event, settings.off)]
    wanted = [d for d in decisions if d.run]
    if wanted and parent:
        _limit(store, int(parent))
    return Started(tuple(decisions), tuple(_run(store, d, event, parent) for d in wanted))


def _possible(git: Git, commit: str, decision: Decision) -> Decision:
    if not decision.run:
        return decision
    missing = without_stand_in(remote_actions(git, commit, decision.workflow))
    why = f"it needs {', '.join(missing)}, for which this machine has no stand-in"
    return replace(decision, run=False, why=why, impossible=True) if missing else decision


def _run(store: Store, decision: Decision, event: Event, parent: str | None) -> Run:
    name, full = store.bare.name.removesuffix(".git"), repository(store.bare)
    origin = {"name": name, "full_name": full, "owner": {"login": "local"}}
    payload = {
        **event.payload,
        "repository": {**origin, "default_branch": store.settings().default_branch},
        "sender": {"login": event.actor},
    }
    workflow = decision.workflow

    def make(number: int) -> Run:
        return Run(
            number=number,
            workflow=workflow.stem,
            path=workflow.path,
            event=event.name,
            why=decision.why,
            ref=event.ref,
            sha=event.sha,
            actor=event.actor,
            created=time.time(),
            parent=int(parent) if parent else None,
            pull=event.pull,
        )

    with store.create(make, payload) as (run, descriptor):
        # Before its worker lives, so that two pushes in a row queue in their order.
        _enter(store, workflow, run)
        log = store.run_folder(run.number) / "worker.log"
        with log.open("w") as stream:
            subprocess.Popen(
                [sys.executable, "-m", "mlops.forge.pushed.worker", str(store.bare), str(run.number)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={k: v for k, v in os.environ.items() if not k.startswith("GIT_") and k != "PYTHONPATH"},
                pass_fds=(descriptor,),
                start_new_session=True,
            )
    return run


def _enter(store: Store, workflow: Workflow, run: Run) -> None:
    if workflow.concurrency is None:
        return
    context = context_of(store, run)
    group = fill(workflow.concurrency.group, context)
    store.join(group, str(run.number), truth(workflow.concurrency.cancel, context))


def _limit(store: Store, parent: int) -> None:
    depth, number = 1, store.get(parent).parent
    while number is not None:
        depth, number = depth + 1, store.get(number).parent
    if depth >= DEEPEST:
        raise InvalidInput(
            f"run {parent} is the {depth}th in a row that was started by a run; the local forge stops here, "
            "because workflows that start one another may never end"
        )


def _main(store: Store) -> tuple[str, str]:
    ref = f"refs/heads/{store.settings().default_branch}"
    return Git(store.bare).head(ref), ref


def _changed(git: Git, before: str, after: str, default: str) -> tuple[str, ...] | None:
    """Paths between two commits; for a new branch since it left the default branch."""
    if before == NOTHING or not git.has(before):
        if not git.ok("merge-base", f"refs/heads/{default}", after):
            return None
        before = git.run("merge-base", f"refs/heads/{default}", after)
        if before == after:
            return None
    return tuple(filter(None, git.run("diff", "--name-only", "-z", before, after).split("\0")))


def _message(git: Git, commit: str) -> str:
    return git.run("log", "-1", "--format=%B", commit)
