"""Each rule of the policy by one resource: what it refuses, and what it must let through.

A rule that only the whole program tests passes as long as the program is right; these are wrong by one value.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from mlops.infra.model import UNKNOWN, Resource
from mlops.infra.policy import checks_access as access
from mlops.infra.policy import checks_data, checks_platform
from mlops.infra.policy.judge import judge
from mlops.infra.policy.rule import relaxed

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
ROLE = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/"
ML = checks_platform.ML
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


def resource(
    kind: str, inputs: dict[str, Any], *, stack: str = "prod", name: str = "x", **more: Any
) -> Resource:
    urn = f"urn:pulumi:{stack}::mlops::azure-native:{kind}::{name}"
    return Resource(urn=urn, type=f"azure-native:{kind}", name=name, inputs=inputs, **more)


def found(*resources: Resource) -> set[str]:
    return {finding.check for finding in judge(resources)}


def refused(check: str, kind: str, inputs: dict[str, Any], **more: Any) -> bool:
    return check in found(resource(kind, inputs, **more))


def assignment(role: str, scope: str = f"{SUBSCRIPTION}/resourceGroups/a", **more: Any) -> dict[str, Any]:
    return {"roleDefinitionId": ROLE + role, "scope": scope, "principalType": "ServicePrincipal", **more}


@pytest.mark.parametrize(
    ("inputs", "bad"),
    [
        (assignment(access.OWNER), True),
        (assignment(access.USER_ACCESS_ADMINISTRATOR), True),
        (assignment(access.USER_ACCESS_ADMINISTRATOR.upper()), True),
        (assignment(access.USER_ACCESS_ADMINISTRATOR, condition="x"), True),
        (assignment(access.ROLE_ADMINISTRATOR), True),
        (assignment(access.ROLE_ADMINISTRATOR, condition="x"), False),
        (assignment(access.ROLE_ADMINISTRATOR, condition=""), True),
        (assignment(access.CONTRIBUTOR), False),
        (assignment(access.CONTRIBUTOR, SUBSCRIPTION), True),
        (assignment(access.CONTRIBUTOR, f"{SUBSCRIPTION}/"), True),
        (assignment(READER, SUBSCRIPTION), False),
        (assignment(READER, principalType="User"), True),
        (assignment(READER, principalType=UNKNOWN), False),
        (assignment(READER), False),
        ({**assignment(READER), "roleDefinitionId": access.OWNER}, True),  # without the path
        ({"principalType": "ServicePrincipal"}, False),
    ],
)
def test_no_role_can_give_itself_more(inputs: dict[str, Any], bad: bool) -> None:
    assert refused("MLOPS_ACCESS_1", "authorization:RoleAssignment", inputs) is bad


@pytest.mark.parametrize("field", ["actions", "dataActions"])
@pytest.mark.parametrize(
    ("action", "bad"),
    [
        ("*", True),
        ("*/read", True),
        ("Microsoft.Storage/*", True),
        ("Microsoft.Storage/storageAccounts/*/read", False),
        ("Microsoft.Storage/storageAccounts/*/write", True),
        ("Microsoft.Authorization/roleAssignments/write", True),
        ("microsoft.authorization/roleAssignments/delete", True),
        ("Microsoft.Authorization/roleAssignments/read", False),
        ("Microsoft.Authorization/roleAssignments/spread", True),
        ("Microsoft.Storage/storageAccounts/read", False),
    ],
)
def test_custom_roles_list_what_they_need(field: str, action: str, bad: bool) -> None:
    inputs = {"permissions": [{field: [action]}]}
    assert refused("MLOPS_ACCESS_2", "authorization:RoleDefinition", inputs) is bad


GITHUB = "https://token.actions.githubusercontent.com"
DEVOPS = "https://vstoken.dev.azure.com/00000000-0000-0000-0000-000000000001"
ENTRA = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001/v2.0"


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        ({}, False),
        ({"subject": "repo:a/b:environment:*"}, True),
        ({"subject": "repo:a/b:ref:refs/heads/main"}, True),
        ({"subject": "repo:a/b:environment:prod:job_workflow_ref:x"}, True),
        ({"subject": "repo:a/*:environment:prod"}, True),
        ({"subject": "repo:a/b?:environment:prod"}, True),
        ({"subject": "repo:a/b:environment:"}, True),
        ({"subject": "sc://a/b/c"}, True),
        ({"issuer": f"{GITHUB}/an-enterprise"}, False),
        ({"issuer": f"{GITHUB}/an enterprise"}, True),
        ({"issuer": DEVOPS, "subject": "sc://a/b/c"}, False),
        ({"issuer": DEVOPS, "subject": "sc://a/b/*"}, True),
        ({"issuer": DEVOPS, "subject": "sc://*/b/c"}, True),
        ({"issuer": DEVOPS, "subject": "sc://a/*/c"}, True),
        ({"issuer": DEVOPS, "subject": "sc://a/b"}, True),
        ({"issuer": DEVOPS, "subject": "sc://a/b/c/d"}, True),
        ({"issuer": DEVOPS, "subject": "repo:a/b:environment:prod"}, True),
        ({"issuer": f"{DEVOPS}0", "subject": "sc://a/b/c"}, True),
        ({"issuer": DEVOPS.replace("0001", "any"), "subject": "sc://a/b/c"}, True),
        ({"issuer": "https://example.com"}, True),
        ({"issuer": f"{GITHUB}.example.com"}, True),
        ({"issuer": UNKNOWN, "subject": "anything"}, False),
        ({"subject": UNKNOWN, "issuer": "https://example.com"}, False),
        ({"audiences": []}, True),
        ({"audiences": None}, True),
        ({"audiences": [access.AUDIENCE, "more"]}, True),
        ({"issuer": ENTRA, "subject": "/eid1/c/pub/t/a-1/a/b_2/sc/c/d"}, False),
        ({"issuer": ENTRA, "subject": "repo:a/b:environment:prod"}, True),
        ({"issuer": ENTRA, "subject": "/eid1/c/pub/t/a/a/b/sc/c/*"}, True),
        ({"issuer": ENTRA, "subject": "/eid1/c/pub/t/a/a/b/sc/c/d/e"}, True),
        ({"issuer": ENTRA.replace("v2.0", "v2-0"), "subject": "/eid1/c/pub/t/a/a/b/sc/c/d"}, True),
    ],
)
def test_federated_trust_names_one_environment(changes: dict[str, Any], bad: bool) -> None:
    inputs = {
        "issuer": GITHUB,
        "subject": "repo:a/b:environment:prod",
        "audiences": [access.AUDIENCE],
        **changes,
    }
    assert refused("MLOPS_ACCESS_3", "managedidentity:FederatedIdentityCredential", inputs) is bad


SOMEBODY = {"enabled": True, "contactEmails": ["a@example.com"]}


@pytest.mark.parametrize(
    ("notifications", "bad"),
    [
        ({"a": SOMEBODY}, False),
        ({"a": {**SOMEBODY, "enabled": False}}, True),
        ({"a": {"contactEmails": ["a@example.com"]}}, True),
        ({"a": {"enabled": True}}, True),
        ({"a": {"enabled": True, "contactEmails": []}}, True),
        ({"a": {"enabled": True, "contactGroups": ["g"]}}, False),
        ({"a": {**SOMEBODY, "enabled": False}, "b": SOMEBODY}, False),
        # One that is on and reaches nobody, and one that is off: nobody hears of it.
        ({"a": {"enabled": True}, "b": {**SOMEBODY, "enabled": False}}, True),
        ({}, True),
        (None, True),
    ],
)
def test_a_budget_tells_somebody(notifications: Any, bad: bool) -> None:
    assert refused("MLOPS_COST_1", "consumption:Budget", {"notifications": notifications}) is bad


@pytest.mark.parametrize("kind", checks_data.PRECIOUS)
@pytest.mark.parametrize(
    ("stack", "needed"), [("prod", True), ("shared", True), ("staging", False), ("dev", False)]
)
def test_what_holds_data_is_protected_in_prod_and_shared(kind: str, stack: str, needed: bool) -> None:
    assert refused("MLOPS_PROTECT_1", kind, {}, stack=stack) is needed
    assert refused("MLOPS_PROTECT_1", kind, {}, stack=stack, options={"protect": False}) is needed
    assert not refused("MLOPS_PROTECT_1", kind, {}, stack=stack, options={"protect": True})


@pytest.mark.parametrize(
    ("stack", "open_"),
    [
        ("dev", True),
        ("dev-ann", True),
        ("devil", False),
        ("develop", False),
        ("prod-dev", False),
        ("prod", False),
        ("", False),
    ],
)
def test_only_dev_and_dev_something_are_relaxed(stack: str, open_: bool) -> None:
    workspace = resource("machinelearningservices:Workspace", {"publicNetworkAccess": "Enabled"}, stack=stack)
    assert relaxed(workspace) is open_
    assert ("MLOPS_WORKSPACE_2" in found(workspace)) is not open_
    assert ("MLOPS_WORKSPACE_1" in found(workspace)) is not open_


@pytest.mark.parametrize("tag", checks_data.REQUIRED_TAGS)
def test_every_tag_is_needed(tag: str) -> None:
    tags = dict.fromkeys(checks_data.REQUIRED_TAGS, "x")
    for kind in checks_data.TAGGED:
        assert not refused("MLOPS_TAGS_1", kind, {"tags": tags})
        assert refused("MLOPS_TAGS_1", kind, {"tags": {**tags, tag: ""}})
        assert refused("MLOPS_TAGS_1", kind, {"tags": {k: v for k, v in tags.items() if k != tag}})
    assert refused("MLOPS_TAGS_1", "keyvault:Vault", {})


RIGHT: dict[str, tuple[str, dict[str, Any]]] = {
    "MLOPS_STORAGE_1": ("storage:StorageAccount", {"allowSharedKeyAccess": False}),
    "MLOPS_STORAGE_2": ("storage:StorageAccount", {"allowBlobPublicAccess": False}),
    "MLOPS_STORAGE_3": ("storage:BlobServiceProperties", {"isVersioningEnabled": True}),
    "MLOPS_ACCESS_4": ("applicationinsights:Component", {"disableLocalAuth": True}),
    "MLOPS_ACCESS_5": (
        "containerregistry:Registry",
        {"adminUserEnabled": False, "anonymousPullEnabled": False},
    ),
    "MLOPS_ACCESS_6": ("containerservice:ManagedCluster", {"disableLocalAccounts": True}),
}
WRONG: list[tuple[str, str, Any]] = [
    ("MLOPS_STORAGE_1", "allowSharedKeyAccess", True),
    ("MLOPS_STORAGE_1", "allowSharedKeyAccess", None),
    ("MLOPS_STORAGE_1", "allowSharedKeyAccess", 0),
    ("MLOPS_STORAGE_1", "isLocalUserEnabled", True),
    ("MLOPS_STORAGE_2", "allowBlobPublicAccess", True),
    ("MLOPS_STORAGE_2", "allowBlobPublicAccess", None),
    ("MLOPS_STORAGE_3", "isVersioningEnabled", False),
    ("MLOPS_STORAGE_3", "isVersioningEnabled", None),
    ("MLOPS_ACCESS_4", "disableLocalAuth", False),
    ("MLOPS_ACCESS_5", "adminUserEnabled", True),
    ("MLOPS_ACCESS_5", "anonymousPullEnabled", True),
    ("MLOPS_ACCESS_6", "disableLocalAccounts", False),
]


@pytest.mark.parametrize(("check", "field", "value"), WRONG)
def test_one_wrong_value_is_found(check: str, field: str, value: Any) -> None:
    kind, right = RIGHT[check]
    assert not refused(check, kind, right)
    assert refused(check, kind, {**right, field: value})
    assert not refused(check, kind, {**right, field: UNKNOWN}), "what only Azure knows is no violation"


@pytest.mark.parametrize(
    ("idle", "bad"),
    [
        ("PT30M", False),
        ("PT31M", True),
        ("PT1800S", False),
        ("PT1801S", True),
        ("PT1800.0S", False),
        ("PT1800.5S", True),
        ("PT1H", True),
        ("PT0H30M", False),
        ("PT", True),
        (None, True),
        ("P1D", True),
        (UNKNOWN, False),
    ],
)
def test_idle_nodes_are_released(idle: Any, bad: bool) -> None:
    settings = {"scaleSettings": {"nodeIdleTimeBeforeScaleDown": idle, "minNodeCount": 0}}
    inputs = {"properties": {"computeType": "AmlCompute", "properties": settings}}
    assert refused("MLOPS_COMPUTE_2", "machinelearningservices:Compute", inputs) is bad
    other = {"properties": {"computeType": "ComputeInstance", "properties": settings}}
    assert not refused("MLOPS_COMPUTE_2", "machinelearningservices:Compute", other)


@pytest.mark.parametrize(
    ("mode", "stack", "bad"),
    [
        ("Key", "dev", False),
        ("Key", "prod", True),
        ("AADToken", "prod", False),
        ("AMLToken", "prod", False),
        ("AADToken", "dev-ann", False),
        ("AMLToken", "dev-ann", False),
        (None, "dev", True),
    ],
)
def test_callers_authenticate_with_entra_id(mode: Any, stack: str, bad: bool) -> None:
    inputs = {"properties": {"authMode": mode, "publicNetworkAccess": "Disabled"}}
    assert refused("MLOPS_ENDPOINT_1", "machinelearningservices:OnlineEndpoint", inputs, stack=stack) is bad


def test_minutes_of_a_duration() -> None:
    assert [checks_platform.minutes(d) for d in ("PT1H30M", "PT90S", "PT0M", "PT", "1H", None)] == [
        90,
        1.5,
        0,
        None,
        None,
        None,
    ]


WORKSPACE, ENDPOINT, BATCH = (f"{ML}{kind}" for kind in ("Workspace", "OnlineEndpoint", "BatchEndpoint"))
LOGS = "operationalinsights:Workspace"
CLUSTER, GONE = {"properties": {"computeType": "AmlCompute"}}, "is not there"
AT = "properties.properties."
ENTRY: list[tuple[str, str, str, tuple[Any, ...], tuple[Any, ...]]] = [
    # rule, kind, input, what it admits, what it refuses; in prod
    ("MLOPS_STORAGE_1", "storage:StorageAccount", "isLocalUserEnabled", (False, None, GONE), (True, 0)),
    ("MLOPS_STORAGE_2", "storage:BlobContainer", "publicAccess", ("None", None, GONE), ("Blob", "Container")),
    ("MLOPS_EVENTS_1", "eventgrid:SystemTopicEventSubscription", "deliveryWithResourceIdentity",
     ({"identity": {}},), ({}, None, GONE)),
    ("MLOPS_ACCESS_2", "authorization:RoleDefinition", "permissions",
     ([], None, GONE, [{}], [{"actions": None}], [{"actions": ["Microsoft.Storage/a/write"]}]),
     ([{}, {"actions": ["*"]}], [{"actions": ["Microsoft.Storage/a/read", "Microsoft.Authorization/a/b"]}])),
    ("MLOPS_ACCESS_4", LOGS, "features.disableLocalAuth", (True,), (False, None, GONE)),
    ("MLOPS_ACCESS_4", "applicationinsights:Component", "disableLocalAuth", (True,), (False, None, GONE)),
    ("MLOPS_ACCESS_5", "containerregistry:Registry", "adminUserEnabled", (False, None, GONE), (True,)),
    ("MLOPS_ACCESS_5", "containerregistry:Registry", "anonymousPullEnabled", (False, None, GONE), (True,)),
    ("MLOPS_ACCESS_7", "keyvault:Vault", "properties.enableRbacAuthorization", (True,), (False, None, GONE)),
    ("MLOPS_ACCESS_7", "keyvault:Vault", "properties.enablePurgeProtection", (True, None, GONE), (False,)),
    ("MLOPS_LOGS_2", LOGS, "workspaceCapping.dailyQuotaGb", (-1, None, GONE), (1, 0.5, 0)),
    ("MLOPS_COMPUTE_1", f"{ML}Compute", f"{AT}scaleSettings.minNodeCount", (0,), (1, False, None, GONE)),
    ("MLOPS_COMPUTE_3", f"{ML}Compute", f"{AT}enableNodePublicIp", (False,), (True, None, GONE)),
    ("MLOPS_COMPUTE_4", f"{ML}Compute", "properties.disableLocalAuth", (True,), (False, None, GONE)),
    ("MLOPS_COMPUTE_5", f"{ML}Compute", "identity.type",
     ("UserAssigned", "SystemAssigned, UserAssigned"), ("SystemAssigned", "None", None, GONE)),
    ("MLOPS_COMPUTE_6", f"{ML}Compute", f"{AT}remoteLoginPortPublicAccess",
     ("Disabled", "NotSpecified"), ("Enabled", None, GONE)),
    ("MLOPS_WORKSPACE_1", WORKSPACE, "managedNetwork.isolationMode",
     ("AllowOnlyApprovedOutbound",), ("AllowInternetOutbound", "Disabled", None, GONE)),
    ("MLOPS_WORKSPACE_2", WORKSPACE, "publicNetworkAccess", ("Disabled",), ("Enabled", None, GONE)),
    ("MLOPS_WORKSPACE_3", WORKSPACE, "systemDatastoresAuthMode", ("Identity",), ("AccessKey", None, GONE)),
    ("MLOPS_WORKSPACE_4", WORKSPACE, "identity.type", ("UserAssigned",), ("SystemAssigned", None, GONE)),
    ("MLOPS_WORKSPACE_4", WORKSPACE, "primaryUserAssignedIdentity", ("/id",), ("", None, GONE)),
    ("MLOPS_WORKSPACE_4", WORKSPACE, "v1LegacyMode", (False, None, GONE), (True,)),
    ("MLOPS_DATASTORE_1", f"{ML}Datastore", "properties.credentials.credentialsType",
     ("None",), ("AccountKey", "Sas", None, GONE)),
    ("MLOPS_DATASTORE_1", f"{ML}Datastore", "properties.serviceDataAccessAuthIdentity",
     ("WorkspaceUserAssignedIdentity", "WorkspaceSystemAssignedIdentity"), ("None", None, GONE)),
    ("MLOPS_ENDPOINT_2", ENDPOINT, "properties.publicNetworkAccess", ("Disabled",), ("Enabled", None, GONE)),
    ("MLOPS_ENDPOINT_3", BATCH, "properties.authMode", ("AADToken",), ("Key", "AMLToken", None, GONE)),
]  # fmt: skip
WELL: dict[str, dict[str, Any]] = {
    "MLOPS_STORAGE_1": {"allowSharedKeyAccess": False},
    "MLOPS_ACCESS_7": {"properties": {"enableRbacAuthorization": True}},
    "MLOPS_WORKSPACE_4": {"identity": {"type": "UserAssigned"}, "primaryUserAssignedIdentity": "/id"},
    "MLOPS_DATASTORE_1": {
        "properties": {
            "credentials": {"credentialsType": "None"},
            "serviceDataAccessAuthIdentity": "WorkspaceUserAssignedIdentity",
        }
    },
    **{f"MLOPS_COMPUTE_{n}": CLUSTER for n in (1, 3, 4, 6)},
}


def put(inputs: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one other value, or without it."""
    first, _, rest = path.partition(".")
    if rest:
        return {**inputs, first: put(inputs.get(first, {}), rest, value)}
    return {k: v for k, v in {**inputs, first: value}.items() if v is not GONE}


