"""`mlops doctor` on a platform that bootstrap has set up: all is well, and every kind of damage is found.

A check that cannot fail tells a person that all is well while nothing works. Each has a test that makes it
fail.
"""

# ruff: noqa: E501  the table of damage is read by column

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops.bootstrap.records import PUBLIC
from mlops.bootstrap.world import read_stack
from mlops.doctor import azure, forge, locks, platform
from mlops.doctor.case import Case
from mlops.doctor.finding import Finding, code
from mlops.doctor.run import CHECKS, diagnose
from mlops.spec.settings import load_settings
from tests.azure.emulator.subscription import Subscription
from tests.azure.emulator.vaults import CRYPTO_USER
from tests.azure.emulator.workspaces import SUBSCRIPTION
from tests.azure.forges import github as github_api
from tests.azure.forges.azure_devops import REPOSITORY_ID, FakeAzureDevOps
from tests.azure.forges.github import FakeGitHub
from tests.azure.fork import Place, place
from tests.azure.provisioned import assign, bring_up, principal, scopes_of

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
ONLINE = (*azure.CHECKS, *platform.CHECKS, *forge.CHECKS, *locks.CHECKS)


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A fork on GitHub whose environment `dev` is up and whose main is protected. Made once."""
    with (
        pytest.MonkeyPatch.context() as patch,
        place(tmp_path_factory.mktemp("hub"), patch, FakeGitHub()) as made,
    ):
        made.run(protect=True)
        github(made).variables[""]["RELEASE_APP_CLIENT_ID"] = "Iv1.abc"
        github(made).secrets["dev-train"] = ["RELEASE_APP_PRIVATE_KEY"]
        yield made


@pytest.fixture
def hub(set_up: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The same for one test, which may damage what it likes."""
    for name, value in set_up.env.items():
        monkeypatch.setenv(name, value)
    before, azure = kept(set_up), set_up.azure
    yield set_up
    azure.arm._resources, files, blobs, settings = before
    for path, text in files.items():
        path.write_text(text)
    azure.blobs.accounts.clear()
    azure.blobs.accounts.update(blobs)
    vars(github(set_up)).update(settings)
    azure.arm.allow()
    azure.entra.unknown = False
    azure.vaults.deleted.clear()
    vars(azure.subscription).update(vars(Subscription(azure)) | {"_emulator": azure})


def kept(made: Place) -> tuple[Any, ...]:
    """What a test may change."""
    places = [*(made.root / "environments").glob("*.yaml"), made.root / PUBLIC, made.root / "mlops.toml"]
    files = {p: p.read_text() for p in places}
    names = ("prefix", "environments", "branches", "variables", "secrets", "rulesets", "protection")
    settings = {name: copy.deepcopy(getattr(made.forge, name)) for name in names}
    return copy.deepcopy(made.azure.arm._resources), files, copy.deepcopy(made.azure.blobs.accounts), settings


@pytest.fixture
def devops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch, FakeAzureDevOps()) as made:
        made.run()
        yield made


def ask(made: Place, *names: str) -> list[Finding]:
    checks = [c for c in CHECKS if not names or c.name in names]
    return diagnose(Case(made.root, stacks=("shared", "dev")), checks=checks)


def problems(made: Place, *names: str) -> list[Finding]:
    return [f for f in ask(made, "login", *names) if f.severity in ("warning", "error", "unknown")]


def test_a_platform_that_bootstrap_made_is_well(hub: Place):
    found = ask(hub, *(c.name for c in ONLINE))
    assert [f for f in found if f.severity not in ("ok", "note")] == []
    assert {f.check for f in found} == {c.name for c in ONLINE}, "every check says something"


def test_nothing_is_changed_by_looking(hub: Place):
    before = len(hub.writes())
    ask(hub)
    assert hub.writes()[before:] == []


def github(made: Place) -> FakeGitHub:
    assert isinstance(made.forge, FakeGitHub)
    return made.forge


