"""`mlops bootstrap azure --forge azure-devops`: identities first, then connections, then trust."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.bootstrap import steps as engine
from mlops.bootstrap.azure_devops_rules import REVIEWERS, BranchPolicies
from mlops.errors import Blocked, MlopsError
from mlops.forge.azure_devops_settings import AzureDevOpsSettings
from tests.azure.emulator.entra import TENANT
from tests.azure.forges import azure_devops as devops_api
from tests.azure.forges.azure_devops import ORGANIZATION, PROJECT, FakeAzureDevOps
from tests.azure.fork import Place, killed, place
from tests.azure.provisioned import snapshot


@pytest.fixture
def devops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch, FakeAzureDevOps()) as made:
        yield made


def test_azure_devops_first_run_makes_all_and_the_second_changes_nothing(devops: Place):
    stacks = ("dev", "staging", "prod")
    assert devops.run(stacks) > 40
    first = len(devops.writes())
    assert devops.run(stacks) == 0
    assert devops.writes()[first:] == []
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    approved = {
        forge.environments[n]["name"]
        for n, c in forge.checks.items()
        if any(x["type"]["name"] == "Approval" for x in c)
    }
    locked = {
        forge.environments[n]["name"]
        for n, c in forge.checks.items()
        if any(x["type"]["name"] == "ExclusiveLock" for x in c)
    }
    assert approved == {"staging", "prod", "prod-promote"}
    assert locked == set(forge.connections) - {"dev-plan", "staging-plan", "prod-plan"}


def test_trust_is_what_the_service_connections_show_and_no_repository_of_github(devops: Place):
    devops.run()
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    shown = {
        c["authorization"]["parameters"]["workloadIdentityFederationSubject"]
        for c in forge.connections.values()
    }
    rows = devops.azure.arm.of_type(
        "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"
    )
    assert {r["properties"]["subject"] for r in rows} == shown
    assert {r["properties"]["issuer"] for r in rows} == {f"https://login.microsoftonline.com/{TENANT}/v2.0"}
    assert "subject_prefix" not in (devops.root / "environments/Pulumi.dev.yaml").read_text()
    variables = (devops.root / "pipelines/azure-devops/templates/variables.yml").read_text()
    assert "\n  MLOPS_TARGET: azure\n" in variables
    assert re.search(r'\n  PULUMI_BACKEND_URL: "?azblob://state\?storage_account=st', variables)
    assert sum(call.startswith("up --stack dev") for call in devops.pulumi.calls) == 2, (
        "identities, then trust"
    )


def test_azure_devops_runs_that_were_killed_are_completed_and_undone(
    devops: Place, monkeypatch: pytest.MonkeyPatch
):
    before = snapshot(devops.azure)
    deaths = 0
    while killed(devops, ("dev",), 3, monkeypatch):
        deaths += 1
        assert deaths < 60
    assert deaths >= 7
    assert set(devops.actions().values()) == {"keep"}
    for name in ("dev", "shared"):
        devops.pulumi.destroy(name)
    devops.undo()
    assert snapshot(devops.azure) == before
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    assert (forge.connections, forge.environments) == ({}, {})


def test_somebody_elses_connection_is_not_touched(devops: Place):
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    forge.connections["dev"] = {
        "id": "1",
        "name": "dev",
        "authorization": {"parameters": {"serviceprincipalid": "x"}},
    }
    with pytest.raises(
        Blocked, match="service connection dev: it was not made by bootstrap and has no workload"
    ):
        engine.enforce(engine.plan(devops.steps()))


def test_an_unknown_project_is_a_sentence(devops: Place):
    path = devops.root / "mlops.toml"
    path.write_text(path.read_text().replace(devops_api.PROJECT, "nowhere"))
    devops.forge.faults.append(lambda a: (404, {"message": "no"}) if "nowhere" in a.path else None)
    with pytest.raises(MlopsError, match="no project contoso/nowhere that you can see"):
        devops.steps()


def test_protect_makes_the_policies_that_doctor_asks_for(devops: Place):
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    policies = BranchPolicies(client(devops), "flights")
    look = policies.look()
    assert (look.action, look.why) == (
        "create",
        "main can change without a review; main can change without the checks of ci",
    )
    policies.make(look)
    assert policies.look().action == "keep"
    review, build = forge.policies
    assert (
        review["settings"]["creatorVoteCounts"] is False and review["settings"]["resetOnSourcePush"] is True
    )
    assert build["settings"]["buildDefinitionId"] == 7
    assert policies.ours() == "", "main is not opened by an undo"


def test_a_policy_of_somebody_that_asks_too_little_is_told_with_the_command(devops: Place):
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    scope = {"repositoryId": None, "refName": None, "matchKind": "DefaultBranch"}
    forge.policy(REVIEWERS, scope, minimumApproverCount=1, creatorVoteCounts=True, resetOnSourcePush=True)
    look = BranchPolicies(client(devops), "flights").look()
    assert look.action == "refuse"
    assert "az repos policy approver-count update" in look.why and "--creator-vote-counts false" in look.why
    assert len(forge.policies) == 1


def test_without_the_pipeline_its_checks_cannot_be_asked_for(devops: Place):
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    forge.pipelines = {"ci-nightly": 8}
    look = BranchPolicies(client(devops), "flights").look()
    assert look.action == "refuse" and "az pipelines create" in look.why and "--name ci " in look.why


def test_only_protect_asks_for_policies(devops: Place):
    def keys(protect: bool) -> set[str]:
        return {step.key for step in devops.steps(protect=protect)}

    assert keys(protect=True) - keys(protect=False) == {"branch policies"}


def client(devops: Place) -> AzureDevOpsSettings:
    assert isinstance(devops.forge, FakeAzureDevOps)
    return AzureDevOpsSettings(ORGANIZATION, PROJECT, "Bearer x", devops.forge.url)
