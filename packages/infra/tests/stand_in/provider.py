"""A stand-in for the azure-native plugin: the ResourceProvider protocol in front of a pretend
subscription.

It keeps what exists in one JSON file and refuses what Azure would refuse: a name that is taken (409), a
soft-deleted name, a missing parent, an unknown type, a change in place of what cannot change, a value that a
rule of `rules` forbids today, an operation beside another one on the same thing, and a call that the caller
has no right to at that moment (`rights`). What one resource changes in another is read back from there.

Environment: `STAND_IN_STATE` is the JSON file, `STAND_IN_CALLER` the object id of who calls (empty: a
person who owns the subscription), `STAND_IN_DELAY` how often what uses a grant finds that it does not
count yet, `STAND_IN_TODAY` the day, `STAND_IN_QUOTA` cores by VM family as JSON, and with `STAND_IN_BREAKS`
every resource fails the first time: one half before it is there, the other after."""

# ruff: noqa: N802  the methods have the protocol's names

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from concurrent import futures
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from mlops.infra.arm_types import ARM_TYPES
from mlops.infra.plan.mocks import SUBSCRIPTION, TENANT, PretendAzure, guid
from stand_in import rights
from stand_in.read_back import read_back, refreshed
from stand_in.rules import in_use, kept, not_yet, occupied, over_quota, refusals
from stand_in.values import twin

VERSION = "3.29.0"
CALLER = os.environ.get("STAND_IN_CALLER") or rights.PERSON
QUOTA: dict[str, int] = json.loads(os.environ.get("STAND_IN_QUOTA") or "{}")
BREAKS = bool(os.environ.get("STAND_IN_BREAKS"))
DELAY = int(os.environ.get("STAND_IN_DELAY") or 0)
TODAY = date.fromisoformat(os.environ.get("STAND_IN_TODAY") or datetime.now(UTC).date().isoformat())
_LONG = 0.1
"""Seconds that an operation takes where nothing else may begin meanwhile."""
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SOFT_DELETED = {"keyvault:Vault", "machinelearningservices:Workspace", "operationalinsights:Workspace"}
"""Kinds whose name stays taken after a deletion."""
FIXED = {
    "storage:StorageAccount": {"isHnsEnabled"},
    "authorization:RoleAssignment": {"principalId", "roleDefinitionId"},
}
"""Properties that Azure cannot change in place, beside name, group and location."""


