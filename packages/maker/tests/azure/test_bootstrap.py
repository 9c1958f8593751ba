"""`mlops bootstrap azure` on the emulator and on forges that hold every request to the documented API.

A second run that changes something, a killed run that cannot go on, or an undo that takes what it did not
make would each leave a person with a half-made platform or without their own things.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.bootstrap import grants
from mlops.bootstrap import steps as engine
from mlops.errors import Blocked, TargetError
from tests.azure.emulator import Answer, Emulator, types
from tests.azure.emulator.entra import CLIENT, TENANT
from tests.azure.emulator.workspaces import SUBSCRIPTION
from tests.azure.forges import github as github_api
from tests.azure.forges.github import FakeGitHub
from tests.azure.fork import Place, killed, place
from tests.azure.provisioned import snapshot


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch, FakeGitHub()) as made:
        yield made


def group(azure: Emulator) -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-flights-mlops-stat-we"


def test_the_plan_of_a_fresh_fork_creates_everything_and_changes_nothing(hub: Place):
    before = snapshot(hub.azure)
    planned = engine.plan(hub.steps(("dev", "staging", "prod")))
    assert {
        p.look.action for p in planned if p.step.key.startswith(("state", "stack", "grant", "env", "var"))
    } == {"create"}
    kept = [p.step for p in planned if p.look.action == "keep"]
    assert [s.key for s in kept if not isinstance(s, grants.Withdrawn)] == [
        "file:forge",
        f"providers:{SUBSCRIPTION}",
    ]
    assert snapshot(hub.azure) == before
    assert hub.writes() == []


def test_the_first_run_makes_all_and_the_second_changes_nothing(hub: Place):
    stacks = ("dev", "staging", "prod")
    assert hub.run(stacks, protect=True) > 40
    first = len(hub.writes())
    assert hub.run(stacks, protect=True) == 0
    assert hub.writes()[first:] == []
    assert set(hub.actions(stacks).values()) == {"keep"}


def test_the_state_is_closed_versioned_and_encrypted(hub: Place):
    hub.run()
    home = group(hub.azure)
    account = hub.azure.arm.below(f"{home}/providers/Microsoft.Storage/storageAccounts")[0]
    assert account["properties"]["allowSharedKeyAccess"] is False
    assert account["properties"]["allowBlobPublicAccess"] is False
    assert account["properties"]["minimumTlsVersion"] == "TLS1_2"
    blobs = hub.azure.arm.get(f"{account['id']}/blobServices/default")
    assert blobs["properties"]["isVersioningEnabled"] is True
    assert blobs["properties"]["deleteRetentionPolicy"] == {"enabled": True, "days": 30}
    vault = hub.azure.arm.below(f"{home}/providers/Microsoft.KeyVault/vaults")[0]
    assert vault["properties"]["enablePurgeProtection"] is True
    assert vault["properties"]["tenantId"] == TENANT
    assert (
        hub.pulumi.calls[0]
        == f"stack init shared --secrets-provider=azurekeyvault://{vault['name']}.vault.azure.net/keys/pulumi"
    )


def test_trust_is_what_github_says_and_is_there_before_pulumi_runs(hub: Place):
    hub.run()
    text = (hub.root / "environments/Pulumi.dev.yaml").read_text()
    assert f"subject_prefix: {github_api.PREFIX}\n" in text
    subjects = {
        row["properties"]["subject"]
        for row in hub.azure.arm.of_type(
            "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"
        )
    }
    assert subjects == {
        f"{github_api.PREFIX}:environment:{name}" for name in ("dev-plan", "dev", "dev-train")
    }
    assert sum(call.startswith("up --stack dev") for call in hub.pulumi.calls) == 1


def test_a_stack_file_keeps_every_other_byte(hub: Place):
    before = (hub.root / "environments/Pulumi.prod.yaml").read_text()
    hub.run(("prod",))
    after = (hub.root / "environments/Pulumi.prod.yaml").read_text()
    added = set(after.splitlines()) - set(before.splitlines())
    assert added == {
        f"    subject_prefix: {github_api.PREFIX}",
        "encryptedkey: AAAA",
        next(line for line in after.splitlines() if line.startswith("secretsprovider:")),
    }


def test_workflows_find_their_identity_and_people_approve_production(hub: Place):
    hub.run(("dev", "staging", "prod"))
    forge = hub.forge
    assert isinstance(forge, FakeGitHub)
    assert {n for n, body in forge.environments.items() if body["reviewers"]} == {
        "staging",
        "prod",
        "prod-promote",
    }
    assert forge.environments["prod"]["reviewers"] == [{"type": "User", "id": github_api.USER["id"]}]
    open_to_all = {n for n, body in forge.environments.items() if not body["deployment_branch_policy"]}
    assert open_to_all == {"dev-plan", "staging-plan", "prod-plan"}
    assert {tuple(b) for b in forge.branches.values()} == {("main",)}
    clients = {forge.variables[n]["AZURE_CLIENT_ID"] for n in forge.environments}
    assert len(clients) == len(forge.environments) == 11
    assert forge.variables[""]["MLOPS_TARGET"] == "azure"
    assert forge.variables[""]["AZURE_TENANT_ID"] == TENANT
    assert forge.variables[""]["PULUMI_BACKEND_URL"].startswith("azblob://state?storage_account=st")


def test_plan_and_apply_reach_the_state_and_only_apply_the_registry(hub: Place):
    hub.run()
    rows = [r["properties"] for r in hub.azure.identity.assignments(group(hub.azure))]
    assert len(rows) == 8, "three for the person, two each for plan and apply, one for train"
    shared = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-flights-mlops-shr-we"
    (admin,) = [
        r["properties"]
        for r in hub.azure.identity.assignments(shared)
        if r["properties"]["roleDefinitionId"].endswith("f58310d9-a9f6-439a-9e8d-f62e7b41a168")
    ]
    assert "ForAnyOfAnyValues:GuidEquals {" in admin["condition"]
    assert admin["conditionVersion"] == "2.0"


def test_a_person_is_a_user_and_a_workflow_a_service_principal(hub: Place):
    steps = hub.steps()
    own = next(s for s in steps if s.key.startswith("grant:you"))
    own.world.claims = {**own.world.claims, "scp": "user_impersonation"}
    engine.carry_out(steps, lambda step, look: None)
    rows = [r["properties"] for r in hub.azure.identity.assignments(group(hub.azure))]
    kinds = {(r["principalId"] == CLIENT, r["principalType"]) for r in rows}
    assert kinds == {(True, "User"), (False, "ServicePrincipal")}


def test_a_run_that_is_killed_at_any_change_is_completed_by_the_next(
    hub: Place, monkeypatch: pytest.MonkeyPatch
):
    """The process dies once at every change, one run after the other, until there is nothing left to do."""
    deaths = 0
    while killed(hub, ("dev",), 1, monkeypatch):
        deaths += 1
        assert deaths < 100, "the runs do not get any further"
    assert deaths >= 35, "every change must have been a place to die"
    assert set(hub.actions().values()) == {"keep"}
    assert sum(call.startswith("up --stack dev") for call in hub.pulumi.calls) == 1


def test_what_killed_runs_made_is_undone_too(hub: Place, monkeypatch: pytest.MonkeyPatch):
    before = snapshot(hub.azure)
    while killed(hub, ("dev",), 9, monkeypatch):
        pass
    for name in ("dev", "shared"):
        hub.pulumi.destroy(name)
    hub.undo()
    assert snapshot(hub.azure) == before
    forge = hub.forge
    assert isinstance(forge, FakeGitHub)
    assert (forge.environments, forge.variables) == ({}, {"": {}})


def test_undo_leaves_what_others_made_and_puts_back_what_was_changed(hub: Place):
    forge = hub.forge
    assert isinstance(forge, FakeGitHub)
    forge.environments["dev"] = {"wait_timer": 5, "deployment_branch_policy": None}
    forge.variables |= {"": {"MLOPS_TARGET": "local", "OWN": "1"}, "dev": {"OWN": "2"}}
    theirs = f"{group(hub.azure)}/providers/Microsoft.Storage/storageAccounts/theirs"
    hub.run(protect=True)
    hub.azure.arm.put(theirs, {"location": "westeurope", "properties": {}})
    assert forge.environments["dev"]["wait_timer"] == 5, "somebody's own rule stays"
    assert forge.environments["dev"]["deployment_branch_policy"]
    forge.secrets["dev-train"] = ["RELEASE_APP_PRIVATE_KEY"]
    for name in ("dev", "shared"):
        hub.pulumi.destroy(name)
    said = hub.undo()
    assert "leave resource group rg-flights-mlops-stat-we: theirs in it is not ours" in said
    assert "leave environment dev-train: secret RELEASE_APP_PRIVATE_KEY in it is not ours" in said
    assert set(forge.environments) == {"dev", "dev-train"}
    assert forge.environments["dev"]["wait_timer"] == 5
    assert forge.environments["dev"]["deployment_branch_policy"] is None
    assert forge.variables == {
        "": {"MLOPS_TARGET": "local", "OWN": "1"},
        "dev": {"OWN": "2"},
        "dev-train": {},
    }
    assert forge.rulesets == {}
    left = [r["id"] for r in hub.azure.arm.of_type("Microsoft.Storage/storageAccounts")]
    assert left == [theirs]
    assert hub.undo()[0].startswith("leave resource group"), "a second undo has nothing else to do"


def test_undo_never_deletes_an_environment(hub: Place):
    hub.run()
    before = len(hub.writes())
    with pytest.raises(Blocked, match=r"stack dev still has resources .* pulumi destroy --stack dev"):
        hub.undo()
    assert hub.writes()[before:] == []


def test_a_vault_comes_back_with_its_key(hub: Place):
    hub.run()
    for name in ("dev", "shared"):
        hub.pulumi.destroy(name)
    hub.undo()
    assert hub.azure.vaults.deleted
    look = {p.step.key: p.look for p in engine.plan(hub.steps())}["state:vault"]
    assert look.why == "recovered from soft deletion, with its key"
    hub.pulumi.history.clear()
    hub.run()
    assert not hub.azure.vaults.deleted
    keys = hub.azure.arm.of_type("Microsoft.KeyVault/vaults/keys")
    assert {key["name"] for key in keys} == {"pulumi", "records"}


def test_what_others_made_is_kept_when_it_is_right_and_refused_when_it_is_not(hub: Place):
    hub.run()
    (account,) = [
        r for r in hub.azure.arm.of_type("Microsoft.Storage/storageAccounts") if "stat" in r["name"]
    ]
    account["tags"] = {"cost-centre": "ours"}
    assert hub.actions()["state:account"] == "keep"
    account["properties"]["allowSharedKeyAccess"] = True
    before = len(hub.writes())
    with pytest.raises(Blocked, match="allowSharedKeyAccess is True, must be False"):
        engine.enforce(engine.plan(hub.steps()))
    with pytest.raises(Blocked, match="was not made by bootstrap"):
        hub.run()
    assert hub.writes()[before:] == []


def test_what_it_made_itself_is_corrected(hub: Place):
    hub.run()
    (account,) = [
        r for r in hub.azure.arm.of_type("Microsoft.Storage/storageAccounts") if "stat" in r["name"]
    ]
    account["properties"]["minimumTlsVersion"] = "TLS1_0"
    changed = [p for p in engine.plan(hub.steps()) if p.look.action != "keep"]
    assert [p.look.why for p in changed] == ["properties.minimumTlsVersion is 'TLS1_0', must be 'TLS1_2'"]
    assert hub.run() == 1
    assert hub.azure.arm.get(account["id"])["properties"]["minimumTlsVersion"] == "TLS1_2"


def test_a_name_that_somebody_else_has_is_refused_before_anything_is_made(hub: Place):
    hub.azure.subscription.taken.add(
        next(s for s in hub.steps() if s.key == "state:account").title.split()[-1]
    )
    with pytest.raises(Blocked, match=r"the name st.* cannot be had: .*already taken"):
        engine.enforce(engine.plan(hub.steps()))
    assert hub.writes() == []


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("/resourcegroups/rg-flights-mlops-stat-we", "needs the role Contributor on the subscription"),
        (
            "/microsoft.authorization/roleassignments",
            "needs the role Owner, or Role Based Access Control Administrator",
        ),
    ],
)
def test_without_the_right_the_sentence_names_the_role(hub: Place, part: str, sentence: str):
    hub.azure.arm.deny(part, "PUT")
    with pytest.raises(TargetError, match=sentence):
        hub.run()
    hub.azure.arm.allow()
    assert hub.run() > 0
    assert set(hub.actions().values()) == {"keep"}


def test_without_rights_on_the_forge_the_sentence_names_the_role(hub: Place):
    hub.forge.faults.append(
        lambda a: (403, {"message": "Must have admin rights"}) if a.method == "PUT" else None
    )
    with pytest.raises(
        TargetError, match=r"environment dev-plan: .*Must have admin rights.*needs the role Admin"
    ):
        hub.run()
    hub.forge.faults.clear()
    assert hub.run() > 0


def test_it_waits_until_the_new_assignments_work(hub: Place):
    hub.azure.fail(
        "GET", "blob.core.windows.net/state", Answer(403, {"error": {"code": "x", "message": "y"}}), times=3
    )
    hub.run()
    asked = hub.azure.calls("GET", "blob.core.windows.net/state")
    assert [e.status for e in asked] == [403, 403, 403, 200]
    assert hub.pulumi.calls[0].startswith("stack init shared"), "and only then Pulumi runs"


def test_a_provider_is_registered_and_waited_for(hub: Place):
    hub.azure.subscription.unregistered.add("Microsoft.EventGrid")
    hub.azure.subscription.slow = 2
    planned = next(p for p in engine.plan(hub.steps()) if p.step.key.startswith("providers"))
    assert (planned.look.action, planned.look.why) == ("create", "Microsoft.EventGrid")
    hub.run()
    assert len(hub.azure.calls("POST", "Microsoft.EventGrid/register")) == 1


def test_a_failed_update_is_run_again(hub: Place):
    hub.pulumi.fail = "dev"
    with pytest.raises(TargetError, match="pulumi up of dev failed"):
        hub.run()
    look = {p.step.key: p.look for p in engine.plan(hub.steps())}["stack:dev"]
    assert look.why.startswith("its last update failed")
    hub.run()
    assert set(hub.actions().values()) == {"keep"}


def test_a_renamed_repository_is_trusted_anew(hub: Place):
    hub.run()
    forge = hub.forge
    assert isinstance(forge, FakeGitHub)
    forge.prefix = {"use_default": True, "sub_claim_prefix": "repo:contoso@4242/renamed@777"}
    pending = {k: a for k, a in hub.actions().items() if a != "keep"}
    assert pending == {"file:subject:dev": "change", "stack:dev": "change"}
    hub.run()
    assert set(hub.actions().values()) == {"keep"}


def test_customised_subjects_are_refused_before_anything_is_made(hub: Place):
    forge = hub.forge
    assert isinstance(forge, FakeGitHub)
    forge.prefix = {"use_default": False, "include_claim_keys": ["repo", "context"]}
    with pytest.raises(TargetError, match=r"customised \(repo, context\).*gh api -X PUT"):
        engine.plan(hub.steps())
    assert hub.writes() == []


def test_chosen_reviewers_are_looked_up(hub: Place):
    steps = hub.steps(("prod",), reviewers=("grace", "contoso/ml-owners"))
    prod = next(s for s in steps if s.key == "environment:prod")
    assert prod.reviewers == [{"type": "User", "id": 12}, {"type": "Team", "id": 99}]


@pytest.mark.skipif(types.folder() is None, reason="ARM_TYPES does not name Azure's official types")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"minimumTlsVersion": "TLS1.2"}, "properties.minimumTlsVersion must be one of"),
        ({"allowSharedKeys": False}, "properties.allowSharedKeys is no property"),
    ],
)
def test_the_official_types_block_a_wrong_body(change: dict[str, object], sentence: str):
    """What holds every body that the tests above make."""
    body = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    kind, path = "Microsoft.Storage/storageAccounts", "/x/stflights"
    right = {**body, "properties": {"minimumTlsVersion": "TLS1_2"}}
    assert types.platform_problems(kind, "2024-01-01", path, right) == []
    found = types.platform_problems(kind, "2024-01-01", path, {**body, "properties": change})
    assert any(sentence in problem for problem in found), found
    assert types.platform_problems(kind, "2015-01-01", path, right), "another api-version is found too"


def test_what_an_earlier_bootstrap_gave_plan_is_taken_back(hub: Place):
    """It could write the state of every stack."""
    hub.run(("dev",))
    steps = hub.steps(("dev",))
    (withdrawn,) = [s for s in steps if isinstance(s, grants.Withdrawn)]
    (reader,) = [s for s in steps if s.title.startswith("Storage Blob Data Reader for dev/plan")]
    assert (withdrawn.look().action, reader.look().action) == ("keep", "keep")
    old = grants.Assignment(
        withdrawn.world, withdrawn.stack, "plan", grants.BLOB_CONTRIBUTOR, withdrawn.scope, withdrawn.place
    )
    old.make(old.look())
    assert withdrawn.look().action == "change"
    hub.run(("dev",))
    assert (withdrawn.look().action, old.look().action) == ("keep", "create")
