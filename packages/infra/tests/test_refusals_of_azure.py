"""The stand-in says no where Azure does, by rules that are written down apart from the program's own: one
that obeys its own mistake would pass otherwise."""

from __future__ import annotations

from datetime import date

import pytest

from graphs import STACKS, plan
from stand_in.rules import RULES, in_use, over_quota, refusals
from stand_in.values import TWINS, twin

TODAY = date(2026, 11, 29)
ML = "machinelearningservices:"


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_of_any_stack_is_refused(stack: str) -> None:
    found = [
        f"{r.name}: {refusal}"
        for r in plan(stack, everything=True).azure
        for refusal in refusals(r.kind, r.inputs, today=TODAY)
        if r.kind != "consumption:Budget"  # its month is that of the first update; test_time.py has it
    ]
    assert found == []


@pytest.mark.parametrize(
    ("kind", "inputs", "said"),
    [
        ("keyvault:Vault", {"vaultName": "kv-freight-dev--we-da6f"}, "InvalidResourceName"),
        ("keyvault:Vault", {"vaultName": "kv-" + "x" * 22}, "InvalidResourceName"),
        ("storage:StorageAccount", {"accountName": "stFreight"}, "InvalidResourceName"),
        ("containerregistry:Registry", {"registryName": "cr-freight"}, "InvalidResourceName"),
        (f"{ML}Compute", {"computeName": "cpu-1"}, "must not end in a hyphen and digits"),
        (f"{ML}OnlineEndpoint", {"endpointName": "x" * 33}, "InvalidResourceName"),
        ("storage:BlobContainer", {"containerName": "Data"}, "InvalidResourceName"),
        ("storage:StorageAccount", {"accountName": "stwindowsprd"}, "ReservedResourceName"),
        (f"{ML}OnlineEndpoint", {"endpointName": "login-risk-dev"}, "ReservedResourceName"),
    ],
)
def test_a_name_that_azure_does_not_take_is_refused(kind: str, inputs: dict[str, str], said: str) -> None:
    assert said in str(refusals(kind, inputs, today=TODAY)[0])


def _cluster(size: str) -> dict[str, object]:
    return {"computeName": "gpu", "properties": {"computeType": "AmlCompute", "properties": {"vmSize": size}}}


def test_a_size_that_ended_is_refused_from_its_day_on() -> None:
    wrong = _cluster("Standard_NC6s_v3")
    assert "is not available since 2025-09-30" in str(refusals(f"{ML}Compute", wrong, today=TODAY)[0])
    assert refusals(f"{ML}Compute", wrong, today=date(2025, 9, 1)) == []


@pytest.mark.parametrize("version", ["1.32", "1.32.11"])
def test_a_kubernetes_version_out_of_support_is_refused(version: str) -> None:
    kind, wrong = "containerservice:ManagedCluster", {"kubernetesVersion": version}
    (refusal,) = refusals(kind, wrong, today=TODAY)
    assert "K8sVersionNotSupported" in str(refusal)
    assert refusals(kind, wrong, today=date(2026, 3, 31)) == []


def test_a_family_without_cores_is_refused() -> None:
    wrong = _cluster("Standard_NC6s_v3")
    (refusal,) = over_quota(f"{ML}Compute", wrong, {"NCv3": 0})
    assert "one Standard_NC6s_v3 node takes 6" in str(refusal)
    assert over_quota(f"{ML}Compute", wrong, {"NCv3": 6}) == over_quota(f"{ML}Compute", wrong, {}) == []


def test_what_is_in_use_is_not_deleted() -> None:
    graph = plan("staging")
    there = {r.id.lower(): {"kind": r.kind, "outputs": dict(r.inputs)} for r in graph.azure}
    for kind, said in (
        ("network:VirtualNetwork", "InUseSubnetCannotBeDeleted"),
        ("network:NetworkSecurityGroup", "guards"),
        ("privatedns:PrivateZone", "still has the link"),
    ):
        (first, *_) = graph.of(kind)
        assert said in str(in_use(kind, first.id, there)), kind
    subnet = graph.named("subnet-endpoints")
    assert "is in use by" in str(in_use(subnet.kind, subnet.id, there))
    alone = {subnet.id.lower(): there[subnet.id.lower()]}
    assert in_use(subnet.kind, subnet.id, alone) is None


_WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
_BLOBS = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/blobServices/default"
)


def _container(memory: float) -> dict[str, object]:
    return {"containers": [{"name": "c", "resources": {"requests": {"memoryInGB": memory}}}]}


def _scaled(least: int, most: int) -> dict[str, object]:
    scale = {"minNodeCount": least, "maxNodeCount": most}
    return {"computeName": "cpu", "properties": {"properties": {"scaleSettings": scale}}}


