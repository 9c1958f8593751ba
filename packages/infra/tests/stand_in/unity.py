"""A stand-in for the databricks plugin: what Unity Catalog and the account refuse, next to the pretended
subscription.

It keeps what exists in `<STAND_IN_STATE>.databricks` and reads the subscription in `STAND_IN_STATE`: a
workspace must exist, and its connector must have the right to the storage account behind a location.

Sources: docs.databricks.com, "Unity Catalog privileges and securable objects", "Manage storage credentials",
"Connect to cloud object storage", "Configure a federation policy"."""

# ruff: noqa: N802  the methods have the protocol's names

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from mlops.infra.plan.mocks import guid
from mlops.infra.roles import BUILT_IN
from stand_in.provider import Cloud, Provider, leaves, plain, struct, unknown

VERSION = "1.118.0"
STATE = ".databricks"
_DATA: Final = BUILT_IN["Storage Blob Data Contributor"]
_ACCOUNT: Final = ("MetastoreAssignment", "ServicePrincipalFederationPolicy")
"""Kinds that the account makes, not a workspace."""
_FIXED: Final[Mapping[str, frozenset[str]]] = {
    "Catalog": frozenset({"storageRoot"}),
    "Schema": frozenset({"name", "catalogName", "storageRoot"}),
    "Volume": frozenset({"name", "catalogName", "schemaName", "volumeType"}),
    "Grant": frozenset({"catalog", "schema", "principal"}),
    "ServicePrincipal": frozenset({"applicationId"}),
    "ServicePrincipalFederationPolicy": frozenset({"servicePrincipalId", "policyId"}),
    "MetastoreAssignment": frozenset({"workspaceId"}),
}
_OF_CATALOG: Final = frozenset({"USE_CATALOG", "BROWSE", "CREATE_SCHEMA"})
_OF_SCHEMA: Final = frozenset(
    {
        "USE_SCHEMA", "CREATE_MODEL", "CREATE_MODEL_VERSION", "CREATE_TABLE", "CREATE_VOLUME", "APPLY_TAG",
        "EXECUTE", "SELECT", "MODIFY", "READ_VOLUME", "WRITE_VOLUME",
    }
)  # fmt: skip
"""What can be granted on a schema; on a catalog too."""

Things = Mapping[str, dict[str, Any]]


def _of(things: Things, kind: str) -> list[dict[str, Any]]:
    return [t["inputs"] for t in things.values() if t["kind"] == kind]


def _named(things: Things, kind: str, name: Any) -> bool:
    return any(t.get("name") == name for t in _of(things, kind))


def _credential(inputs: dict[str, Any], things: Things, azure: Things) -> Iterator[str]:
    connector = inputs["azureManagedIdentity"]["accessConnectorId"].lower()
    if connector not in azure:
        yield f"access connector {connector} does not exist"


def _location(inputs: dict[str, Any], things: Things, azure: Things) -> Iterator[str]:
    credential = next(
        (c for c in _of(things, "StorageCredential") if c["name"] == inputs["credentialName"]), None
    )
    match = re.fullmatch(r"abfss://[^@/]+@([a-z0-9]+)\.dfs\.core\.windows\.net/.*", inputs["url"])
    if credential is None or match is None:
        yield f"storage credential {inputs['credentialName']} or {inputs['url']} does not exist"
        return
    account = next((a for a in azure.values() if a["id"].endswith(f"/storageAccounts/{match[1]}")), None)
    if account is None or account["outputs"].get("isHnsEnabled") is not True:
        yield f"{inputs['url']}: hierarchical namespace is not enabled on the storage account"
        return
    connector = azure[credential["azureManagedIdentity"]["accessConnectorId"].lower()]
    holder = connector["outputs"]["identity"]["principalId"]
    if not any(
        a["outputs"]["principalId"] == holder
        and a["outputs"]["roleDefinitionId"].endswith(_DATA)
        and account["id"].startswith(a["outputs"]["scope"])
        for a in azure.values()
        if a["kind"] == "authorization:RoleAssignment"
    ):
        yield f"PERMISSION_DENIED: the managed identity may not read {inputs['url']}"


