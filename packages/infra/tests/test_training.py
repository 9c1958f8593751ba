"""Environments that are trained for elsewhere reach the stack that trains, and no further than they must:
prod's monitoring compares live traffic with what lies there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from graphs import ROOT, TRAINS, exports, plan
from mlops.errors import InvalidInput
from mlops.infra import expired
from mlops.infra.plan.mocks import guid as pretend_guid
from mlops.infra.plan.stacks import capture_stacks
from mlops.infra.policy.judge import judge
from mlops.infra.roles import BUILT_IN


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_who_trains_for_an_environment_elsewhere_reads_there_and_writes_nothing(stack: str) -> None:
    """What a release is compared with lies where it was trained: monitor and retrain of prod need it."""
    graph, home = plan(stack), exports(TRAINS)
    train = pretend_guid(graph.named("identity-train").id, "principal")
    held = {
        (g.inputs["roleDefinitionId"].rsplit("/", 1)[1], g.inputs["scope"])
        for g in graph.of("authorization:RoleAssignment")
        if g.inputs["principalId"] == train and f"/{home['resource_group']}/" in f"{g.inputs['scope']}/"
    }
    assert held == {
        (BUILT_IN["AzureML Data Scientist"], home["workspace_id"]),
        (BUILT_IN["Storage Blob Data Reader"], home["storage_account_id"]),
    }
    rule = graph.named("outbound-training-storage")
    assert rule.get("properties.destination") == f"{home['storage_account']}.blob.core.windows.net"
    assert rule.urn in graph.named("compute-cpu-cluster").dependencies, "a job starts when the way is open"


def test_an_environment_without_another_one_that_trains_reaches_into_none() -> None:
    for graph in (plan(TRAINS), plan("prod", training_stack=None)):
        assert not [g.name for g in graph.of("authorization:RoleAssignment") if "training" in g.name]
        assert not [r.name for r in graph if r.name == "outbound-training-storage"]


def test_the_stack_that_trains_is_the_one_of_the_settings() -> None:
    with pytest.raises(
        InvalidInput, match=rf"Pulumi\.prod\.yaml.*must end with /{TRAINS}, the stack that trains"
    ):
        plan("prod", training_stack="organization/mlops/staging")
    with pytest.raises(InvalidInput, match="this stack trains itself"):
        plan(TRAINS, training_stack=f"organization/mlops/{TRAINS}")


def test_planning_one_stack_runs_those_that_it_reads() -> None:
    assert [c.stack for c in capture_stacks(ROOT, ["staging"])] == ["staging"]


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A repository whose stack that trains has no public side."""
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy2(ROOT / name, tmp_path / name)
    for name in ("environments", "pipelines"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    file = tmp_path / f"environments/Pulumi.{TRAINS}.yaml"
    network = "  mlops:network: {isolation: internet_outbound, private_endpoints: true}\n"
    text = re.sub(r"  mlops:network:\n(    .*\n)+", network, file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")
    return tmp_path


def test_a_private_stack_that_trains_is_reached_by_private_endpoints(private: Path) -> None:
    """An approved domain leads nowhere when the account answers no address of the internet."""
    graphs = {c.stack: c for c in capture_stacks(private)}
    home = graphs[TRAINS].exports
    for stack in ("staging", "prod"):
        graph = graphs[stack]
        assert not [r.name for r in graph if r.name == "outbound-training-storage"]
        blob, workspace = (graph.named(f"outbound-training-{what}") for what in ("blob", "workspace"))
        assert blob.get("properties.destination") == {
            "serviceResourceId": home["storage_account_id"],
            "sparkEnabled": False,
            "subresourceTarget": "blob",
        }
        assert workspace.get("properties.destination.serviceResourceId") == home["workspace_id"]
        assert workspace.get("properties.destination.subresourceTarget") == "amlworkspace"
        assert {blob.urn, workspace.urn} <= set(graph.named("compute-cpu-cluster").dependencies)
        approver = pretend_guid(graph.named("identity-workspace").id, "principal")
        role = BUILT_IN["Azure AI Enterprise Network Connection Approver"]
        held = {
            g.inputs["scope"]
            for g in graph.of("authorization:RoleAssignment")
            if g.inputs["principalId"] == approver and g.inputs["roleDefinitionId"].endswith(role)
        }
        assert {home["storage_account_id"], home["workspace_id"]} <= held
        allowed = {g.urn for g in graph.of("authorization:RoleAssignment") if g.inputs["scope"] in held}
        assert allowed & set(graph.named("workspace").dependencies), "before the network asks for it"
        assert judge(graph.azure) == []


def test_a_private_stack_that_trains_lets_the_registry_copy_its_models(private: Path) -> None:
    """Azure cannot share a model out of an account without a public side: one resource is let in, no
    address."""
    graphs = {c.stack: c for c in capture_stacks(private, ["shared", TRAINS, "staging"])}
    account = graphs[TRAINS].named("storage")
    assert account.get("publicNetworkAccess") == "Enabled"
    rules = account.get("networkRuleSet")
    assert (rules["defaultAction"], rules.get("ipRules")) == ("Deny", None)
    registry = graphs["shared"].exports["registry_id"]
    assert [r["resourceId"] for r in rules["resourceAccessRules"]] == [registry]
    assert graphs["staging"].named("storage").get("publicNetworkAccess") == "Disabled"
    assert plan(TRAINS).named("storage").get("networkRuleSet.resourceAccessRules") is None
    assert judge(graphs[TRAINS].azure) == []


@pytest.fixture
def with_a_clock(tmp_path: Path) -> Path:
    """A repository whose stack that trains is destroyed when nobody has updated it for two weeks."""
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy2(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    file = tmp_path / f"environments/Pulumi.{TRAINS}.yaml"
    file.write_text(file.read_text().replace("config:\n", "config:\n  mlops:ttl: 14d\n", 1))
    return tmp_path


def test_no_clock_destroys_what_releases_are_compared_with(with_a_clock: Path) -> None:
    """Neither planned nor listed for the destroy workflow."""
    sentence = rf"Pulumi\.{TRAINS}\.yaml.*ttl.*(staging|prod) is trained for here"
    with pytest.raises(InvalidInput, match=sentence):
        capture_stacks(with_a_clock, ["prod"])
    with pytest.raises(InvalidInput, match=sentence):
        expired.configured(with_a_clock)
    assert [c.stack for c in capture_stacks(with_a_clock, [TRAINS])] == [TRAINS], "alone it may have one"
