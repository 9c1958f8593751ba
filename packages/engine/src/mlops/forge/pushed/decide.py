"""Which workflows an event starts, and why the others do not: GitHub's rules, read from the files. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlops.forge.pushed import patterns
from mlops.forge.pushed.workflows import Workflow

_SKIP = re.compile(
    r"\[(skip ci|ci skip|no ci|skip actions|actions skip)\]|^skip-checks: *true *$", re.MULTILINE
)
_PULL_REQUEST_TYPES = ("opened", "synchronize", "reopened")
"""What `on: pull_request` without `types` means."""


@dataclass(frozen=True)
class Event:
    """Something that happened in the repository."""

    name: str
    """As in `on:`."""
    ref: str
    sha: str
    actor: str
    changed: tuple[str, ...] | None = None
    """Paths that differ; None when that cannot be known, and filters by path then let everything through."""
    message: str = ""
    """Of the commit at its head."""
    base: str = ""
    """The branch that a pull request goes to."""
    type: str = ""
    """Of a pull request: opened, synchronize. Of a repository_dispatch: its event type."""
    workflow: str = ""
    """The one that a person starts by hand."""
    pull: int | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    """`github.event`"""


@dataclass(frozen=True)
class Decision:
    workflow: Workflow
    run: bool
    why: str
    impossible: bool = False
    """It should run, and this machine lacks what it needs."""


def decide(found: Sequence[Workflow], event: Event, off: Mapping[str, str]) -> list[Decision]:
    """For each workflow that listens to the event. `off`: those that this forge does not run, and why."""
    decisions = []
    for workflow in found:
        if event.name not in workflow.on or (event.workflow and workflow.stem != event.workflow):
            continue
        run, why = _verdict(workflow.on[event.name], event)
        if run and workflow.stem in off and not event.workflow:
            run, why = False, f"switched off in this forge: {off[workflow.stem]}"
        decisions.append(Decision(workflow, run, why))
    return decisions


def _verdict(filters: Mapping[str, Any], event: Event) -> tuple[bool, str]:
    if event.name in ("push", "pull_request") and _SKIP.search(event.message):
        return False, "the commit's message says to skip it"
    if event.name == "push":
        return _push(filters, event)
    if event.name == "pull_request":
        return _pull_request(filters, event)
    if event.name == "repository_dispatch":
        types = _list(filters.get("types"))
        wanted = not types or event.type in types
        return wanted, f"event {event.type}" if wanted else f"it listens to {', '.join(types)}"
    return True, "started by hand"


def _push(filters: Mapping[str, Any], event: Event) -> tuple[bool, str]:
    kind, name = (
        ("tags", event.ref[10:]) if event.ref.startswith("refs/tags/") else ("branches", event.ref[11:])
    )
    other = "branches" if kind == "tags" else "tags"
    if not _named(filters, kind) and _named(filters, other):
        return False, f"it runs for {other} only"
    if not _allowed(filters, kind, name):
        return False, f"it does not run for {name}"
    return _paths(filters, event.changed) if kind == "branches" else (True, f"tag {name}")


def _pull_request(filters: Mapping[str, Any], event: Event) -> tuple[bool, str]:
    types = _list(filters.get("types")) or list(_PULL_REQUEST_TYPES)
    if event.type not in types:
        return False, f"it does not run when a pull request is {event.type}"
    if not _allowed(filters, "branches", event.base):
        return False, f"it does not run for pull requests to {event.base}"
    return _paths(filters, event.changed)


def _paths(filters: Mapping[str, Any], changed: tuple[str, ...] | None) -> tuple[bool, str]:
    if "paths" not in filters and "paths-ignore" not in filters:
        return True, "every change"
    if changed is None:
        return True, "what changed is not known"
    if "paths" in filters:
        hit = patterns.first(_list(filters["paths"]), changed)
    else:
        ignored = _list(filters["paths-ignore"])
        hit = next((path for path in changed if not patterns.accepts(ignored, path)), None)
    return (True, f"{hit} changed") if hit else (False, "nothing that it looks at changed")


def _allowed(filters: Mapping[str, Any], kind: str, name: str) -> bool:
    if kind in filters:
        return patterns.accepts(_list(filters[kind]), name)
    return not patterns.accepts(_list(filters.get(f"{kind}-ignore")), name)


def _named(filters: Mapping[str, Any], kind: str) -> bool:
    return kind in filters or f"{kind}-ignore" in filters


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