def _other_prefix(hub: Place) -> None:
    github(hub).prefix = {"use_default": True, "sub_claim_prefix": "repo:contoso@4242/renamed@777"}


def _stranger_trusted(hub: Place) -> None:
    (row,) = [
        r
        for r in hub.azure.arm.of_type(
            "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"
        )
        if r["properties"]["subject"].endswith(":environment:dev")
    ]
    row["properties"]["subject"] = "repo:contoso/flights:environment:dev"


def _role_taken(hub: Place) -> None:
    (row,) = [
        r
        for r in hub.azure.identity.assignments()
        if "workspaces/mlw" in r["properties"]["scope"]
        and r["properties"]["roleDefinitionId"].endswith("f6c7c914-8db3-469d-8ca1-694a8f32e121")
    ]  # fmt: skip
    hub.azure.arm.remove(row["id"])


def _role_added(hub: Place) -> None:
    stack = read_stack(hub.root, load_settings(hub.root), "dev")
    scope = f"/subscriptions/{SUBSCRIPTION}"
    definition = f"{scope}/providers/Microsoft.Authorization/roleDefinitions/{OWNER}"
    assign(hub.azure, scope, definition, principal(stack, "train"), "by-hand")


def _name_taken(hub: Place) -> None:
    settings = load_settings(hub.root)
    stack = read_stack(hub.root, settings, "dev")
    hub.azure.arm.remove(scopes_of(hub.root, settings, stack)["storage account"])
    hub.azure.subscription.taken.add(stack.names("storage_account"))


def _vault_deleted(hub: Place) -> None:
    settings = load_settings(hub.root)
    stack = read_stack(hub.root, settings, "dev")
    path = scopes_of(hub.root, settings, stack)["key vault"]
    vault = hub.azure.arm.get(path)
    assert vault is not None
    hub.azure.vaults.delete_vault(vault)
    hub.azure.arm.remove(path)


def _logs_deleted(hub: Place) -> None:
    settings = load_settings(hub.root)
    stack = read_stack(hub.root, settings, "dev")
    hub.azure.arm.remove(scopes_of(hub.root, settings, stack)["log analytics"])
    hub.azure.subscription.deleted_logs.add(stack.names("log_analytics"))


def _no_cores(hub: Place) -> None:
    hub.azure.subscription.limits["TotalLowPriorityCores", False] = 0


def _few_cores(hub: Place) -> None:
    hub.azure.subscription.limits["TotalLowPriorityCores", False] = 6


def _no_size(hub: Place) -> None:
    path = hub.root / "environments/Pulumi.dev.yaml"
    path.write_text(path.read_text().replace("Standard_D4ds_v5", "Standard_D4ds_v9"))


def _lock(hub: Place, **changes: object) -> None:
    lock = {
        "pid": 2**22 + 1,
        "username": "ada",
        "hostname": "laptop",
        "timestamp": "2026-01-01T10:00:00.1Z",
        **changes,
    }
    name = ".pulumi/locks/organization/mlops/dev/0b2.json"
    hub.azure.blobs.write(Case(hub.root).world.account, "state", name, json.dumps(lock).encode())


def _key_opened(hub: Place) -> None:
    (account,) = [
        r for r in hub.azure.arm.of_type("Microsoft.Storage/storageAccounts") if "stat" in r["name"]
    ]
    account["properties"]["allowSharedKeyAccess"] = True


def _environment_gone(hub: Place) -> None:
    del github(hub).environments["dev-train"]


def _open_to_all(hub: Place) -> None:
    github(hub).environments["dev"]["deployment_branch_policy"] = None


def _wrong_client(hub: Place) -> None:
    github(hub).variables["dev-train"]["AZURE_CLIENT_ID"] = "00000000-0000-0000-0000-000000000000"


def _unprotected(hub: Place) -> None:
    github(hub).rulesets.clear()


