"""The stand-in says no where Azure does, by rules that are written down apart from the program's own: one
that obeys its own mistake would pass otherwise."""

from __future__ import annotations

from datetime import date

import pytest

from graphs import STACKS, plan
from stand_in.rules import RULES, in_use, over_quota, refusals

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


def test_every_rule_says_where_it_was_read() -> None:
    assert all(len(rule.source) > 15 for rule in RULES)
