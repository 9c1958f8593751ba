"""Azure Resource Manager, plain: one client for every kind of resource that is looked at or made by hand.

`mlops bootstrap` and `mlops doctor` touch a dozen kinds, each with one or two calls. One client with pinned
api-versions is less to keep than a package a kind; the tests hold every body to Azure's official types.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from mlops.errors import TargetError
from mlops.tracking.azure_errors import azure_sentences

HOST: Final = "https://management.azure.com"
SCOPE: Final = f"{HOST}/.default"

VERSIONS: Final[Mapping[str, str]] = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.ContainerRegistry": "2023-01-01-preview",
    "Microsoft.KeyVault": "2024-11-01",
    "Microsoft.MachineLearningServices": "2025-12-01",
    "Microsoft.ManagedIdentity": "2023-01-31",
    "Microsoft.OperationalInsights": "2023-09-01",
    "Microsoft.Resources": "2024-03-01",
    "Microsoft.Storage": "2024-01-01",
    "providers": "2021-04-01",
    "subscriptions": "2022-12-01",
}
"""By type or namespace: the versions that `infra/` uses too."""

_GROUPS: Final = "/resourcegroups/"
_SECONDS = 900.0
"""How long a resource may take to be made or deleted."""


def version_of(path: str) -> str:
    """The api-version for a path; raises `KeyError` for a namespace that nothing here uses."""
    if "/providers/" not in path:
        return VERSIONS["Microsoft.Resources" if _GROUPS in path.lower() else "subscriptions"]
    kind = path.rsplit("/providers/", 1)[1].split("/")
    for key in ("/".join(kind[:2]), kind[0]):
        if key in VERSIONS:
            return VERSIONS[key]
    raise KeyError(kind[0])


class Arm:
    """Methods raise `TargetError` with a sentence; `Forbidden` when this identity lacks the right."""

    def __init__(self, credential: Any, subscription: str, *, wait: float = 2.0) -> None:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import (
            BearerTokenCredentialPolicy,
            HeadersPolicy,
            RetryPolicy,
            UserAgentPolicy,
        )

        self.subscription = subscription
        self.home = f"/subscriptions/{subscription}"
        self._wait = wait
        self._credential = credential
        self._client: Any = PipelineClient(
            HOST,
            policies=[
                HeadersPolicy({"Accept": "application/json"}),
                UserAgentPolicy("mlops"),
                RetryPolicy(retry_total=4, retry_backoff_factor=0.4),
                BearerTokenCredentialPolicy(credential, SCOPE),
            ],
        )

    def of(self, subscription: str) -> Arm:
        """The same login in another subscription."""
        same = subscription == self.subscription
        return self if same else Arm(self._credential, subscription, wait=self._wait)

    def get(self, path: str, *, what: str = "", version: str = "", **query: str) -> Any:
        """The resource, or None when there is none."""
        answer = self._send("GET", path, what=what or f"look at {_name(path)}", version=version, query=query)
        return None if answer.status_code == 404 else _json(answer)

    def list(self, path: str, *, what: str = "", version: str = "", **query: str) -> list[dict[str, Any]]:
        """All pages of a collection; empty when its parent is not there."""
        items: list[dict[str, Any]] = []
        page = self.get(path, what=what or f"list {_name(path)}", version=version, **query)
        while page:
            items += page.get("value") or []
            following = page.get("nextLink")
            page = self._follow(following, what or f"list {_name(path)}") if following else None
        return items

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, what: str = "", version: str = ""
    ) -> Any:
        """The answer of an action; raises `TargetError` when there is no such thing."""
        what = what or f"ask for {_name(path)}"
        answer = self._send("POST", path, what=what, version=version, body=body or {})
        if answer.status_code == 404:
            raise TargetError(f"cannot {what}: {HOST}{path} does not exist")
        return _json(answer)

    def put(self, path: str, body: Mapping[str, Any], *, what: str = "") -> dict[str, Any]:
        """Make or replace a resource and wait until Azure has finished it."""
        what = what or f"make {_name(path)}"
        answer = self._send("PUT", path, what=what, body=body)
        if answer.status_code == 404:
            raise TargetError(f"cannot {what}: {_message(answer)}")
        resource = _json(answer) if answer.status_code != 202 else None
        until = time.monotonic() + _SECONDS
        while resource is None or _state(resource) not in ("", "Succeeded"):
            if resource is not None and _state(resource) in ("Failed", "Canceled"):
                raise TargetError(f"cannot {what}: Azure ended with {_state(resource)}; see the portal")
            if time.monotonic() > until:
                raise TargetError(
                    f"cannot {what}: not finished after {_SECONDS:.0f} s; run the command again"
                )
            time.sleep(self._wait)
            resource = self.get(path, what=what)
        return dict(resource)

    def delete(self, path: str, *, what: str = "") -> None:
        """Remove a resource, if it is there, and wait until it is gone."""
        what = what or f"remove {_name(path)}"
        answer = self._send("DELETE", path, what=what)
        until = time.monotonic() + _SECONDS
        while answer.status_code == 202 and self.get(path, what=what) is not None:
            if time.monotonic() > until:
                raise TargetError(
                    f"cannot {what}: not finished after {_SECONDS:.0f} s; run the command again"
                )
            time.sleep(self._wait)

    def _send(
        self,
        method: str,
        path: str,
        *,
        what: str,
        version: str = "",
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        from azure.core.rest import HttpRequest

        params = {"api-version": version or version_of(path), **(query or {})}
        request = HttpRequest(method, HOST + path, params=params, json=body)
        return self._answer(request, what)

    def _follow(self, link: str, what: str) -> Any:
        from azure.core.rest import HttpRequest

        return _json(self._answer(HttpRequest("GET", link), what))

    def _answer(self, request: Any, what: str) -> Any:
        with azure_sentences(what):
            answer = self._client.send_request(request)
            if answer.status_code != 404:
                answer.raise_for_status()
        return answer


def _json(answer: Any) -> Any:
    return answer.json() if answer.text() else None


def _message(answer: Any) -> str:
    try:
        return str(json.loads(answer.text())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "not found"


def _state(resource: Mapping[str, Any]) -> str:
    return str((resource.get("properties") or {}).get("provisioningState") or "")


def _name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]
