"""Starts a workflow of the forge because of an event: GitHub's `repository_dispatch`, the same on the local
forge, or the incoming webhook of an Azure DevOps service connection.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.forge._rest import Rest
from mlops.forge.git import Git
from mlops.forge.github import API, headers_of
from mlops.spec.forges import Kind
from mlops.spec.settings import Settings

SECRET = "MLOPS_DISPATCH_SECRET"  # noqa: S105  the name of a variable
SIGNATURE = "X-Hub-Signature"
"""The HTTP header to name in the service connection; its value is `sha1=<hex>`, as Azure DevOps checks it."""
_LONGEST_TYPE, _MOST_FIELDS = 100, 10
"""What GitHub takes as event_type, and as fields of client_payload."""


class Dispatcher(Protocol):
    """Starts whatever workflow listens."""

    def start(self, event: Mapping[str, Any]) -> None:
        """With a CloudEvent as plain data; raises `TargetError`, `NotFound`, `Blocked`."""


def open_dispatcher(settings: Settings, root: Path) -> Dispatcher:
    """For the forge of `mlops.toml` in `root`; raises `InvalidInput` (settings), `NotFound` (a local forge
    that runs no workflows) and `TargetError` (no token, no `origin`).
    """
    return _OPEN[settings.forge.kind](settings, root)


def _local(settings: Settings, root: Path) -> Dispatcher:
    from mlops.forge.local import LocalForge

    return LocalDispatch(LocalForge.of(Git(root)).git.root)


def _github(settings: Settings, root: Path) -> Dispatcher:
    token = _variable("GITHUB_TOKEN")
    return GitHubDispatch(settings.forge.repository, token, os.environ.get("GITHUB_API_URL", ""))


def _azure_devops(settings: Settings, root: Path) -> Dispatcher:
    webhook = settings.events.dispatch_webhook
    if not webhook:
        raise InvalidInput(
            Problem("mlops.toml", "name the incoming webhook to call", "events.dispatch_webhook")
        )
    return AzureDevOpsDispatch(settings.forge.repository.partition("/")[0], webhook, _variable(SECRET))


_OPEN: Final[Mapping[Kind, Callable[[Settings, Path], Dispatcher]]] = {
    "local": _local,
    "github": _github,
    "azure-devops": _azure_devops,
}


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise TargetError(f"{name} is not set; a workflow cannot be started without it")
    return value


class LocalDispatch:
    """What GitHub does with a `repository_dispatch`, by the repository's own workflows on this machine."""

    def __init__(self, bare: Path) -> None:
        from mlops.forge.pushed.store import Store

        self._store = Store(bare)
        self._store.settings()

    def start(self, event: Mapping[str, Any]) -> None:
        from mlops.forge.pushed.trigger import by_event

        started = by_event(self._store, str(event["type"]), event, os.environ.get("USER") or "somebody")
        for decision in started.decisions:
            if decision.impossible:
                raise TargetError(f"{decision.workflow.stem} cannot run here: {decision.why}")


class GitHubDispatch:
    """`on: repository_dispatch: types: […]`; the event is `github.event.client_payload`."""

    def __init__(self, repository: str, token: str, api: str = "") -> None:
        self._path = f"/repos/{repository}/dispatches"
        self._rest = Rest(api or API, headers_of(token), "GITHUB_TOKEN")

    def start(self, event: Mapping[str, Any]) -> None:
        kind = str(event["type"])
        if len(kind) > _LONGEST_TYPE or len(event) > _MOST_FIELDS:
            raise InvalidInput(
                f"event {event['id']}: GitHub takes a type of at most {_LONGEST_TYPE} characters and "
                f"{_MOST_FIELDS} attributes"
            )
        self._rest.call("POST", self._path, body={"event_type": kind, "client_payload": dict(event)})


class AzureDevOpsDispatch:
    """`resources: webhooks:` of a pipeline; the address is public, so every call is signed."""

    def __init__(self, organization: str, webhook: str, secret: str, api: str = "") -> None:
        base = api or f"https://dev.azure.com/{quote(organization)}"
        self._path = f"/_apis/public/distributedtask/webhooks/{quote(webhook)}"
        self._secret = secret.encode()
        self._rest = Rest(base, {"Accept": "application/json"}, SECRET)

    def start(self, event: Mapping[str, Any]) -> None:
        content = json.dumps(event, ensure_ascii=False).encode()
        # SHA-1 is what Azure DevOps checks; as an HMAC it is not broken.
        signature = hmac.new(self._secret, content, hashlib.sha1).hexdigest()
        self._rest.call(
            "POST",
            self._path,
            params={"api-version": "6.0-preview"},
            content=content,
            headers={SIGNATURE: f"sha1={signature}", "Content-Type": "application/json"},
        )