class Cloud:
    """What exists, by lower-case ARM id, and which ids are soft-deleted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lock = threading.RLock()
        state = json.loads(path.read_text()) if path.exists() else {}
        self.resources: dict[str, Any] = state.get("resources", {})
        self.soft_deleted: dict[str, str] = state.get("soft_deleted", {})
        self.log: list[str] = state.get("log", [])
        self.outside: list[dict[str, str]] = state.get("outside", [])
        """Role assignments that no stack made."""

    def save(self, event: str) -> None:
        self.log.append(event)
        state = {
            "resources": self.resources,
            "soft_deleted": self.soft_deleted,
            "log": self.log,
            "outside": self.outside,
        }
        partial = self._path.with_suffix(".new")
        partial.write_text(json.dumps(state, indent=1, sort_keys=True))
        partial.replace(self._path)


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Method names are the protocol's."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.busy: set[str] = set()

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False, accept_resources=False, accept_outputs=False
        )

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "azure-native", "version": VERSION}))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def Check(self, request: Any, context: Any) -> Any:
        inputs, kind = plain(request.news), kind_of(request.urn)
        failures = []
        if kind not in ARM_TYPES:
            failures.append(provider_pb2.CheckFailure(property="", reason=f"the stand-in knows no {kind}"))
        else:
            failures += [
                provider_pb2.CheckFailure(property=n, reason="a name must be given; automatic naming is off")
                for n in ARM_TYPES[kind].names
                if not n.startswith("=") and n not in inputs
            ]
        return provider_pb2.CheckResponse(inputs=struct(inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        kind = kind_of(request.urn)
        old, new = plain(request.old_inputs) or plain(request.olds), plain(request.news)
        ignored = tuple(request.ignoreChanges)
        changed = [p for p in leaves(old, new) if not any(p == i or p.startswith(f"{i}.") for i in ignored)]
        fixed = {"location", *ARM_TYPES[kind].resource_inputs} | FIXED.get(kind, set())
        replaces = sorted(p for p in changed if p.split(".")[0] in fixed)
        detail = {
            p: provider_pb2.PropertyDiff(
                kind=provider_pb2.PropertyDiff.UPDATE_REPLACE
                if p in replaces
                else provider_pb2.PropertyDiff.UPDATE,
                inputDiff=True,
            )
            for p in changed
        }
        verdict = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=verdict, diffs=changed, replaces=replaces, detailedDiff=detail, hasDetailedDiff=True
        )

    def Create(self, request: Any, context: Any) -> Any:
        kind, inputs = kind_of(request.urn), plain(request.properties)
        if request.preview:
            outputs = PretendAzure({}, preview=True).computed(kind, identity(kind, inputs), inputs)
            return provider_pb2.CreateResponse(
                id="", properties=struct({**inputs, **outputs, "name": UNKNOWN})
            )
        if unknown(inputs):
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"{kind}: an input is not known when it is created"
            )
        made = identity(kind, inputs)
        with self._alone(kind, inputs, made, context), self.cloud.lock:
            self._refuse(kind, made, inputs, context)
            outputs = PretendAzure({}).computed(kind, made, inputs)
            outputs = {
                **inputs,
                **outputs,
                "name": made.rsplit("/", 1)[1],
                "azureApiVersion": ARM_TYPES[kind].version,
            }
            half = BREAKS and f"broke {made}" not in self.cloud.log
            if half and zlib.crc32(made.encode()) % 2:
                self.cloud.save(f"broke {made}")
                context.abort(grpc.StatusCode.UNAVAILABLE, f"503 ServerTimeout: {made} was not begun")
            self.cloud.resources[made.lower()] = {"id": made, "kind": kind, "outputs": outputs}
            if half:
                self.cloud.log.append(f"broke {made}")
            self.cloud.save(f"create {kind} {made}")
            if half:
                # A long operation that ends badly: it exists, and the provider says what it knows of it.
                _end_half(context, made, inputs, outputs)
        return provider_pb2.CreateResponse(id=made, properties=struct(outputs))

    @contextlib.contextmanager
    def _alone(self, kind: str, inputs: dict[str, Any], made: str, context: Any) -> Iterator[None]:
        """While the operation takes its time nothing else may begin on what it occupies."""
        targets = occupied(kind, inputs, made)
        with self.cloud.lock:
            if busy := [t for t in targets if t in self.busy]:
                said = f"409 AnotherOperationInProgress: {made} needs {busy[0]} for itself"
                context.abort(grpc.StatusCode.ABORTED, said)
            self.busy |= set(targets)
        if targets:
            time.sleep(_LONG)
        try:
            yield
        finally:
            self.busy -= set(targets)

    def _may(self, verb: str, kind: str, resource_id: str, inputs: dict[str, Any], context: Any) -> None:
        """End the call unless the caller has the right to it now."""
        grants = rights.held(self.cloud.resources.values(), self.cloud.outside)
        if said := rights.refused(CALLER, verb, kind, resource_id, inputs=inputs, grants=grants):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, said)

    def _refuse(self, kind: str, made: str, inputs: dict[str, Any], context: Any) -> None:
        self._may("write", kind, made, inputs, context)
        tried = sum(e == f"refused {made}" for e in self.cloud.log)
        if tried < DELAY and (said := not_yet(kind, inputs)):
            self.cloud.save(f"refused {made}")
            context.abort(grpc.StatusCode.PERMISSION_DENIED, said)
        for refusal in (*refusals(kind, inputs, today=TODAY), *over_quota(kind, inputs, QUOTA)):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(refusal))
        if made.lower() in self.cloud.resources:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"409 Conflict: {made} exists already")
        if said_twin := twin(kind, made, inputs, self.cloud.resources):
            context.abort(grpc.StatusCode.ALREADY_EXISTS, str(said_twin))
        if made.lower() in self.cloud.soft_deleted:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, f"409 Conflict: {made} is soft-deleted; purge it first"
            )
        above = parent_of(kind, made, inputs)
        subscription = f"/subscriptions/{SUBSCRIPTION}"
        if above not in ("", subscription) and above.lower() not in self.cloud.resources:
            context.abort(grpc.StatusCode.NOT_FOUND, f"404 ParentResourceNotFound: {above}")

    def Read(self, request: Any, context: Any) -> Any:
        found = self.cloud.resources.get(request.id.lower())
        if found is None:
            return provider_pb2.ReadResponse()
        self._may("read", found["kind"], request.id, found["outputs"], context)
        now = read_back(found, self.cloud.resources)
        before = plain(request.properties)
        inputs = refreshed(plain(request.inputs), before, now) if before else _given(found, now)
        return provider_pb2.ReadResponse(id=request.id, properties=struct(now), inputs=struct(inputs))

    def Update(self, request: Any, context: Any) -> Any:
        kind, inputs = kind_of(request.urn), plain(request.news)
        outputs = PretendAzure({}, preview=request.preview).computed(kind, request.id, inputs)
        outputs = {**inputs, **outputs, "name": request.id.rsplit("/", 1)[1]}
        if not request.preview:
            with self.cloud.lock:
                self._may("write", kind, request.id, inputs, context)
                was = self.cloud.resources[request.id.lower()]["outputs"]
                for refusal in kept(kind, was, inputs):
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(refusal))
                self.cloud.resources[request.id.lower()] = {
                    "id": request.id,
                    "kind": kind,
                    "outputs": outputs,
                }
                self.cloud.save(f"update {kind} {request.id}")
        return provider_pb2.UpdateResponse(properties=struct(outputs))

    def Delete(self, request: Any, context: Any) -> Any:
        low = request.id.lower()
        with self.cloud.lock:
            there = self.cloud.resources.get(low)
            if there:
                self._may("delete", there["kind"], request.id, there["outputs"], context)
                if used := in_use(there["kind"], request.id, self.cloud.resources):
                    context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(used))
            gone = self.cloud.resources.pop(low, None)
            for below in [k for k in self.cloud.resources if k.startswith(f"{low}/")]:
                kind = self.cloud.resources.pop(below)["kind"]
                if kind in SOFT_DELETED:
                    self.cloud.soft_deleted[below] = kind
            if gone and gone["kind"] in SOFT_DELETED:
                self.cloud.soft_deleted[low] = gone["kind"]
            self.cloud.save(f"delete {kind_of(request.urn)} {request.id}")
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        if request.tok != "azure-native:authorization:getClientConfig":
            failure = provider_pb2.CheckFailure(property="", reason=f"the stand-in answers no {request.tok}")
            return provider_pb2.InvokeResponse(failures=[failure])
        answer = {
            "clientId": guid("client"), "objectId": guid("object"),
            "subscriptionId": SUBSCRIPTION, "tenantId": TENANT,
        }  # fmt: skip
        return provider_pb2.InvokeResponse(**{"return": struct(answer)})


def _given(found: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a resource that is imported: all that Azure shows, but for what nobody can give
    (pulumi-azure-native, provider/pkg/provider/provider.go, `Read` without a state)."""
    made = PretendAzure({}).computed(found["kind"], found["id"], dict(now))
    return {k: v for k, v in now.items() if k not in {*made, "name", "azureApiVersion"}}