def _no_app(hub: Place) -> None:
    del github(hub).variables[""]["RELEASE_APP_CLIENT_ID"]


def _no_app_key(hub: Place) -> None:
    github(hub).secrets.clear()


def _customised(hub: Place) -> None:
    github(hub).prefix = {"use_default": False, "include_claim_keys": ["repo", "context", "job_workflow_ref"]}


def _public_key_gone(hub: Place) -> None:
    (hub.root / PUBLIC).unlink()


def _public_key_of_another(hub: Place) -> None:
    text = (hub.root / PUBLIC).read_text()
    (hub.root / PUBLIC).write_text(text.replace(text.splitlines()[1], "A" * 64))


def _records_unsigned(hub: Place) -> None:
    path = hub.root / "mlops.toml"
    path.write_text(path.read_text().partition("[signing]")[0])


def _promote_signs(hub: Place) -> None:
    world = Case(hub.root).world
    definition = (
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{CRYPTO_USER}"
    )
    stack = read_stack(hub.root, load_settings(hub.root), "dev")
    assign(hub.azure, world.vault_path, definition, principal(stack, "promote"), "by-hand")


DAMAGE: list[tuple[str, Callable[[Place], None], str, str, str]] = [
    ("subjects", _other_prefix, "error", "GitHub sends repo:contoso@4242/renamed@777", "mlops bootstrap azure --forge github --stack dev"),
    ("subjects", _customised, "unknown", "job_workflow_ref", ""),
    ("trust", _stranger_trusted, "error", "trusts 'repo:contoso/flights:environment:dev'", "mlops bootstrap azure --forge github --stack dev"),
    ("roles", _role_taken, "error", "dev/train lacks AzureML Data Scientist on the workspace", "pulumi up --stack dev --refresh"),
    ("roles", _role_added, "warning", f"dev/train also holds the role {OWNER}", "az role assignment delete --ids /subscriptions/"),
    ("free names", _name_taken, "error", "already taken", "pulumi config set mlops:salt x"),
    ("free names", _vault_deleted, "error", "a deleted key vault holds the name", "az keyvault purge --name kv-"),
    ("free names", _logs_deleted, "error", "a deleted Log Analytics workspace", "az monitor log-analytics workspace recover"),
    ("quota", _no_cores, "error", "no low-priority node", "az quota update --resource-name 'TotalLowPriorityCores'"),
    ("quota", _few_cores, "warning", "is 6, 12 may be needed at once", "--limit-object value=12"),
    ("quota", _no_size, "error", "westeurope has no VM size Standard_D4ds_v9", "az ml compute list-sizes"),
    ("pulumi state", _lock, "error", "stack dev is locked by ada@laptop", "pulumi cancel dev --yes"),
    ("foundation", _key_opened, "error", "allowSharedKeyAccess is True, must be False", "mlops bootstrap azure --forge github"),
    ("records", _public_key_gone, "error", "says what training decided", "mlops bootstrap azure --forge github"),
    ("records", _public_key_of_another, "error", "the key of the vault is added", "mlops bootstrap azure --forge github"),
    ("records", _records_unsigned, "error", "[signing] of mlops.toml is not as it must be", "mlops bootstrap azure --forge github"),
    ("records", _promote_signs, "warning", "holds Key Vault Crypto User on the key of records or above it", "az role assignment delete --ids"),
    ("environments", _environment_gone, "error", "environment dev-train is missing", "mlops bootstrap azure --forge github"),
    ("environments", _open_to_all, "error", "every branch may use it; only main must", "mlops bootstrap azure --forge github"),
    ("environments", _wrong_client, "error", "variable AZURE_CLIENT_ID of environment dev-train", "mlops bootstrap azure --forge github"),
    ("main branch", _unprotected, "warning", "main can be pushed to without a pull request", "mlops bootstrap azure --forge github --protect"),
    ("releases", _no_app, "warning", "no GitHub App", "gh variable set RELEASE_APP_CLIENT_ID"),
    ("releases", _no_app_key, "warning", "environment dev-train has no key", "gh secret set RELEASE_APP_PRIVATE_KEY --env dev-train"),
]  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE, ids=[d[1].__name__.strip("_") for d in DAMAGE])
def test_every_damage_is_found(hub: Place, case: tuple[str, Callable[[Place], None], str, str, str]):
    check, damage, severity, sentence, fix = case
    damage(hub)
    found = [f for f in problems(hub, check) if sentence in f.sentence]
    assert found, ask(hub, "login", check)
    assert {f.severity for f in found} == {severity}
    assert all(fix in f.fix for f in found)
    assert all(f.fix.startswith("PULUMI_BACKEND_URL='azblob://state?") for f in found if "pulumi" in fix)


