"""Which pipelines an event starts: branches, paths, pull requests, schedules and webhooks."""

from __future__ import annotations

import re
from collections.abc import Collection
from collections.abc import Mapping as Map
from pathlib import Path
from typing import Any

from azure_pipelines import source
from azure_pipelines.pipeline import raw, webhooks
from azure_pipelines.source import Mapping, Node, Text, known, refuse

_FILTER = ("include", "exclude")


def by_push(root: Path, file: str, branch: str, changed: Collection[str]) -> bool:
    """Whether a push to `branch` that changes these files starts the pipeline."""
    return _starts(raw(root, file)["trigger"], branch, changed, ("branches",), ("paths", "batch"))


def by_pull_request(root: Path, file: str, onto: str, changed: Collection[str]) -> bool:
    """Whether a pull request onto `onto` starts the pipeline; GitHub repositories only."""
    return _starts(raw(root, file)["pr"], onto, changed, ("branches",), ("paths", "autoCancel"))


def by_schedule(root: Path, file: str) -> list[str]:
    """The times (cron, UTC) at which the pipeline starts on main, changed or not."""
    found = []
    for entry in source.items(raw(root, file).get("schedules", source.Items(source.Place(file, 1)))):
        one = known(source.mapping(entry), "a schedule", ("cron", "always", "branches"), ("displayName",))
        if not source.boolean(one["always"]):
            refuse(one, "without `always` it starts only when something has changed since the last time")
        if _matches(one["branches"], "main"):
            found.append(str(one["cron"]))
    return found


def by_event(root: Path, file: str, event: Map[str, Any]) -> bool:
    """Whether a webhook of the pipeline takes this event: all its filters agree."""
    return any(
        all(_at(event, path) == value for path, value in wanted.items())
        for wanted in webhooks(raw(root, file)).values()
    )


def _at(event: Any, path: str) -> Any:
    for part in path.split("."):
        event = event.get(part) if isinstance(event, Map) else None
    return event


def _starts(
    node: Node, branch: str, changed: Collection[str], required: tuple[str, ...], optional: tuple[str, ...]
) -> bool:
    if isinstance(node, Text):
        if node != "none":
            refuse(node, f"must be `none` or a mapping; got {str(node)!r}")
        return False
    found = known(source.mapping(node), "a trigger", required, optional)
    if not _matches(found["branches"], branch):
        return False
    return "paths" not in found or any(_matches(found["paths"], file) for file in changed)


def _matches(node: Node, name: str) -> bool:
    lists = known(source.mapping(node), "a filter", ("include",), ("exclude",))
    included, excluded = (_any(lists, key, name) for key in _FILTER)
    return included and not excluded


def _any(lists: Mapping, key: str, name: str) -> bool:
    patterns = source.texts(lists[key]) if key in lists else []
    return any(re.fullmatch(_pattern(pattern), name) for pattern in patterns)


def _pattern(text: str) -> str:
    """`**` is anything, `*` and `?` stay within a folder; a folder's name stands for all below it."""
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*|\*|\?)", text)
    pattern = "".join(signs.get(part, re.escape(part)) for part in parts)
    return pattern if len(parts) > 1 else f"{pattern}(/.*)?"