def _end_half(context: Any, made: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    """As pulumi-azure-native does when polling fails: the engine keeps the resource and tries to mend it."""
    said = f"the operation on {made} ended in the state Failed"
    known = provider_pb2.ErrorResourceInitFailed(
        id=made, properties=struct(outputs), inputs=struct(inputs), reasons=[said]
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=said)
    status.details.add().Pack(known)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, said)


def kind_of(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", maxsplit=1)[-1].removeprefix("azure-native:")


def identity(kind: str, inputs: dict[str, Any]) -> str:
    """The ARM id, or an empty text while a part of it is not known."""
    entry = ARM_TYPES[kind]
    parts = [inputs.get(p) for p in entry.resource_inputs - {"", "/"} if p in inputs]
    return "" if any(unknown(p) for p in parts) else entry.id(inputs, SUBSCRIPTION)


def parent_of(kind: str, made: str, inputs: dict[str, Any]) -> str:
    """The ARM id of what must exist before; empty when nothing must."""
    entry = ARM_TYPES[kind]
    if kind == "resources:ResourceGroup":
        return ""
    if len(entry.names) > 1:
        above = made.rsplit("/", 2)[0]
        # Default services come with their account.
        return above.rsplit("/", 2)[0] if above.endswith("/default") else above
    if "{" in entry.scope:
        return made.rsplit("/providers/", 1)[0]
    if entry.scope:
        # What extends a default service or a container needs the account.
        return str(inputs[entry.scope]).split("/blobServices/default")[0].split("/queueServices/default")[0]
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{inputs['resourceGroupName']}"


def leaves(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Dotted paths at which two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from leaves(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield path


def unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(unknown(v) for v in value.values())
    if isinstance(value, list):
        return any(unknown(v) for v in value)
    return bool(value == UNKNOWN)


def plain(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = _whole(json_format.MessageToDict(message))
    return found


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update(values)
    return message


def main() -> None:
    """Serve on a free port of this machine and print it, as the engine expects of a plugin."""
    server = grpc.server(
        futures.ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 400 << 20)]
    )
    cloud = Cloud(Path(os.environ["STAND_IN_STATE"]))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(cloud), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
