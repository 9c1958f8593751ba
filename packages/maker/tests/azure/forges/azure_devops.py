"""Azure DevOps' settings of one project (learn.microsoft.com/rest/api/azure/devops, version 7.1)."""

from __future__ import annotations

import uuid
from typing import Any

from .server import Asked, Forge, No, strict

ORGANIZATION, PROJECT, REPOSITORY = "contoso", "flights project", "flights"
PROJECT_ID = "c7e5f0b3-71fa-4429-9fb3-3321963a7c06"
ME = "54d125f7-69f7-4191-904f-c5b96b6261c8"
REPOSITORY_ID = "5febef5a-833d-4e14-b9c0-14cb638f91e6"
_ORGANIZATION_ID = "0d55247a-bae7-434d-9fd6-c2a98fcb3b05"
_TEXT = {"type": "string", "minLength": 1}
_CONNECTION = strict(
    ["name", "type", "url", "authorization", "data", "serviceEndpointProjectReferences"],
    name=_TEXT,
    type={"const": "azurerm"},
    url={"const": "https://management.azure.com/"},
    description={"type": "string"},
    authorization=strict(
        ["scheme", "parameters"],
        scheme={"const": "WorkloadIdentityFederation"},
        parameters=strict(["tenantid", "serviceprincipalid"], tenantid=_TEXT, serviceprincipalid=_TEXT),
    ),
    data=strict(
        ["subscriptionId", "subscriptionName", "environment", "scopeLevel", "creationMode"],
        subscriptionId=_TEXT,
        subscriptionName=_TEXT,
        environment={"const": "AzureCloud"},
        scopeLevel={"const": "Subscription"},
        creationMode={"const": "Manual"},
    ),
    isShared={"type": "boolean"},
    isReady={"type": "boolean"},
    serviceEndpointProjectReferences={
        "type": "array",
        "minItems": 1,
        "items": strict(
            ["projectReference", "name"],
            projectReference=strict(["id"], id={"const": PROJECT_ID}, name=_TEXT),
            name=_TEXT,
            description={"type": "string"},
        ),
    },
)
_SCOPE = strict(
    ["repositoryId", "refName", "matchKind"],
    repositoryId=_TEXT,
    refName={"type": "string", "pattern": "^refs/heads/"},
    matchKind={"enum": ["Exact", "Prefix"]},
)
_ON = {"type": "boolean"}
_POLICY = strict(
    ["isEnabled", "isBlocking", "type", "settings"],
    isEnabled={"const": True},
    isBlocking={"const": True},
    type=strict(["id"], id=_TEXT),
    settings={
        "oneOf": [
            strict(
                ["minimumApproverCount", "creatorVoteCounts", "scope"],
                minimumApproverCount={"type": "integer", "minimum": 1},
                creatorVoteCounts=_ON,
                allowDownvotes=_ON,
                resetOnSourcePush=_ON,
                scope={"type": "array", "minItems": 1, "items": _SCOPE},
            ),
            strict(
                ["buildDefinitionId", "queueOnSourceUpdateOnly", "manualQueueOnly", "validDuration", "scope"],
                buildDefinitionId={"type": "integer"},
                displayName=_TEXT,
                queueOnSourceUpdateOnly=_ON,
                manualQueueOnly=_ON,
                validDuration={"type": "number"},
                scope={"type": "array", "minItems": 1, "items": _SCOPE},
            ),
        ]
    },
)
_CHECK = strict(
    ["type", "settings", "resource"],
    type=strict(["id"], id=_TEXT, name=_TEXT),
    settings={"type": "object"},
    resource=strict(["type", "id"], type={"const": "environment"}, id=_TEXT, name=_TEXT),
    timeout={"type": "integer"},
)