def _catalog(inputs: dict[str, Any], things: Things, azure: Things) -> Iterator[str]:
    if not any(inputs["storageRoot"].startswith(u["url"]) for u in _of(things, "ExternalLocation")):
        yield f"no external location covers {inputs['storageRoot']}"


def _schema(inputs: dict[str, Any], things: Things, azure: Things) -> Iterator[str]:
    if not _named(things, "Catalog", inputs["catalogName"]):
        yield f"catalog {inputs['catalogName']} does not exist"


def _has_schema(things: Things, full: str) -> bool:
    catalog, _, name = full.partition(".")
    return any(s["catalogName"] == catalog and s["name"] == name for s in _of(things, "Schema"))


def _volume(inputs: dict[str, Any], things: Things, azure: Things) -> Iterator[str]:
    if not _has_schema(things, f"{inputs['catalogName']}.{inputs['schemaName']}"):
        yield f"schema {inputs['schemaName']} does not exist"


def _grant(inputs: dict[str, Any], things: Things, azure: Things) -> Iterator[str]:
    if not any(p["applicationId"] == inputs["principal"] for p in _of(things, "ServicePrincipal")):
        yield f"principal {inputs['principal']} does not exist in the workspace"
    on_schema = "schema" in inputs
    there = (
        _has_schema(things, inputs["schema"])
        if on_schema
        else _named(things, "Catalog", inputs.get("catalog"))
    )
    if not there:
        yield "what is granted on does not exist"
    allowed = _OF_SCHEMA if on_schema else _OF_SCHEMA | _OF_CATALOG
    if wrong := sorted({*inputs["privileges"]} - allowed):
        yield f"privilege {wrong[0]} is not applicable here"


def _permissions(inputs: dict[str, Any], things: Things, azure: Things) -> Iterator[str]:
    if inputs["sqlEndpointId"] not in things:
        yield "the warehouse does not exist"
    known = {p["applicationId"] for p in _of(things, "ServicePrincipal")}
    for control in inputs["accessControls"]:
        if control["servicePrincipalName"] not in known:
            yield f"principal {control['servicePrincipalName']} does not exist in the workspace"


def _federation(inputs: dict[str, Any], things: Things, azure: Things) -> Iterator[str]:
    if str(inputs["servicePrincipalId"]) not in things:
        yield "the service principal does not exist in the account"


def _nothing(inputs: dict[str, Any], things: Things, azure: Things) -> Iterator[str]:
    yield from ()


KINDS: Final[Mapping[str, Callable[[dict[str, Any], Things, Things], Iterator[str]]]] = {
    "Catalog": _catalog,
    "ExternalLocation": _location,
    "Grant": _grant,
    "MetastoreAssignment": _nothing,
    "Permissions": _permissions,
    "Schema": _schema,
    "ServicePrincipal": _nothing,
    "ServicePrincipalFederationPolicy": _federation,
    "SqlEndpoint": _nothing,
    "StorageCredential": _credential,
    "Volume": _volume,
}
"""What each kind needs, as sentences of what is missing."""


def holds(kind: str, inputs: dict[str, Any], things: Things) -> str:
    """What is still in something that is to be deleted."""
    name = inputs.get("name")
    if kind == "Catalog" and not inputs.get("forceDestroy"):
        return next((f"schema {s['name']}" for s in _of(things, "Schema") if s["catalogName"] == name), "")
    if kind == "Schema" and not inputs.get("forceDestroy"):
        inside = (v for v in _of(things, "Volume") if v["catalogName"] == inputs["catalogName"])
        return next((f"volume {v['name']}" for v in inside if v["schemaName"] == name), "")
    if kind == "ExternalLocation":
        rooted = (c for c in _of(things, "Catalog") if c["storageRoot"].startswith(inputs["url"]))
        return next((f"catalog {c['name']}" for c in rooted), "")
    if kind == "StorageCredential":
        using = (u for u in _of(things, "ExternalLocation") if u["credentialName"] == name)
        return next((f"location {u['name']}" for u in using), "")
    return ""