@pytest.mark.parametrize(
    ("kind", "wrong", "right", "said"),
    [
        ("monitor:ActionGroup", {"groupShortName": "x" * 13}, {"groupShortName": "x" * 12}, "12 characters"),
        (
            "monitor:DiagnosticSetting",
            {"resourceUri": _WORKSPACE, "metrics": [{"category": "Run"}]},
            {"resourceUri": _WORKSPACE, "metrics": [{"category": "AllMetrics"}]},
            "supported categories are: AllMetrics",
        ),
        (
            "monitor:DiagnosticSetting",
            {"resourceUri": _BLOBS, "metrics": [{"category": "AllMetrics"}]},
            {"resourceUri": _BLOBS, "metrics": [{"category": "Transaction"}]},
            "supported categories are: Transaction",
        ),
        ("containerinstance:ContainerGroup", _container(0.55), _container(0.5), "increments of 0.1 GB"),
        (
            "storage:StorageAccount",
            {"accountName": "abc", "location": "westus", "sku": {"name": "Standard_ZRS"}},
            {"accountName": "abc", "location": "westeurope", "sku": {"name": "Standard_GZRS"}},
            "RedundancyConfigurationNotAvailableInRegion",
        ),
        (
            "privatedns:PrivateZone",
            {"tags": {f"t{n}": "x" for n in range(16)}},
            {"tags": {f"t{n}": "x" for n in range(15)}},
            "16 tags, 15 may be",
        ),
        ("resources:ResourceGroup", {"tags": {"azure-x": "y"}}, {"tags": {"x": "y"}}, "ReservedTagName"),
        (f"{ML}Compute", _scaled(2, 1), _scaled(0, 1), "must not exceed maxNodeCount"),
        (
            f"{ML}Compute",
            {**_cluster("Standard_NC4as_T4_v3"), "location": "norwayeast"},
            {**_cluster("Standard_NC4as_T4_v3"), "location": "westeurope"},
            "InvalidVMSize",
        ),
        (f"{ML}Compute", _cluster("Standard_D4ds_v55"), _cluster("Standard_D4ds_v5"), "InvalidVMSize"),
        (
            "keyvault:Vault",
            {"vaultName": "kv-a", "properties": {"enablePurgeProtection": False}},
            {"vaultName": "kv-a", "properties": {"softDeleteRetentionInDays": 7}},
            "cannot be set to false",
        ),
        (
            "operationalinsights:Workspace",
            {"workspaceName": "log-a", "retentionInDays": 7},
            {"workspaceName": "log-a", "retentionInDays": 30},
            "between 30 and 730",
        ),
    ],
)
def test_a_value_that_azure_does_not_take_is_refused(
    kind: str, wrong: dict[str, object], right: dict[str, object], said: str
) -> None:
    def about_values(inputs: dict[str, object]) -> list[str]:
        return [str(r) for r in refusals(kind, inputs, today=TODAY) if "InvalidResourceName" not in str(r)]

    assert any(said in refusal for refusal in about_values(wrong))
    assert about_values(right) == []


def test_a_budget_warns_five_times_at_most() -> None:
    month = {"timePeriod": {"startDate": "2026-11-01", "endDate": "2036-11-01"}}
    notes = {f"n{n}": {"threshold": 10 * n} for n in range(6)}
    (refusal,) = refusals("consumption:Budget", {**month, "notifications": notes}, today=TODAY)
    assert "6 notifications, 5 may be" in str(refusal)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("authorization:RoleAssignment", "roleAssignmentName"),
        ("managedidentity:FederatedIdentityCredential", "federatedIdentityCredentialResourceName"),
        ("eventgrid:SystemTopic", "systemTopicName"),
    ],
)
def test_what_azure_takes_for_one_is_refused_twice(kind: str, name: str) -> None:
    graph = plan("staging")
    there = {r.id.lower(): {"id": r.id, "kind": r.kind, "outputs": dict(r.inputs)} for r in graph.azure}
    first = graph.of(kind)[0]
    assert twin(kind, first.id, first.inputs, there) is None
    assert name in first.inputs
    assert twin(kind, f"{first.id.rpartition('/')[0]}/another", first.inputs, there) is not None


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_of_any_stack_is_there_twice(stack: str) -> None:
    resources = plan(stack, everything=True).azure
    there = {r.id.lower(): {"id": r.id, "kind": r.kind, "outputs": dict(r.inputs)} for r in resources}
    assert [str(t) for r in resources if (t := twin(r.kind, r.id, r.inputs, there))] == []


def test_every_rule_says_where_it_was_read() -> None:
    assert all(len(rule.source) > 15 for rule in (*RULES, *TWINS))