def test_the_command_for_a_wrong_subject_corrects_it(hub: Place):
    _other_prefix(hub)
    wrong = problems(hub, "subjects", "trust")
    assert [f.fix for f in wrong] == ["mlops bootstrap azure --forge github --stack dev"]
    hub.run(("dev",))
    assert problems(hub, "subjects", "trust") == []


def test_a_lock_of_a_living_update_is_only_a_note(hub: Place):
    _lock(hub, timestamp=(datetime.now(UTC) - timedelta(minutes=3)).isoformat())
    (found,) = [f for f in ask(hub, "login", "pulumi state") if f.check != "login"]
    assert (found.severity, found.fix) == ("note", "")


def test_a_family_that_azure_does_not_show_is_no_verdict(hub: Place):
    path = hub.root / "environments/Pulumi.dev.yaml"
    path.write_text(path.read_text().replace(", priority: spot", ""))
    hub.azure.subscription.unlisted = {"standardDDSv5Family"}
    found = [f for f in problems(hub, "quota") if f.severity == "unknown"]
    assert [f.sentence for f in found] == [
        "not checked: Azure shows no quota of dedicated cores of standardDDSv5Family"
    ]


def test_a_provider_that_is_not_registered_is_named_with_its_command(hub: Place):
    hub.azure.subscription.unregistered.add("Microsoft.EventGrid")
    (found,) = problems(hub, "providers")
    assert (
        found.fix
        == f"az provider register --namespace Microsoft.EventGrid --subscription {SUBSCRIPTION} --wait"
    )


def test_a_disabled_subscription_and_a_refused_login(hub: Place):
    hub.azure.subscription.state = "Disabled"
    assert "is Disabled" in problems(hub, "subscription")[0].sentence
    hub.azure.entra.unknown = True
    found = ask(hub, "login", "subscription", "quota")
    assert [f.severity for f in found] == ["error", "unknown", "unknown"]
    assert "AADSTS700016" in found[0].sentence
    assert found[0].fix == "az login"
    assert code(found, offline=False) == 6


def test_a_stack_that_was_never_made_says_which_command_makes_it(hub: Place):
    case = Case(hub.root, stacks=("shared", "prod"))
    found = {
        f.check: f
        for f in diagnose(case, checks=[c for c in CHECKS if c.name in ("login", "trust", "free names")])
    }
    assert found["trust"].fix == "mlops bootstrap azure --forge github --stack prod"
    assert found["free names"].fix == "mlops infra purge --stack prod"


def test_without_rights_a_check_is_no_verdict(hub: Place):
    hub.azure.arm.deny("/usages", "GET")
    (found,) = problems(hub, "quota")
    assert found.severity == "unknown"
    assert "lacks the right" in found.sentence
    assert code([found], offline=False) == 4


def test_azure_devops_is_well_and_a_wrong_connection_is_found(devops: Place):
    checks = ("subjects", "trust", "environments", "foundation", "roles")
    assert problems(devops, *checks) == []
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    forge.connections["dev-train"]["authorization"]["parameters"]["workloadIdentityFederationSubject"] = (
        "/eid1/other"
    )
    (found,) = problems(devops, "subjects")
    assert "service connection dev-train sends /eid1/other" in found.sentence
    assert found.fix == "mlops bootstrap azure --forge azure-devops --stack dev"
    devops.run()
    assert problems(devops, "subjects", "trust") == []