class Databricks(Provider):
    """One workspace, or the account: each provider of the program has a process of its own."""

    def __init__(self, state: Path) -> None:
        self._state = state
        super().__init__(Cloud(Path(f"{state}{STATE}")))
        self.config: dict[str, Any] = {}

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "databricks", "version": VERSION}))

    def Configure(self, request: Any, context: Any) -> Any:
        self.config = plain(request.args)
        return super().Configure(request, context)

    def Check(self, request: Any, context: Any) -> Any:
        kind = _kind(request.urn)
        failures = []
        if kind not in KINDS:
            failures.append(provider_pb2.CheckFailure(property="", reason=f"the stand-in knows no {kind}"))
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        old, new = plain(request.old_inputs) or plain(request.olds), plain(request.news)
        changed = list(leaves(old, new))
        fixed = _FIXED.get(_kind(request.urn), frozenset())
        replaces = sorted(p for p in changed if p.split(".")[0] in fixed)
        some = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=changed, replaces=replaces)

    def Create(self, request: Any, context: Any) -> Any:
        kind, inputs = _kind(request.urn), plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=struct(inputs))
        if unknown(inputs):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{kind}: an input is not known")
        with self._alone_here():
            things = self._things()
            azure = self._azure()
            self._log_in(kind, azure, context)
            for said in KINDS[kind](inputs, things, azure):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{kind}: {said}")
            made = str(int(guid(request.urn).replace("-", "")[:12], 16))
            self.cloud.resources[made] = {"id": made, "kind": kind, "inputs": inputs}
            self.cloud.save(f"create {kind} {made}")
        return provider_pb2.CreateResponse(id=made, properties=struct(inputs))

    def Read(self, request: Any, context: Any) -> Any:
        there = self._things().get(request.id)
        if there is None:
            return provider_pb2.ReadResponse()
        found = struct(there["inputs"])
        return provider_pb2.ReadResponse(id=request.id, properties=found, inputs=found)

    def Update(self, request: Any, context: Any) -> Any:
        kind, inputs = _kind(request.urn), plain(request.news)
        if not request.preview:
            with self._alone_here():
                things = self._things()
                for said in KINDS[kind](inputs, things, self._azure()):
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{kind}: {said}")
                self.cloud.resources[request.id] = {"id": request.id, "kind": kind, "inputs": inputs}
                self.cloud.save(f"update {kind} {request.id}")
        return provider_pb2.UpdateResponse(properties=struct(inputs))

    def Delete(self, request: Any, context: Any) -> Any:
        with self._alone_here():
            there = self._things().get(request.id)
            if there and (inside := holds(there["kind"], there["inputs"], self.cloud.resources)):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{there['kind']} still holds {inside}")
            self.cloud.resources.pop(request.id, None)
            self.cloud.save(f"delete {_kind(request.urn)} {request.id}")
        return empty_pb2.Empty()

    @contextlib.contextmanager
    def _alone_here(self) -> Iterator[None]:
        """The workspace's provider and the account's write one file."""
        with Path(f"{self._state}{STATE}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _things(self) -> dict[str, Any]:
        """What exists, as the other provider's process has left it too."""
        self.cloud = Cloud(Path(f"{self._state}{STATE}"))
        return self.cloud.resources

    def _azure(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._state.read_text())["resources"]
        return found

    def _log_in(self, kind: str, azure: Things, context: Any) -> None:
        if kind in _ACCOUNT:
            if not self.config.get("accountId"):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, f"{kind} is made in the account")
            return
        host = str(self.config.get("host", "")).removeprefix("https://")
        if not any(
            a["kind"] == "databricks:Workspace" and a["outputs"]["workspaceUrl"] == host
            for a in azure.values()
        ):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"no workspace answers at {host!r}")


def _kind(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", maxsplit=1)[-1].rpartition(":")[2]


def main() -> None:
    """Serve on a free port of this machine and print it, as the engine expects of a plugin."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    state = Path(os.environ["STAND_IN_STATE"])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Databricks(state), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