class FakeAzureDevOps(Forge):
    """`connections`, `environments` and `checks` are what was made."""

    def __init__(self) -> None:
        super().__init__()
        self.connections: dict[str, dict[str, Any]] = {}
        self.environments: dict[int, dict[str, Any]] = {}
        self.checks: dict[int, list[dict[str, Any]]] = {}
        self.policies: list[dict[str, Any]] = []
        self.pipelines = {"ci": 7}
        home, project = f"/{ORGANIZATION}", f"/{ORGANIZATION}/{PROJECT}"
        self.route(
            "GET", rf"{home}/_apis/projects/{PROJECT}", lambda _: (200, {"id": PROJECT_ID, "name": PROJECT})
        )
        self.route("GET", rf"{home}/_apis/connectionData", lambda _: (200, {"authenticatedUser": {"id": ME}}))
        endpoints = "_apis/serviceendpoint/endpoints"
        self.route("GET", rf"{project}/{endpoints}", lambda _: _rows(self.connections.values()))
        self.route("POST", rf"{home}/{endpoints}", self._connect, _CONNECTION)
        self.route("DELETE", rf"{home}/{endpoints}/(?P<id>[^/]+)", self._disconnect)
        environments = rf"{project}/_apis/distributedtask/environments"
        named = strict(["name"], name=_TEXT, description={"type": "string"})
        self.route("GET", environments, self._named)
        self.route("POST", environments, self._environment, named)
        self.route("DELETE", rf"{environments}/(?P<number>\d+)", self._remove)
        configurations = rf"{project}/_apis/pipelines/checks/configurations"
        self.route("GET", configurations, lambda a: _rows(self.checks.get(int(a.query["resourceId"]), [])))
        self.route("POST", configurations, self._check, _CHECK)
        self.route("GET", rf"{project}/_apis/policy/configurations", lambda _: _rows(self.policies))
        self.route("POST", rf"{project}/_apis/policy/configurations", self._policy, _POLICY)
        self.route("GET", rf"{project}/_apis/build/definitions", self._pipelines)
        self.route("GET", rf"{project}/_apis/git/repositories/(?P<name>[^/]+)", self._repository)

    def admit(self, asked: Asked) -> None:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme not in ("Bearer", "Basic") or not token:
            raise No(203, "Sign in to your account")
        if not asked.query.get("api-version", "").startswith("7.1"):
            self.wrong.append(f"{asked.path}: no api version")

    def _repository(self, asked: Asked) -> tuple[int, Any]:
        name = asked.path.rpartition("/")[2]
        return 200, {"id": REPOSITORY_ID, "name": name, "defaultBranch": "refs/heads/main"}

    def _policy(self, asked: Asked) -> tuple[int, Any]:
        made = {"id": len(self.policies) + 1, **asked.body}
        self.policies.append(made)
        return 200, made

    def _pipelines(self, asked: Asked) -> tuple[int, Any]:
        """All that begin with the name that is asked for."""
        found = {n: i for n, i in self.pipelines.items() if n.startswith(asked.query["name"])}
        return _rows([{"id": number, "name": name} for name, number in found.items()])

    def policy(self, kind: str, scope: dict[str, Any], **settings: Any) -> dict[str, Any]:
        """A branch policy that is on and stops a merge; it is kept."""
        made = {
            "id": len(self.policies) + 1,
            "isEnabled": True,
            "isBlocking": True,
            "type": {"id": kind},
            "settings": {**settings, "scope": [scope]},
        }
        self.policies.append(made)
        return made

    def _named(self, asked: Asked) -> tuple[int, Any]:
        """At most a page, as the service; all that begin with the name that is asked for."""
        name = asked.query.get("name", "")
        found = [row for row in self.environments.values() if row["name"].startswith(name)]
        return _rows(found[:1000])

    def _connect(self, asked: Asked) -> tuple[int, Any]:
        name = asked.body["name"]
        if name in self.connections:
            raise No(409, f"Service connection with name {name} already exists")
        identity = str(uuid.uuid4())
        tenant = asked.body["authorization"]["parameters"]["tenantid"]
        row = {**asked.body, "id": identity}
        row["authorization"] = {
            "scheme": "WorkloadIdentityFederation",
            "parameters": {
                **asked.body["authorization"]["parameters"],
                "workloadIdentityFederationIssuer": f"https://login.microsoftonline.com/{tenant}/v2.0",
                "workloadIdentityFederationSubject": f"/eid1/c/pub/t/A/a/x/sc/{_ORGANIZATION_ID}/{identity}",
            },
        }
        self.connections[name] = row
        return 200, row

    def _disconnect(self, asked: Asked) -> tuple[int, Any]:
        assert asked.query["projectIds"] == PROJECT_ID
        for name, row in list(self.connections.items()):
            if row["id"] == asked.groups["id"]:
                del self.connections[name]
                return 204, None
        raise No(404, "not found")

    def _environment(self, asked: Asked) -> tuple[int, Any]:
        if any(row["name"] == asked.body["name"] for row in self.environments.values()):
            raise No(409, "already exists")
        number = max(self.environments, default=0) + 1
        self.environments[number] = {"id": number, **asked.body}
        return 200, self.environments[number]

    def _remove(self, asked: Asked) -> tuple[int, Any]:
        if self.environments.pop(int(asked.groups["number"]), None) is None:
            raise No(404, "not found")
        self.checks.pop(int(asked.groups["number"]), None)
        return 204, None

    def _check(self, asked: Asked) -> tuple[int, Any]:
        number = int(asked.body["resource"]["id"])
        if number not in self.environments:
            raise No(404, "not found")
        rows = self.checks.setdefault(number, [])
        rows.append({"id": len(rows) + 1, **asked.body})
        return 200, rows[-1]


def _rows(rows: Any) -> tuple[int, Any]:
    found = list(rows)
    return 200, {"count": len(found), "value": found}
