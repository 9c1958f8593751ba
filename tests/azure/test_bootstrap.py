"""`mlops bootstrap azure` on the emulator and on forges that hold every request to the documented API.

A second run that changes something, a killed run that cannot go on, or an undo that takes what it did not
make would each leave a person with a half-made platform or without their own things.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.azure.conftest import ROOT, settle
from tests.azure.emulator import Answer, Emulator
from tests.azure.emulator.entra import TENANT
from tests.azure.emulator.workspaces import SUBSCRIPTION
from tests.azure.forges import azure_devops as devops_api
from tests.azure.forges import github as github_api
from tests.azure.forges.azure_devops import FakeAzureDevOps
from tests.azure.forges.github import FakeGitHub
from tests.azure.provisioned import StandInPulumi, snapshot

from mlops.bootstrap import steps as engine
from mlops.bootstrap.azure import Wanted, steps_for
from mlops.bootstrap.steps import Step
from mlops.errors import Blocked, MlopsError, TargetError
from mlops.spec.settings import load_settings

pytestmark = pytest.mark.processes


class Place:
    """A fresh repository, an empty subscription, a forge, and a Pulumi that makes what the program would."""

    def __init__(self, root: Path, azure: Emulator, forge: FakeGitHub | FakeAzureDevOps) -> None:
        self.root, self.azure, self.forge = root, azure, forge
        self.pulumi = StandInPulumi(azure, root)
        self.env: dict[str, str] = {}

    def steps(
        self, stacks: Sequence[str] = ("dev",), *, protect: bool = False, reviewers: Sequence[str] = ()
    ) -> list[Step]:
        kind = "github" if isinstance(self.forge, FakeGitHub) else "azure-devops"
        wanted = Wanted(kind, stacks, tuple(reviewers), protect)
        return self.of(wanted)

    def of(self, wanted: Wanted) -> list[Step]:
        return steps_for(self.root, load_settings(self.root), wanted, cli=self.pulumi, wait=0.01)

    def run(self, stacks: Sequence[str] = ("dev",), *, protect: bool = False) -> int:
        return engine.carry_out(self.steps(stacks, protect=protect), lambda step, look: None)

    def actions(self, stacks: Sequence[str] = ("dev",)) -> dict[str, str]:
        return {p.step.key: p.look.action for p in engine.plan(self.steps(stacks))}

    def undo(self) -> list[str]:
        kind = "github" if isinstance(self.forge, FakeGitHub) else "azure-devops"
        found = engine.removals(self.of(Wanted(kind).ever))
        engine.undo(found, lambda step, said: None)
        return [said for _, said in found]

    def writes(self) -> list[str]:
        """Every change that was asked for: of Azure, the forge and Pulumi. Questions by POST are none."""
        azure = [
            f"{e.request.method} {e.request.path}"
            for e in self.azure.exchanges
            if e.request.method in ("PUT", "PATCH", "DELETE")
            or (e.request.method == "POST" and e.request.path.endswith("/register"))
        ]
        return azure + self.forge.writes() + self.pulumi.calls


def repository(folder: Path) -> Path:
    for name in ("environments", "pipelines/azure-devops"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("mlops.toml", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@contextmanager
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: FakeGitHub | FakeAzureDevOps
) -> Iterator[Place]:
    root = repository(tmp_path / "repository")
    with Emulator(tmp_path / "azure") as azure, forge:
        made = Place(root, azure, forge)
        made.env = {**azure.env, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION}
        if isinstance(forge, FakeGitHub):
            made.env |= {"GITHUB_API_URL": forge.url, "GH_TOKEN": github_api.TOKEN}
            write_forge(root, "github", github_api.REPOSITORY)
        else:
            made.env |= {"AZURE_DEVOPS_URL": forge.url}
            names = (devops_api.ORGANIZATION, devops_api.PROJECT, devops_api.REPOSITORY)
            write_forge(root, "azure-devops", "/".join(names))
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        yield made
        settle(azure)


def write_forge(root: Path, kind: str, repository: str) -> None:
    path = root / "mlops.toml"
    path.write_text(
        path.read_text().replace('kind = "local"', f'kind = "{kind}"\nrepository = "{repository}"')
    )


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch, FakeGitHub()) as made:
        yield made


@pytest.fixture
def devops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch, FakeAzureDevOps()) as made:
        yield made


def group(azure: Emulator) -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-flights-mlops-stat-we"


def test_the_plan_of_a_fresh_fork_creates_everything_and_changes_nothing(hub: Place):
    before = snapshot(hub.azure)
    planned = engine.plan(hub.steps(("dev", "staging", "prod")))
    assert {
        p.look.action for p in planned if p.step.key.startswith(("state", "stack", "grant", "env", "var"))
    } == {"create"}
    assert [p.step.key for p in planned if p.look.action == "keep"] == [
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
    assert len(rows) == 6, "two for the person, two each for plan and apply"
    shared = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-flights-mlops-shr-we"
    (admin,) = [
        r["properties"]
        for r in hub.azure.identity.assignments(shared)
        if r["properties"]["roleDefinitionId"].endswith("f58310d9-a9f6-439a-9e8d-f62e7b41a168")
    ]
    assert "ForAnyOfAnyValues:GuidEquals {" in admin["condition"]
    assert admin["conditionVersion"] == "2.0"


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


def killed(made: Place, stacks: Sequence[str], count: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run until `count` changes have reached Azure, the forge or Pulumi, and die before the answer is used.

    False when the run ended before.
    """
    import httpx

    from mlops.targets.azure.arm import Arm

    left = [count]

    def dies(changes: bool) -> None:
        left[0] -= changes
        if changes and left[0] <= 0:
            raise Killed

    send, request, run = Arm._send, httpx.request, made.pulumi.run

    def arm(self: Arm, method: str, path: str, **more: object) -> object:
        answer = send(self, method, path, **more)  # type: ignore[arg-type]
        dies(method in ("PUT", "DELETE"))
        return answer

    def forge(method: str, url: str, **more: object) -> object:
        answer = request(method, url, **more)  # type: ignore[arg-type]
        dies(method != "GET")
        return answer

    def pulumi(*arguments: str, subscription: str) -> None:
        run(*arguments, subscription=subscription)
        dies(True)

    with monkeypatch.context() as patch:
        patch.setattr(Arm, "_send", arm)
        patch.setattr(httpx, "request", forge)
        patch.setattr(made.pulumi, "run", pulumi)
        try:
            made.run(stacks)
        except Killed:
            return True
    return False


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
    assert len(keys) == 1


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


# --- Azure DevOps


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
    assert "\n  PULUMI_BACKEND_URL: azblob://state?storage_account=st" in variables
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
