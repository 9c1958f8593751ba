"""Settings of an Azure DevOps project: service connections, environments and their checks.

REST API, version 7.1. Methods raise `TargetError`, `NotFound` and `Blocked` with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from mlops.errors import NotFound
from mlops.forge._rest import Rest

API: Final = "https://dev.azure.com"
VERSION: Final = "7.1"
_PREVIEW: Final = "7.1-preview.1"
_CHECKS_PREVIEW: Final = "7.1-preview.1"

APPROVAL: Final = {"id": "8c6f20a7-a545-4486-9777-f762fafe0d4d", "name": "Approval"}
LOCK: Final = {"id": "2ef31ad6-baa0-403a-8b45-2cbc9b4e5563", "name": "ExclusiveLock"}
"""Kinds of checks; the ids are the same in every organization."""


@dataclass(frozen=True)
class Connection:
    """A service connection to Azure; issuer and subject are what its tokens say, empty without federation."""

    id: str
    name: str
    description: str
    client: str
    issuer: str
    subject: str


class AzureDevOpsSettings:
    """Of one project."""

    def __init__(self, organization: str, project: str, authorization: str, api: str = "") -> None:
        self.organization, self.project = organization, project
        base = f"{(api or API).rstrip('/')}/{quote(organization)}"
        self._project_path = f"/{quote(project)}"
        headers = {"Accept": "application/json", "Authorization": authorization}
        self._rest = Rest(base, headers, "AZURE_DEVOPS_EXT_PAT, or the login to Azure,")

    def project_id(self) -> str:
        return str(self._call("GET", f"/_apis/projects/{quote(self.project)}")["id"])

    def me(self) -> str:
        """The id of who is logged in."""
        answer = self._call("GET", "/_apis/connectionData", version=_PREVIEW)
        return str(answer["authenticatedUser"]["id"])

    # --- service connections

    def connections(self) -> dict[str, Connection]:
        """Those to Azure, by name."""
        path = f"{self._project_path}/_apis/serviceendpoint/endpoints"
        answer = self._call("GET", path, params={"type": "azurerm"})
        return {row["name"]: _connection(row) for row in answer["value"]}

    def create_connection(self, body: Mapping[str, Any]) -> Connection:
        return _connection(self._call("POST", "/_apis/serviceendpoint/endpoints", body=body))

    def delete_connection(self, connection: str, project: str) -> None:
        self._delete(f"/_apis/serviceendpoint/endpoints/{connection}", params={"projectIds": project})

    # --- environments and checks

    def environment(self, name: str) -> dict[str, Any] | None:
        """The environment of this name; asked for alone, because a project may have any number."""
        path = f"{self._project_path}/_apis/distributedtask/environments"
        answer = self._call("GET", path, params={"name": name})
        return next((dict(row) for row in answer["value"] if row["name"] == name), None)

    def create_environment(self, name: str, description: str) -> dict[str, Any]:
        path = f"{self._project_path}/_apis/distributedtask/environments"
        return dict(self._call("POST", path, body={"name": name, "description": description}))

    def delete_environment(self, number: int) -> None:
        self._delete(f"{self._project_path}/_apis/distributedtask/environments/{number}")

    def checks(self, environment: int) -> list[dict[str, Any]]:
        """Approvals, locks and other checks of an environment, with their settings."""
        path = f"{self._project_path}/_apis/pipelines/checks/configurations"
        params = {"resourceType": "environment", "resourceId": str(environment), "$expand": "settings"}
        return list(self._call("GET", path, params=params, version=_CHECKS_PREVIEW)["value"])

    def create_check(self, environment: int, name: str, kind: Mapping[str, str], settings: Any) -> None:
        path = f"{self._project_path}/_apis/pipelines/checks/configurations"
        resource = {"type": "environment", "id": str(environment), "name": name}
        body = {"type": dict(kind), "settings": settings, "resource": resource, "timeout": 43200}
        self._call("POST", path, body=body, version=_CHECKS_PREVIEW)

    def policies(self) -> list[dict[str, Any]]:
        """Branch policies of the project."""
        return list(self._call("GET", f"{self._project_path}/_apis/policy/configurations")["value"])

    def create_policy(self, kind: str, settings: Mapping[str, Any]) -> None:
        """One that is on and stops a merge."""
        body = {"isEnabled": True, "isBlocking": True, "type": {"id": kind}, "settings": dict(settings)}
        self._call("POST", f"{self._project_path}/_apis/policy/configurations", body=body)

    def pipeline(self, name: str) -> int | None:
        """The number of the pipeline of this name; None when there is none."""
        answer = self._call("GET", f"{self._project_path}/_apis/build/definitions", params={"name": name})
        return next((int(row["id"]) for row in answer["value"] if row["name"] == name), None)

    def repository(self, name: str) -> dict[str, Any]:
        """A repository of the project; raises `NotFound`."""
        return dict(self._call("GET", f"{self._project_path}/_apis/git/repositories/{quote(name)}"))

    def _delete(self, path: str, params: Mapping[str, str] | None = None) -> None:
        try:
            self._call("DELETE", path, params=params)
        except NotFound:
            return

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        version: str = VERSION,
    ) -> Any:
        return self._rest.call(method, path, params={**(params or {}), "api-version": version}, body=body)


def _connection(row: Mapping[str, Any]) -> Connection:
    parameters = {k.lower(): v for k, v in ((row.get("authorization") or {}).get("parameters") or {}).items()}
    return Connection(
        id=str(row["id"]),
        name=str(row["name"]),
        description=str(row.get("description") or ""),
        client=str(parameters.get("serviceprincipalid") or ""),
        issuer=str(parameters.get("workloadidentityfederationissuer") or ""),
        subject=str(parameters.get("workloadidentityfederationsubject") or ""),
    )
