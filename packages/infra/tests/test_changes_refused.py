"""What Azure refuses to change in place, or to do beside something else: the stand-in refuses it, and the
program never asks for it, or a pull request hears of it before Azure does.

Seen before: taking `protect` away, as the page on destroying says, asked the vault for other days of soft
delete, which Azure refuses, so that no staging could be destroyed; and six private endpoints began at once on
one subnet, three of them on one storage account."""

from __future__ import annotations

from typing import Any

import pytest

from graphs import ENVIRONMENTS, STACKS, plan
from mlops.infra.model import Captured, Resource
from mlops.infra.plan.diff import Change, changes
from mlops.infra.plan.doors import DOORS, told
from stand_in.rules import ALONE, KEPT, kept, occupied

ML = "machinelearningservices:"


def _put(path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: _put(rest, value) if rest else value}


_POOL = [{"name": "work", "vmSize": "Standard_D4ds_v5"}]
_LARGER = [{"name": "work", "vmSize": "Standard_D8ds_v5"}]
_CONTAINER = [{"name": "score", "resources": {"requests": {"cpu": 1}}}]
_MORE = [{"name": "score", "resources": {"requests": {"cpu": 2}}}]
EXAMPLES: list[tuple[str, str, Any, Any]] = [
    ("keyvault:Vault", "properties.softDeleteRetentionInDays", 90, 7),
    ("keyvault:Vault", "properties.softDeleteRetentionInDays", 7, 90),
    ("keyvault:Vault", "properties.enablePurgeProtection", True, False),
    ("storage:StorageAccount", "sku.name", "Standard_LRS", "Standard_ZRS"),
    ("storage:StorageAccount", "sku.name", "Standard_GZRS", "Standard_GRS"),
    ("storage:StorageAccount", "encryption.requireInfrastructureEncryption", True, None),
    ("containerregistry:Registry", "encryption.status", None, "enabled"),
    ("containerregistry:Registry", "encryption.status", "enabled", None),
    (f"{ML}Workspace", "managedNetwork.isolationMode", "AllowOnlyApprovedOutbound", "AllowInternetOutbound"),
    (f"{ML}Workspace", "managedNetwork.isolationMode", "AllowInternetOutbound", "Disabled"),
    (f"{ML}Workspace", "encryption.status", None, "Enabled"),
    ("network:VirtualNetwork", "addressSpace.addressPrefixes", ["10.10.0.0/22"], ["10.20.0.0/22"]),
    ("network:Subnet", "addressPrefix", "10.10.0.0/24", "10.20.0.0/24"),
    ("consumption:Budget", "timePeriod.startDate", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
    ("containerservice:ManagedCluster", "agentPoolProfiles", _POOL, _LARGER),
    ("containerservice:ManagedCluster", "apiServerAccessProfile.enablePrivateCluster", False, True),
    ("containerinstance:ContainerGroup", "osType", "Linux", "Windows"),
    ("containerinstance:ContainerGroup", "restartPolicy", "Always", "OnFailure"),
    ("containerinstance:ContainerGroup", "ipAddress.type", "Public", "Private"),
    ("containerinstance:ContainerGroup", "subnetIds", None, [{"id": "/x"}]),
    ("containerinstance:ContainerGroup", "containers", _CONTAINER, _MORE),
]
ALLOWED: list[tuple[str, str, Any, Any]] = [
    ("keyvault:Vault", "properties.enablePurgeProtection", True, None),
    ("keyvault:Vault", "properties.enablePurgeProtection", None, True),
    ("storage:StorageAccount", "sku.name", "Standard_LRS", "Standard_GRS"),
    ("storage:StorageAccount", "sku.name", "Standard_ZRS", "Standard_GZRS"),
    (f"{ML}Workspace", "managedNetwork.isolationMode", "AllowInternetOutbound", "AllowOnlyApprovedOutbound"),
    ("containerservice:ManagedCluster", "agentPoolProfiles", _POOL, [{**_POOL[0], "maxCount": 9}]),
    ("containerservice:ManagedCluster", "agentPoolProfiles", _POOL, [*_POOL, {"name": "more"}]),
    ("containerinstance:ContainerGroup", "containers", _CONTAINER, [{**_CONTAINER[0], "image": "other"}]),
]


@pytest.mark.parametrize(("kind", "path", "before", "after"), EXAMPLES)
def test_the_stand_in_refuses_the_change(kind: str, path: str, before: Any, after: Any) -> None:
    assert kept(kind, _put(path, before), _put(path, after))
    assert kept(kind, _put(path, before), _put(path, before)) == []


@pytest.mark.parametrize(("kind", "path", "before", "after"), ALLOWED)
def test_the_stand_in_takes_what_azure_takes(kind: str, path: str, before: Any, after: Any) -> None:
    assert kept(kind, _put(path, before), _put(path, after)) == []


def test_every_rule_has_an_example_and_a_source() -> None:
    assert {(k.kind, k.path) for k in KEPT} == {(kind, path) for kind, path, *_ in EXAMPLES}
    assert all(len(k.source) > 15 for k in (*KEPT, *ALONE))
    assert all(len(d.source) > 15 for d in DOORS)


def _refused(before: Captured, after: Captured) -> list[Change]:
    """The updates in place that Azure would refuse, with what the engine leaves out of them."""
    was, now = {r.urn: r for r in before.azure}, {r.urn: r for r in after.azure}
    return [
        change
        for change in changes(before, after)
        if change.kind == "update"
        and kept(
            change.type, _sent(was[change.urn], was[change.urn]), _sent(was[change.urn], now[change.urn])
        )
    ]


def _sent(old: Resource, new: Resource) -> dict[str, Any]:
    """The inputs of an update: of what the program ignores, the old ones."""
    inputs = _copied(new.inputs)
    for path in new.options.get("ignore_changes", ()):
        *above, last = path.split(".")
        source: Any = old.inputs
        target = inputs
        for part in above:
            source, target = source.get(part, {}), target.setdefault(part, {})
        if isinstance(source, dict) and last in source:
            target[last] = source[last]
    return inputs


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    return [_copied(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("stack", ENVIRONMENTS)
@pytest.mark.parametrize("protect", [True, False])
def test_protection_comes_and_goes_without_a_refusal(stack: str, protect: bool) -> None:
    """The first step of destroying a protected stack is an update."""
    assert _refused(plan(stack, protect=not protect), plan(stack, protect=protect)) == []


EDITS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("dev", {"storage": {"redundancy": "LRS"}}, {"storage": {"redundancy": "ZRS"}}),
    ("dev", {}, {"customer_managed_keys": True}),
    ("dev", {"network": {"isolation": "internet_outbound"}}, {"network": {"isolation": "open"}}),
    (
        "staging",
        {},
        {
            "network": {
                "isolation": "approved_outbound",
                "private_endpoints": True,
                "address_space": "10.99.0.0/22",
                "outbound": ["pypi.org"],
            }
        },
    ),
    ("dev", {"options": {"aks": {}}}, {"options": {"aks": {"vm_size": "Standard_D8ds_v5"}}}),
]


@pytest.mark.parametrize(("stack", "before", "after"), EDITS)
def test_a_pull_request_hears_of_what_azure_refuses(
    stack: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    one, other = plan(stack, **before), plan(stack, **after)
    sentences = told(stack, changes(one, other))
    for change in _refused(one, other):
        if change.type == "network:Subnet":
            continue  # of its network, which is told
        assert any(f"{change.name}: Azure refuses" in s for s in sentences), (change.name, sentences)
    assert sentences
    assert all(s.startswith(f"stack {stack}: ") for s in sentences)
    assert told(stack, changes(one, one)) == []


def test_what_grows_is_not_refused() -> None:
    small, large = {"aks": {"max_nodes": 3}}, {"aks": {"max_nodes": 6}}
    found = changes(plan("dev", options=small), plan("dev", options=large))
    assert [c.type for c in found] == ["containerservice:ManagedCluster"]
    assert told("dev", found) == []


def test_rights_of_apply_are_a_persons() -> None:
    before = plan("dev")
    grant = next(r for r in before.azure if r.inputs.get("condition"))
    narrower = Resource(
        **{**vars(grant), "inputs": {**grant.inputs, "condition": "@Resource[x] StringEquals 'y'"}}
    )
    after = Captured(
        **{**vars(before), "resources": tuple(narrower if r is grant else r for r in before.resources)}
    )
    (sentence,) = told("dev", changes(before, after))
    assert "`apply` may not change that itself" in sentence


def _needs(graph: Captured, resource: Resource) -> set[str]:
    """Everything that is made before, however far away."""
    by_urn = {r.urn: r for r in graph}
    found: set[str] = set()
    todo = [resource]
    while todo:
        for urn in todo.pop().dependencies:
            if urn not in found:
                found.add(urn)
                if urn in by_urn:
                    todo.append(by_urn[urn])
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_begins_beside_what_must_be_alone(stack: str) -> None:
    graph = plan(stack, everything=True)
    by_target: dict[str, list[Resource]] = {}
    for resource in graph.azure:
        for target in occupied(resource.kind, resource.inputs, resource.id):
            by_target.setdefault(target, []).append(resource)
    if plan(stack).of("network:PrivateEndpoint"):
        assert {a.kind for a in ALONE} <= {r.kind for found in by_target.values() for r in found}
        assert max(len(found) for found in by_target.values()) > 10
    needs = {r.urn: _needs(graph, r) for found in by_target.values() for r in found}
    together = [
        (a.name, b.name, target)
        for target, found in by_target.items()
        for index, a in enumerate(found)
        for b in found[index + 1 :]
        if a.urn not in needs[b.urn] and b.urn not in needs[a.urn]
    ]
    assert together == []