@pytest.mark.parametrize(("check", "kind", "path", "admitted", "refused_"), ENTRY)
def test_each_input_has_the_values_that_its_rule_admits(
    *, check: str, kind: str, path: str, admitted: tuple[Any, ...], refused_: tuple[Any, ...]
) -> None:
    well = WELL.get(check, {})
    for value in (*admitted, UNKNOWN) if check != "MLOPS_ACCESS_2" else admitted:
        assert not refused(check, kind, put(well, path, value)), value
    for value in refused_:
        assert refused(check, kind, put(well, path, value)), value


@pytest.mark.parametrize("check", [f"MLOPS_COMPUTE_{n}" for n in (1, 2, 3, 4, 6)])
def test_what_is_no_cluster_has_no_nodes(check: str) -> None:
    for kind in ("ComputeInstance", "Kubernetes", None):
        assert not refused(check, f"{ML}Compute", {"properties": {"computeType": kind}})
    assert refused(check, f"{ML}Compute", CLUSTER)


@pytest.mark.parametrize(
    ("check", "kind", "path", "open_"),
    [
        ("MLOPS_COMPUTE_3", f"{ML}Compute", f"{AT}enableNodePublicIp", True),
        ("MLOPS_LOGS_2", LOGS, "workspaceCapping.dailyQuotaGb", 1),
        ("MLOPS_WORKSPACE_1", f"{ML}Workspace", "managedNetwork.isolationMode", "AllowInternetOutbound"),
        ("MLOPS_WORKSPACE_2", f"{ML}Workspace", "publicNetworkAccess", "Enabled"),
        ("MLOPS_ENDPOINT_2", f"{ML}OnlineEndpoint", "properties.publicNetworkAccess", "Enabled"),
    ],
)
@pytest.mark.parametrize("stack", ["dev", "dev-ann", "devil", "staging"])
def test_only_a_dev_stack_is_open(check: str, kind: str, path: str, open_: Any, stack: str) -> None:
    inputs = put(WELL.get(check, {}), path, open_)
    assert refused(check, kind, inputs, stack=stack) is (stack in ("devil", "staging"))


