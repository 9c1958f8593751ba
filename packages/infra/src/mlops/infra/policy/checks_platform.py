"""Rules on Azure ML itself: computes, workspace, datastores, endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

from mlops.infra import kubernetes_versions
from mlops.infra.model import UNKNOWN, Resource
from mlops.infra.policy.rule import Message, ResourceRule, holds, must, relaxed
from mlops.spec.vm_sizes import Table, packaged, sentence, verdict

ML = "machinelearningservices:"
LONGEST_IDLE = 30
SIZES_END = "MLOPS_COMPUTE_7"
SIZED = (f"{ML}Compute", "containerservice:ManagedCluster")
"""Minutes that an idle node may be paid for."""
_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")


def minutes(duration: object) -> float | None:
    """Minutes of an ISO 8601 duration without days (`PT30M`), None when it is none."""
    match = _DURATION.fullmatch(str(duration))
    if match is None or not any(match.groups()):
        return None
    hours, mins, seconds = (float(g or 0) for g in match.groups())
    return hours * 60 + mins + seconds / 60


def _cluster(resource: Resource) -> bool:
    return bool(resource.get("properties.computeType") == "AmlCompute")


def _scales_to_zero(resource: Resource) -> Iterator[Message]:
    if _cluster(resource):
        yield from must(
            resource,
            "properties.properties.scaleSettings.minNodeCount",
            0,
            why="idle nodes cost as much as busy ones",
        )


def _stops_idling(resource: Resource) -> Iterator[Message]:
    path = "properties.properties.scaleSettings.nodeIdleTimeBeforeScaleDown"
    value = resource.get(path)
    if _cluster(resource) and value != UNKNOWN:
        idle = minutes(value)
        if idle is None or idle > LONGEST_IDLE:
            yield f"{path} must be at most PT{LONGEST_IDLE}M, got {value}: idle nodes are paid for"


def today() -> date:
    return datetime.now(UTC).date()


def vm_sizes(resource: Resource) -> list[str]:
    """Every VM size that a compute or a Kubernetes cluster names."""
    if resource.kind == "containerservice:ManagedCluster":
        named = [pool.get("vmSize") for pool in resource.get("agentPoolProfiles") or []]
    else:
        named = [resource.get("properties.properties.vmSize")]
    return [str(size) for size in named if size not in (None, UNKNOWN)]


def sizes_end(known: Table) -> ResourceRule:
    """The rule on retired sizes, by a table that says when each ends."""

    def judge(resource: Resource) -> Iterator[Message]:
        for size in vm_sizes(resource):
            if verdict(size, today(), known) == "ended":
                yield f"vmSize: {sentence(size, today(), known)}"

    return ResourceRule(SIZES_END, "VM sizes are not retired", SIZED, judge)


def kubernetes_version(resource: Resource) -> str | None:
    """The version that a Kubernetes cluster names; None where Azure chooses."""
    named = resource.get("kubernetesVersion")
    return None if named in (None, UNKNOWN) else str(named)


def _kubernetes_supported(resource: Resource) -> Iterator[Message]:
    version = kubernetes_version(resource)
    if version and kubernetes_versions.verdict(version, today()) == "ended":
        yield f"kubernetesVersion: {kubernetes_versions.sentence(version, today())}"


def _no_open_nodes(resource: Resource) -> Iterator[Message]:
    # Without a managed network nodes need one to reach the service, and only a dev stack may be without.
    if _cluster(resource) and not relaxed(resource):
        yield from must(
            resource,
            "properties.properties.enableNodePublicIp",
            False,
            why="nodes would be reachable from outside",
        )


def _no_remote_login(resource: Resource) -> Iterator[Message]:
    if _cluster(resource):
        yield from must(
            resource, "properties.properties.remoteLoginPortPublicAccess", "Disabled", "NotSpecified",
            why="SSH to nodes would be open to the internet",
        )  # fmt: skip


def _compute_without_keys(resource: Resource) -> Iterator[Message]:
    if _cluster(resource):
        yield from must(
            resource, "properties.disableLocalAuth", True, why="SSH accounts on nodes bypass Entra ID"
        )  # fmt: skip


def _runs_as_identity(resource: Resource) -> Iterator[Message]:
    kind = resource.get("identity.type")
    if kind != UNKNOWN and "UserAssigned" not in str(kind or ""):
        yield f"identity.type must be UserAssigned, got {kind or 'nothing'}: jobs would have nobody's roles"


def _isolated(resource: Resource) -> Iterator[Message]:
    if not relaxed(resource):
        yield from must(
            resource, "managedNetwork.isolationMode", "AllowOnlyApprovedOutbound",
            why="a job could send data to any host; only a dev stack may be open",
        )  # fmt: skip


def _workspace_private(resource: Resource) -> Iterator[Message]:
    if not relaxed(resource):
        yield from must(resource, "publicNetworkAccess", "Disabled", why="only a dev stack may be public")


def _system_datastores(resource: Resource) -> Iterator[Message]:
    yield from must(
        resource,
        "systemDatastoresAuthMode",
        "Identity",
        why="otherwise the workspace keeps the account's key",
    )


def _workspace_identity(resource: Resource) -> Iterator[Message]:
    yield from _runs_as_identity(resource)
    if not resource.get("primaryUserAssignedIdentity"):
        yield "primaryUserAssignedIdentity must be set: Azure would use an identity without roles"
    if not holds(resource, "v1LegacyMode", False, None):
        yield "v1LegacyMode must be false: it takes the private link's protection away"


def _datastore_identity(resource: Resource) -> Iterator[Message]:
    yield from must(
        resource,
        "properties.credentials.credentialsType",
        "None",
        why="a datastore must hold no key and no token",
    )
    yield from must(
        resource, "properties.serviceDataAccessAuthIdentity",
        "WorkspaceUserAssignedIdentity", "WorkspaceSystemAssignedIdentity",
        why="the studio would ask for the user's own access",
    )  # fmt: skip


def _endpoint_auth(resource: Resource) -> Iterator[Message]:
    allowed = ("AADToken", "AMLToken", "Key") if relaxed(resource) else ("AADToken", "AMLToken")
    yield from must(resource, "properties.authMode", *allowed, why="a key does not expire and names nobody")


def _batch_auth(resource: Resource) -> Iterator[Message]:
    yield from must(resource, "properties.authMode", "AADToken", why="batch endpoints know Entra ID only")


def _endpoint_private(resource: Resource) -> Iterator[Message]:
    if not relaxed(resource):
        yield from must(
            resource, "properties.publicNetworkAccess", "Disabled", why="only a dev stack may be public"
        )


RULES = (
    ResourceRule("MLOPS_COMPUTE_1", "Clusters scale to zero", (f"{ML}Compute",), _scales_to_zero),
    ResourceRule("MLOPS_COMPUTE_2", "Idle nodes are released", (f"{ML}Compute",), _stops_idling),
    ResourceRule("MLOPS_COMPUTE_3", "Nodes have no public IP address", (f"{ML}Compute",), _no_open_nodes),
    ResourceRule(
        "MLOPS_COMPUTE_4", "Local accounts on nodes are off", (f"{ML}Compute",), _compute_without_keys
    ),
    ResourceRule(
        "MLOPS_COMPUTE_5", "Computes run as a managed identity", (f"{ML}Compute",), _runs_as_identity
    ),
    ResourceRule("MLOPS_COMPUTE_6", "Remote login is closed", (f"{ML}Compute",), _no_remote_login),
    sizes_end(packaged()),
    ResourceRule(
        "MLOPS_KUBERNETES_1",
        "Kubernetes versions are supported",
        ("containerservice:ManagedCluster",),
        _kubernetes_supported,
    ),
    ResourceRule("MLOPS_WORKSPACE_1", "Outbound traffic is approved", (f"{ML}Workspace",), _isolated),
    ResourceRule("MLOPS_WORKSPACE_2", "Workspaces are private", (f"{ML}Workspace",), _workspace_private),
    ResourceRule(
        "MLOPS_WORKSPACE_3", "System datastores use identity", (f"{ML}Workspace",), _system_datastores
    ),
    ResourceRule(
        "MLOPS_WORKSPACE_4", "Workspaces have an identity", (f"{ML}Workspace",), _workspace_identity
    ),
    ResourceRule("MLOPS_DATASTORE_1", "Datastores hold no secret", (f"{ML}Datastore",), _datastore_identity),
    ResourceRule(
        "MLOPS_ENDPOINT_1", "Callers authenticate with Entra ID", (f"{ML}OnlineEndpoint",), _endpoint_auth
    ),
    ResourceRule(
        "MLOPS_ENDPOINT_2", "Online endpoints are private", (f"{ML}OnlineEndpoint",), _endpoint_private
    ),
    ResourceRule("MLOPS_ENDPOINT_3", "Batch endpoints use Entra ID", (f"{ML}BatchEndpoint",), _batch_auth),
)
