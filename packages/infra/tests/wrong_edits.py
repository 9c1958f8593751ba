"""For every rule a wrong edit that a person could make: `EDITS[check]` says which resource it changes,
and how.

An edit takes the inputs and options of the resource named and changes them in place. Some rules look at
what is missing; `REMOVALS` name the kind of resource that somebody deleted from the program.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mlops.infra.model import Captured, Resource
from mlops.infra.policy import checks_unity

Edit = Callable[[dict[str, Any]], None]


def put(path: str, value: Any) -> Edit:
    """Set the value at a dotted path; the parents exist or are made."""

    def edit(inputs: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            inputs = inputs.setdefault(parent, {})
        inputs[last] = value

    return edit


def drop(key: str) -> Edit:
    def edit(inputs: dict[str, Any]) -> None:
        inputs.pop(key, None)

    return edit


_ML = "machinelearningservices:"
_SCALE = "properties.properties.scaleSettings"
_OWNER = "/providers/Microsoft.Authorization/roleDefinitions/8e3af657-a8ff-443c-a75c-2fe8c4bcb635"

EDITS: Mapping[str, list[tuple[str, Edit]]] = {
    "MLOPS_COMPUTE_1": [(f"{_ML}Compute", put(f"{_SCALE}.minNodeCount", 1))],
    "MLOPS_COMPUTE_2": [
        (f"{_ML}Compute", put(f"{_SCALE}.nodeIdleTimeBeforeScaleDown", "PT31M")),
        (f"{_ML}Compute", put(f"{_SCALE}.nodeIdleTimeBeforeScaleDown", "PT2H")),
        (f"{_ML}Compute", put(f"{_SCALE}.nodeIdleTimeBeforeScaleDown", "soon")),
        (f"{_ML}Compute", put(f"{_SCALE}.nodeIdleTimeBeforeScaleDown", None)),
    ],
    "MLOPS_COMPUTE_3": [(f"{_ML}Compute", put("properties.properties.enableNodePublicIp", True))],
    "MLOPS_COMPUTE_4": [(f"{_ML}Compute", put("properties.disableLocalAuth", False))],
    "MLOPS_COMPUTE_5": [(f"{_ML}Compute", drop("identity"))],
    "MLOPS_COMPUTE_6": [
        (f"{_ML}Compute", put("properties.properties.remoteLoginPortPublicAccess", "Enabled"))
    ],
    "MLOPS_COMPUTE_7": [
        (f"{_ML}Compute", put("properties.properties.vmSize", "Standard_NC6s_v3")),
        ("containerservice:ManagedCluster", put("agentPoolProfiles", [{"vmSize": "Standard_NV4as_v4"}])),
    ],
    "MLOPS_KUBERNETES_1": [("containerservice:ManagedCluster", put("kubernetesVersion", "1.31"))],
    "MLOPS_WORKSPACE_1": [
        (f"{_ML}Workspace", put("managedNetwork.isolationMode", "Disabled")),
        (f"{_ML}Workspace", put("managedNetwork.isolationMode", "AllowInternetOutbound")),
    ],
    "MLOPS_WORKSPACE_2": [(f"{_ML}Workspace", put("publicNetworkAccess", "Enabled"))],
    "MLOPS_WORKSPACE_3": [(f"{_ML}Workspace", put("systemDatastoresAuthMode", "AccessKey"))],
    "MLOPS_WORKSPACE_4": [
        (f"{_ML}Workspace", put("identity.type", "SystemAssigned")),
        (f"{_ML}Workspace", drop("primaryUserAssignedIdentity")),
        (f"{_ML}Workspace", put("v1LegacyMode", True)),
    ],
    "MLOPS_DATASTORE_1": [
        (f"{_ML}Datastore", put("properties.credentials.credentialsType", "AccountKey")),
        (f"{_ML}Datastore", put("properties.serviceDataAccessAuthIdentity", "None")),
    ],
    "MLOPS_ENDPOINT_1": [(f"{_ML}OnlineEndpoint", put("properties.authMode", "Key"))],
    "MLOPS_ENDPOINT_2": [(f"{_ML}OnlineEndpoint", put("properties.publicNetworkAccess", "Enabled"))],
    "MLOPS_ENDPOINT_3": [(f"{_ML}BatchEndpoint", put("properties.authMode", "Key"))],
    "MLOPS_ACCESS_1": [
        ("authorization:RoleAssignment", put("roleDefinitionId", _OWNER)),
        ("authorization:RoleAssignment", put("principalType", "User")),
    ],
    "MLOPS_ACCESS_2": [
        ("authorization:RoleDefinition", put("permissions", [{"actions": ["*"]}])),
        ("authorization:RoleDefinition", put("permissions", [{"actions": ["*/read"]}])),
        (
            "authorization:RoleDefinition",
            put("permissions", [{"actions": ["Microsoft.MachineLearningServices/workspaces/*"]}]),
        ),
        (
            "authorization:RoleDefinition",
            put("permissions", [{"dataActions": ["Microsoft.Storage/*/write"]}]),
        ),
        (
            "authorization:RoleDefinition",
            put("permissions", [{"actions": ["Microsoft.Authorization/roleAssignments/write"]}]),
        ),
    ],
    "MLOPS_ACCESS_3": [
        (
            "managedidentity:FederatedIdentityCredential",
            put("subject", "repo:Acme/freight:ref:refs/heads/main"),
        ),
        ("managedidentity:FederatedIdentityCredential", put("subject", "repo:Acme/*:environment:prod")),
        ("managedidentity:FederatedIdentityCredential", put("issuer", "https://issuer.example.com")),
        ("managedidentity:FederatedIdentityCredential", put("audiences", ["api://other"])),
    ],
    "MLOPS_ACCESS_4": [
        ("applicationinsights:Component", put("disableLocalAuth", False)),
        ("operationalinsights:Workspace", put("features.disableLocalAuth", False)),
    ],
    "MLOPS_ACCESS_5": [
        ("containerregistry:Registry", put("adminUserEnabled", True)),
        ("containerregistry:Registry", put("anonymousPullEnabled", True)),
    ],
    "MLOPS_ACCESS_6": [("containerservice:ManagedCluster", put("disableLocalAccounts", False))],
    "MLOPS_ACCESS_7": [
        ("keyvault:Vault", put("properties.enableRbacAuthorization", False)),
        ("keyvault:Vault", put("properties.enablePurgeProtection", False)),
    ],
    "MLOPS_STORAGE_1": [
        ("storage:StorageAccount", put("allowSharedKeyAccess", True)),
        ("storage:StorageAccount", drop("allowSharedKeyAccess")),
        ("storage:StorageAccount", put("isLocalUserEnabled", True)),
    ],
    "MLOPS_STORAGE_2": [
        ("storage:StorageAccount", put("allowBlobPublicAccess", True)),
        ("storage:BlobContainer", put("publicAccess", "Blob")),
    ],
    "MLOPS_STORAGE_3": [("storage:BlobServiceProperties", put("isVersioningEnabled", False))],
    "MLOPS_EVENTS_1": [("eventgrid:SystemTopicEventSubscription", drop("deliveryWithResourceIdentity"))],
    "MLOPS_LOGS_2": [("operationalinsights:Workspace", put("workspaceCapping.dailyQuotaGb", 1))],
    "MLOPS_LOGS_3": [
        (
            "monitor:DiagnosticSetting",
            lambda inputs: inputs.update(
                resourceUri="/providers/Microsoft.Storage/storageAccounts/a/blobServices/default",
                metrics=[{"category": "AllMetrics"}],
            ),
        ),
    ],
    "MLOPS_COST_1": [("consumption:Budget", put("notifications", {}))],
    "MLOPS_UNITY_1": [
        (checks_unity.GRANT, put("principal", "account users")),
        (checks_unity.GRANT, put("privileges", ["ALL_PRIVILEGES"])),
        (checks_unity.GRANT, put("privileges", ["USE_SCHEMA", "MANAGE"])),
    ],
    "MLOPS_UNITY_3": [
        (checks_unity.CATALOG, put("forceDestroy", True)),
        (checks_unity.SCHEMA, put("forceDestroy", True)),
    ],
    "MLOPS_UNITY_4": [
        (checks_unity.FEDERATION, put("oidcPolicy.subject", "repo:o/r:ref:refs/heads/main")),
        (checks_unity.FEDERATION, put("oidcPolicy.issuer", "https://example.com")),
        (checks_unity.FEDERATION, put("oidcPolicy.audiences", [])),
        (checks_unity.FEDERATION, drop("oidcPolicy")),
    ],
    "MLOPS_UNITY_5": [
        (checks_unity.WAREHOUSE, put("autoStopMins", 0)),
        (checks_unity.WAREHOUSE, put("autoStopMins", 120)),
        (checks_unity.WAREHOUSE, drop("autoStopMins")),
    ],
    "MLOPS_TAGS_1": [
        ("storage:StorageAccount", put("tags", {"project": "p", "environment": "e"})),
        (f"{_ML}Compute", drop("tags")),
    ],
}

REMOVALS: Mapping[str, str] = {
    "MLOPS_COST_2": "consumption:Budget",
    "MLOPS_LOGS_1": "monitor:DiagnosticSetting",
    "MLOPS_ALERTS_1": "monitor:MetricAlert",
}


def apply(resources: tuple[Resource, ...], kind: str, edit: Edit) -> tuple[tuple[Resource, ...], Resource]:
    """The resources with the first one of `kind` edited, and that one."""
    target = next(r for r in resources if r.kind == kind)
    inputs = copy.deepcopy(dict(target.inputs))
    edit(inputs)
    wrong = replace(target, inputs=inputs)
    return tuple(wrong if r is target else r for r in resources), wrong


Versions = list[tuple[Resource, ...]]


def _unprotected(captured: Captured) -> Versions:
    target = next(r for r in captured.judged if r.kind == "storage:StorageAccount")
    bare = replace(target, options={k: v for k, v in target.options.items() if k != "protect"})
    return [tuple(bare if r is target else r for r in captured.judged)]


def _abroad(captured: Captured) -> Versions:
    target = captured.named("grant-train-storage-blob-data-reader-training-storage-account")
    writer = captured.named("grant-train-storage-blob-data-contributor-storage-account")
    own = captured.named("grant-promote-model-promoter-workspace")
    wrong = []
    for other in (writer, own):
        role = {"roleDefinitionId": other.inputs["roleDefinitionId"]}
        needs = {"roleDefinitionId": other.property_dependencies.get("roleDefinitionId", ())}
        edited = replace(
            target,
            inputs={**target.inputs, **role},
            property_dependencies={**target.property_dependencies, **needs},
        )
        wrong.append(tuple(edited if r is target else r for r in captured.judged))
    return wrong


def _twice(kind: str, **inputs: Any) -> Callable[[Captured], Versions]:
    """A second resource of a kind, like the first but for some inputs."""

    def versions(captured: Captured) -> Versions:
        one = next(r for r in captured.judged if r.kind == kind)
        other = replace(one, urn=f"{one.urn}-2", name=f"{one.name}-2", inputs={**one.inputs, **inputs})
        return [(*captured.judged, other)]

    return versions


def _whole_list(captured: Captured) -> Versions:
    grant = next(r for r in captured.judged if r.kind == checks_unity.GRANT)
    whole = replace(grant, type=checks_unity.GRANTS, urn=f"{grant.urn}-all", name="all", inputs={})
    return [(*captured.judged, whole)]


SPECIAL: Mapping[str, Callable[[Captured], Versions]] = {
    "MLOPS_PROTECT_1": _unprotected,
    "MLOPS_ACCESS_8": _abroad,
    "MLOPS_ACCESS_9": _twice(
        "authorization:RoleAssignment", roleAssignmentName="00000000-0000-0000-0000-000000000009"
    ),
    "MLOPS_EVENTS_2": _twice("eventgrid:SystemTopic"),
    "MLOPS_UNITY_2": _whole_list,
}


def wrong_versions(check: str, captured: Captured) -> Versions:
    """Every broken version of a stack that the rule `check` must refuse."""
    resources = captured.judged
    if check in EDITS:
        return [apply(resources, kind, edit)[0] for kind, edit in EDITS[check]]
    if check in REMOVALS:
        return [tuple(r for r in resources if r.kind != REMOVALS[check])]
    return SPECIAL[check](captured)