@pytest.mark.parametrize(("day", "ended"), [(date(2023, 8, 1), False), (date(2026, 1, 1), True)])
@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (f"{ML}Compute", {"properties": {"computeType": "AmlCompute", "properties": {"vmSize": "@"}}}),
        (
            "containerservice:ManagedCluster",
            {"agentPoolProfiles": [{"vmSize": "Standard_D2s_v5"}, {"vmSize": "@"}]},
        ),
    ],
)
def test_a_size_is_refused_once_azure_ended_it(
    *, monkeypatch: pytest.MonkeyPatch, day: date, ended: bool, kind: str, inputs: dict[str, Any]
) -> None:
    monkeypatch.setattr(checks_platform, "today", lambda: day)
    for size in ("STANDARD_NC6", UNKNOWN, None, "Standard_D2s_v5"):
        given = json.loads(json.dumps(inputs).replace('"@"', json.dumps(size)))
        assert refused("MLOPS_COMPUTE_7", kind, given) is (ended and size == "STANDARD_NC6"), size
    assert not refused("MLOPS_COMPUTE_7", kind, {})


_AT = "/subscriptions/s/resourceGroups/g/providers"


@pytest.mark.parametrize(
    ("watched", "right", "wrong"),
    [
        ("Microsoft.Storage/storageAccounts/a/blobServices/default", "Transaction", "AllMetrics"),
        ("Microsoft.Storage/storageAccounts/a/queueServices/default", "Capacity", "AllMetrics"),
        ("Microsoft.MachineLearningServices/workspaces/w", "AllMetrics", "Run"),
        ("Microsoft.KeyVault/vaults/v", "AllMetrics", "Transaction"),
        ("Microsoft.Network/networkSecurityGroups/n", "", "AllMetrics"),
        ("Microsoft.MachineLearningServices/workspaces/w/onlineEndpoints/e", "Traffic", ""),
        ("Microsoft.EventHub/namespaces/n", "AnyMetric", ""),
    ],
)
def test_a_metric_category_is_one_of_its_resource(watched: str, right: str, wrong: str) -> None:
    def given(category: str) -> dict[str, Any]:
        return {"resourceUri": f"{_AT}/{watched}", "metrics": [{"category": category}] if category else None}

    assert not refused("MLOPS_LOGS_3", "monitor:DiagnosticSetting", given(right))
    assert not wrong or refused("MLOPS_LOGS_3", "monitor:DiagnosticSetting", given(wrong))
    later = {**given(wrong or right), "resourceUri": UNKNOWN}
    assert not refused("MLOPS_LOGS_3", "monitor:DiagnosticSetting", later)


def test_what_is_no_size_is_none() -> None:
    pools = {"agentPoolProfiles": [{"vmSize": size} for size in ("a", None, UNKNOWN, "b")]}
    assert checks_platform.vm_sizes(resource("containerservice:ManagedCluster", pools)) == ["a", "b"]
    assert isinstance(checks_platform.today(), date)