def test_azure_devops_without_approvals_and_policies(devops: Place):
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    forge.checks.clear()
    assert any("adds an exclusive lock" in f.sentence for f in problems(devops, "environments"))
    assert [
        "review" in f.sentence or "checks of ci" in f.sentence for f in problems(devops, "main branch")
    ] == [True] * 2


REVIEWS, BUILD = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd", "0609b952-1397-4640-95ec-e00a01b2c241"
MAIN = {"repositoryId": REPOSITORY_ID, "refName": "refs/heads/main", "matchKind": "exact"}
STRICT = {
    "minimumApproverCount": 1,
    "creatorVoteCounts": False,
    "allowDownvotes": False,
    "resetOnSourcePush": True,
}


@pytest.mark.parametrize(
    "scope",
    [
        MAIN,
        {**MAIN, "matchKind": "Exact"},
        {**MAIN, "repositoryId": None},
        {**MAIN, "refName": "refs/heads/", "matchKind": "Prefix"},
        {"repositoryId": None, "refName": None, "matchKind": "DefaultBranch"},
    ],
)
def test_branch_policies_of_azure_devops_that_hold_are_enough(devops: Place, scope: dict[str, Any]):
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    forge.policies.clear()
    forge.policy(REVIEWS, scope, **STRICT)
    forge.policy(BUILD, scope, buildDefinitionId=1)
    assert problems(devops, "main branch") == []
    forge.policies[0]["settings"]["resetOnSourcePush"] = False
    forge.policy(REVIEWS, scope, **STRICT)
    assert problems(devops, "main branch") == [], "all policies hold, and one of them is strict"


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("resetOnSourcePush", False, "a vote outlives what is pushed after it"),
        ("resetOnSourcePush", None, "a vote outlives what is pushed after it"),
        ("creatorVoteCounts", True, "can approve it alone"),
        ("allowDownvotes", True, "although a reviewer rejects it"),
        ("minimumApproverCount", 0, "without a review"),
    ],
)
def test_a_weak_review_policy_of_azure_devops_is_told_with_what_mends_it(
    devops: Place, setting: str, value: object, says: str
):
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    forge.policies.clear()
    forge.policy(REVIEWS, MAIN, **{**STRICT, setting: value})
    forge.policy(BUILD, MAIN)
    (found,) = problems(devops, "main branch")
    assert says in found.sentence and "az repos policy approver-count" in found.fix


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"isEnabled": False},
        {"isBlocking": False},
        {"scope": {**MAIN, "repositoryId": "other"}},
        {"scope": {**MAIN, "refName": "refs/heads/maintenance"}},
        {"scope": {**MAIN, "refName": "refs/heads/release", "matchKind": "prefix"}},
    ],
)
def test_a_branch_policy_of_azure_devops_that_does_not_hold_for_main_is_none(
    devops: Place, elsewhere: dict[str, Any]
):
    forge = devops.forge
    assert isinstance(forge, FakeAzureDevOps)
    forge.policies.clear()
    flags = dict(elsewhere)
    scope = flags.pop("scope", MAIN)
    forge.policy(REVIEWS, scope, **STRICT).update(flags)
    forge.policy(BUILD, MAIN)
    assert ["without a review" in f.sentence for f in problems(devops, "main branch")] == [True]


def test_the_roles_of_a_stack_are_those_of_the_program(hub: Place):
    """What Pulumi made again, with another trust and nothing else, is still well."""
    bring_up(hub.azure, hub.root, "dev")
    assert problems(hub, "roles", "trust") == []
    assert github_api.PREFIX in (hub.root / "environments/Pulumi.dev.yaml").read_text()
