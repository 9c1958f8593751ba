"""The real Pulumi engine runs the program, with a stand-in for Azure: what mocks cannot prove.

Ordering, replacement, protection, secrets in the state and the policy pack are the engine's work. The CLI
comes from PATH or from the cache of `make pulumi`; without one these tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from graphs import EVERYTHING
from real_engine import Engine, counts, find_cli
from stand_in.rights import ADMINISTRATOR
from stand_in.rules import not_yet
from stand_in.unity import KINDS
from test_going_away import JOURNAL_BEFORE, WORKSPACE_BEFORE, condition

CLI = find_cli()
pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(CLI is None, reason="the Pulumi CLI is not on PATH; `make pulumi` installs it"),
]
COMPUTE = "machinelearningservices:Compute"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Stacks `shared` and `dev`, created from nothing."""
    assert CLI is not None
    engine = Engine(tmp_path_factory.mktemp("engine") / "it", CLI)
    for stack in ("shared", "dev"):
        engine.init(stack)
        done = engine.up(stack=stack)
        assert done.returncode == 0, done.stdout + done.stderr
        assert set(counts(done.stdout)) == {"created"}, "a first update only creates"
    yield engine


@pytest.fixture
def another(deployed: Engine, tmp_path: Path) -> Callable[[], Engine]:
    """A copy of what is deployed, to break."""
    assert CLI is not None
    cli = CLI

    def copy() -> Engine:
        return Engine(tmp_path / "copy", cli, like=deployed)

    return copy


def test_engine_preview_creates_nothing(tmp_path: Path) -> None:
    assert CLI is not None
    engine = Engine(tmp_path / "it", CLI)
    engine.init("shared")
    done = engine.run("preview", stack="shared")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "create" in done.stdout
    assert not engine.state.exists() or not engine.azure["resources"]


def test_engine_says_a_wrong_value_in_a_sentence(tmp_path: Path) -> None:
    """With file, line and field, as the plan does, and without a trace."""
    assert CLI is not None
    engine = Engine(tmp_path / "it", CLI)
    engine.init("dev")
    file = engine.project / "environments/Pulumi.dev.yaml"
    right = file.read_text()
    for wrong, said in (
        ("  mlop:ttl: 1h\n", "mlop:ttl: nothing reads keys of 'mlop'"),
        ("  mlops:ttl:\n", "ttl: must be 1 to 999 hours or days"),
        ("  mlops:salt: Not-legal\n", "salt: must match"),
    ):
        file.write_text(right.replace("config:\n", f"config:\n{wrong}", 1))
        done = engine.run("preview")
        assert done.returncode != 0
        assert f"error: environments/Pulumi.dev.yaml:2: {said}" in done.stdout, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def test_engine_takes_a_day_without_quotes(another: Callable[[], Engine]) -> None:
    """The CLI hands it over with a time of its own; the plan had taken it, and an update refused it."""
    engine = another()
    engine.edit("dev", r"^    amount: ", "    start: 2099-01-01\n    amount: ")
    done = engine.run("preview", "--expect-no-changes")
    assert done.returncode == 0, done.stdout + done.stderr
    engine.edit("dev", r"start: 2099-01-01", "start: 2099-01-02")
    wrong = engine.run("preview")
    assert wrong.returncode != 0
    assert "budget.start: must be the first day of a month" in wrong.stdout, wrong.stdout + wrong.stderr


def test_engine_second_update_changes_nothing(deployed: Engine) -> None:
    before = deployed.azure["log"]
    done = deployed.up("--expect-no-changes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(counts(done.stdout)) == {"unchanged"}
    assert deployed.azure["log"] == before, "the provider was asked to change something"
    for stack in ("shared", "dev"):
        still = deployed.run("preview", "--refresh", "--expect-no-changes", stack=stack)
        assert still.returncode == 0, still.stdout + still.stderr


def test_engine_state_holds_no_plain_secret(deployed: Engine) -> None:
    """Exports are no secrets, and no input of the state names a key, password or connection string."""
    done = deployed.run("stack", "export")
    assert done.returncode == 0
    assert "AccountKey=" not in done.stdout
    assert "ciphertext" not in deployed.run("stack", "output", "--json").stdout


def test_engine_changed_vm_size_replaces_only_the_cluster(another: Callable[[], Engine]) -> None:
    engine = another()
    before = len(engine.azure["log"])
    engine.edit("dev", r"Standard_D4ds_v5", "Standard_D8ds_v5")
    done = engine.up()
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout).get("replaced") == 1
    events = engine.azure["log"][before:]
    assert [e.split()[:2] for e in events] == [["delete", COMPUTE], ["create", COMPUTE]], (
        "the old cluster goes first: its name is taken until then"
    )


def test_engine_removed_cluster_is_deleted(another: Callable[[], Engine]) -> None:
    engine = another()
    clusters = engine.kinds(COMPUTE)
    engine.edit("dev", r"^    gpu-cluster: .*\n", "")
    done = engine.up()
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout)["deleted"] == 1
    assert engine.kinds(COMPUTE) == [c for c in clusters if not c.endswith("/gpu-cluster")]


def test_engine_destroy_stops_at_protected_resources(another: Callable[[], Engine]) -> None:
    engine = another()
    engine.edit("dev", r"mlops:protect: .*", "mlops:protect: true")
    assert engine.up().returncode == 0
    kept = engine.kinds("storage:StorageAccount")
    done = engine.run("destroy", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "protect" in done.stdout + done.stderr
    assert engine.kinds("storage:StorageAccount") == kept


def test_engine_destroy_removes_all_and_the_names_stay_taken(another: Callable[[], Engine]) -> None:
    engine = another()
    done = engine.run("destroy", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [i for i in engine.azure["resources"] if "-dev-" in i]
    again = engine.up()
    assert again.returncode != 0
    assert "soft-deleted; purge it first" in again.stdout + again.stderr
    state = engine.azure
    state["soft_deleted"] = {}
    engine.write_azure(state)
    assert engine.up().returncode == 0, "after the purge the same names work again, and the update goes on"


def test_engine_conflict_names_what_is_in_the_way(another: Callable[[], Engine]) -> None:
    """Somebody made a cluster by hand that the stack file adds now."""
    engine = another()
    state = engine.azure
    known = next(i for i in state["resources"] if i.endswith("/computes/cpu-cluster"))
    taken = known.replace("/computes/cpu-cluster", "/computes/more")
    state["resources"][taken] = {**state["resources"][known], "id": taken}
    engine.write_azure(state)
    engine.edit(
        "dev",
        r"^    gpu-cluster: (.*)$",
        r"    gpu-cluster: \1\n    more: {vm_size: Standard_D4ds_v5, max_nodes: 1}",
    )
    done = engine.up()
    assert done.returncode != 0
    assert "409 Conflict" in done.stdout + done.stderr


def test_engine_takes_in_the_container_that_apply_has_made(another: Callable[[], Engine]) -> None:
    """An environment of an older template: `mlops apply` has made the container of the journal."""
    engine = another()
    found = engine.kinds("storage:BlobContainer")
    (container,) = [i for i in found if i.endswith("/containers/mlops") and "-dev-" in i.lower()]
    urns = json.loads(engine.run("stack", "export").stdout)["deployment"]["resources"]
    (urn,) = [r["urn"] for r in urns if r["urn"].endswith("::container-mlops")]
    gone = engine.run("state", "delete", urn, "--force", "--yes")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    state = engine.azure
    state["resources"][container.lower()]["outputs"] |= {
        "defaultEncryptionScope": "$account-encryption-key",
        "denyEncryptionScopeOverride": False,
    }
    engine.write_azure(state)
    refused = engine.up()
    assert refused.returncode != 0 and "409 Conflict" in refused.stdout + refused.stderr

    engine.configure("dev", {"storage": {"adopt_journal": True}})
    taken = engine.up()
    assert taken.returncode == 0, taken.stdout + taken.stderr
    assert counts(taken.stdout).get("imported") == 1, taken.stdout
    assert container in engine.kinds("storage:BlobContainer")
    again = engine.run("preview", "--refresh", "--expect-no-changes")
    assert again.returncode == 0, again.stdout + again.stderr
    engine.configure("dev", {"storage": {}})
    without = engine.run("preview", "--refresh", "--expect-no-changes")
    assert without.returncode == 0, "the field may be left out then\n" + without.stdout + without.stderr


def test_engine_missing_parent_is_told(another: Callable[[], Engine]) -> None:
    """The workspace was deleted behind the stack's back."""
    engine = another()
    state = engine.azure
    gone = [i for i in state["resources"] if "/microsoft.machinelearningservices/workspaces/" in i]
    state["resources"] = {k: v for k, v in state["resources"].items() if k not in gone}
    engine.write_azure(state)
    engine.edit(
        "dev",
        r"^    gpu-cluster: (.*)$",
        r"    gpu-cluster: \1\n    more: {vm_size: Standard_D4ds_v5, max_nodes: 1}",
    )
    done = engine.up()
    assert done.returncode != 0
    assert "404 ParentResourceNotFound" in done.stdout + done.stderr


def test_engine_policy_pack_passes_the_program_and_stops_a_wrong_edit(another: Callable[[], Engine]) -> None:
    engine = another()
    pack = str(engine.project / "infra" / "policy")
    done = engine.up("--policy-pack", pack)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mlops-infra" in done.stdout, "the engine did not run the pack"
    before = engine.azure["log"]
    engine.edit("dev", r"max_nodes: 2,", "max_nodes: 2, min_nodes: 1,")
    stopped = engine.up("--policy-pack", pack)
    assert stopped.returncode != 0
    assert "MLOPS_COMPUTE_1" in stopped.stdout, stopped.stdout + stopped.stderr
    assert engine.azure["log"] == before, "the cluster was changed before the policy was asked"


def test_engine_applies_what_was_planned_and_nothing_else(another: Callable[[], Engine]) -> None:
    """As the workflows do: the plan that a person approved is kept, and an edit after it stops the update."""
    engine = another()
    engine.edit("dev", r"max_nodes: 2,", "max_nodes: 3,")
    file = engine.project / "environments" / "Pulumi.dev.yaml"
    approved = file.read_text()
    planned = engine.run("preview", "--refresh", "--save-plan", "plan.json")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    engine.edit("dev", r"^    gpu-cluster: .*\n", "")
    before = engine.kinds(COMPUTE)
    more = engine.up("--refresh", "--plan", "plan.json")
    assert more.returncode != 0
    assert "violates plan" in more.stdout + more.stderr
    assert engine.kinds(COMPUTE) == before, "what nobody approved was deleted"
    file.write_text(approved)
    done = engine.up("--refresh", "--plan", "plan.json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_engine_environment_reaches_the_stack_that_trains(another: Callable[[], Engine]) -> None:
    """With the exports that the engine keeps, and the rule on roles elsewhere, which sees them only here."""
    engine = another()
    before = set(engine.kinds("authorization:RoleAssignment"))
    engine.init("staging")
    pack = str(engine.project / "infra" / "policy")
    done = engine.up("--policy-pack", pack, stack="staging")
    assert done.returncode == 0, done.stdout + done.stderr
    grants = set(engine.kinds("authorization:RoleAssignment")) - before
    exported = json.loads(engine.run("stack", "output", "--json").stdout)
    there = [exported["workspace_id"], exported["storage_account_id"]]
    assert sorted(sum(g.lower().startswith(f"{t}/providers/".lower()) for g in grants) for t in there) == [
        2,
        2,
    ], "`plan` and `train` of staging, at both"


def test_engine_apply_destroys_an_environment_to_nothing(another: Callable[[], Engine]) -> None:
    """As the destroy workflow does: its command, its identity, the rights that exist at each call."""
    engine = another()
    engine.log_in(_apply(engine, "dev"))
    done = engine.run("destroy", "--yes", "--refresh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [i for i in engine.azure["resources"] if "-dev-" in i]
    assert json.loads(engine.run("stack", "export").stdout)["deployment"].get("resources", []) == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_engine_a_refresh_after_the_first_update_changes_nothing(
    another: Callable[[], Engine], stack: str
) -> None:
    """And then `apply` destroys it: with private endpoints, outbound rules and, in prod, a key of its own."""
    engine = another()
    if stack == "prod":
        engine.init("staging")
        staging = engine.up(stack="staging")
        assert staging.returncode == 0, staging.stdout + staging.stderr
    before = set(engine.azure["resources"])
    engine.init(stack)
    engine.edit(stack, r"mlops:protect: .*", "mlops:protect: false")
    done = engine.up(stack=stack)
    assert done.returncode == 0, done.stdout + done.stderr
    still = engine.run("preview", "--refresh", "--expect-no-changes", stack=stack)
    assert still.returncode == 0, still.stdout + still.stderr
    if stack == "prod":
        made = [g.lower() for g in engine.kinds("authorization:RoleAssignment") if g.lower() not in before]
        there = [f"{place}/providers/".lower() for place in _of_staging(engine)]
        assert [sum(g.startswith(place) for g in made) for place in there] == [3, 2], (
            "`plan`, `train` and `promote` at the journal; two at the workspace"
        )
    engine.log_in(_apply(engine, stack))
    gone = engine.run("destroy", "--yes", "--refresh", stack=stack)
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert set(engine.azure["resources"]) == before


@pytest.mark.timeout(900)
def test_engine_a_protected_environment_goes_as_the_page_says(another: Callable[[], Engine]) -> None:
    """Made protected, as every production is: one update opens it, then `apply` destroys it.

    The preview of a destroy refuses before anything is deleted, so nothing is half gone."""
    engine = another()
    before = set(engine.azure["resources"])
    engine.init("staging")
    engine.edit("staging", r"mlops:protect: .*", "mlops:protect: true")
    made = engine.up(stack="staging")
    assert made.returncode == 0, made.stdout + made.stderr
    whole = engine.azure["resources"]
    kept = engine.run("destroy", "--yes", "--refresh", stack="staging")
    assert kept.returncode != 0
    assert engine.azure["resources"] == whole
    engine.edit("staging", r"mlops:protect: .*", "mlops:protect: false")
    open_again = engine.up(stack="staging")
    assert open_again.returncode == 0, open_again.stdout + open_again.stderr
    engine.log_in(_apply(engine, "staging"))
    gone = engine.run("destroy", "--yes", "--refresh", stack="staging")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert set(engine.azure["resources"]) == before


def test_engine_nobody_acts_without_a_right(another: Callable[[], Engine]) -> None:
    engine = another()
    engine.log_in("somebody else")
    done = engine.run("destroy", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "403 AuthorizationFailed" in done.stdout + done.stderr


def _apply(engine: Engine, stack: str) -> str:
    """The object id of the stack's identity `apply`, with what bootstrap gives it outside its environment."""
    short = {"staging": "stg", "prod": "prd"}.get(stack, stack)
    (identity,) = [i for i in engine.kinds("managedidentity:UserAssignedIdentity") if f"-apply-{short}-" in i]
    state = engine.azure
    principal = str(state["resources"][identity.lower()]["outputs"]["principalId"])
    found = {"model registry": engine.kinds("machinelearningservices:Registry")[0].split("/providers/")[0]}
    if stack != "dev":
        own = [w for w in engine.kinds("machinelearningservices:Workspace") if "-dev-" in w]
        accounts = [a for a in engine.kinds("storage:StorageAccount") if "dev" in a.rsplit("/", 1)[1]]
        found |= {"training workspace": own[0], "training storage account": accounts[0]}
    if stack == "prod" and any(w for w in engine.kinds("machinelearningservices:Workspace") if "-stg-" in w):
        journal, workspace = _of_staging(engine)
        found |= {JOURNAL_BEFORE: journal, WORKSPACE_BEFORE: workspace}
    state["outside"] = [
        {"principal": principal, "role": ADMINISTRATOR, "scope": place, "condition": condition(scope)}
        for scope, place in found.items()
    ]
    engine.write_azure(state)
    return principal


def _of_staging(engine: Engine) -> tuple[str, str]:
    """What `prod` reads of the environment before it: journal and workspace."""
    (workspace,) = [w for w in engine.kinds("machinelearningservices:Workspace") if "-stg-" in w]
    journals = [c for c in engine.kinds("storage:BlobContainer") if c.endswith("/containers/mlops")]
    (journal,) = [c for c in journals if "stg" in c.split("/storageAccounts/")[1]]
    return journal, workspace


def _alone(engine: Engine, stack: str) -> None:
    """No environment is before `stack`: none need be made first."""
    policy = f"order: [{stack}]\nenvironments:\n  {stack}: {{}}\n"
    (engine.project / "environments/policy.yaml").write_text(policy)


@pytest.mark.timeout(1200)
def test_engine_brings_every_option_up_and_takes_it_away(another: Callable[[], Engine]) -> None:
    """Kubernetes, Databricks, Data Factory, a container, own keys and events, behind private endpoints."""
    engine = another()
    before = set(engine.azure["resources"])
    _alone(engine, "prod")
    engine.init("prod")
    engine.configure("prod", {**EVERYTHING, "protect": False})
    done = engine.up(stack="prod")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"containerservice:ManagedCluster", "databricks:Workspace", "keyvault:Key"} <= {
        r["kind"] for r in engine.azure["resources"].values()
    }
    assert {r["kind"] for r in engine.databricks.values()} == set(KINDS)
    still = engine.run("preview", "--refresh", "--expect-no-changes", stack="prod")
    assert still.returncode == 0, still.stdout + still.stderr
    engine.log_in(_apply(engine, "prod"))
    gone = engine.run("destroy", "--yes", "--refresh", stack="prod")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert set(engine.azure["resources"]) == before
    assert engine.databricks == {}


@pytest.mark.timeout(1200)
def test_engine_two_stacks_live_side_by_side(another: Callable[[], Engine]) -> None:
    """A trial of somebody's own, up and away again, leaves `dev` as it was."""
    engine = another()
    before = engine.azure["resources"]
    folder = engine.project / "environments"
    (folder / "Pulumi.dev-alice.yaml").write_text((folder / "Pulumi.dev.yaml").read_text())
    engine.init("dev-alice")
    done = engine.up(stack="dev-alice")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(counts(done.stdout)) == {"created"}
    assert engine.run("preview", "--expect-no-changes").returncode == 0
    assert engine.run("destroy", "--yes", "--skip-preview", stack="dev-alice").returncode == 0
    assert engine.azure["resources"] == before


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_engine_goes_on_after_a_failure_at_every_resource(
    stack: str, tmp_path: Path, another: Callable[[], Engine]
) -> None:
    """Each resource fails once, half of them only after they were made; `up` again, until nothing is left.

    `dev` from nothing, with `shared`; `prod` with every option, private endpoints and a key of its own."""
    assert CLI is not None
    if stack == "dev":
        engine, stacks = Engine(tmp_path / "it", CLI), ("shared", "dev")
    else:
        engine, stacks = another(), ("prod",)
        _alone(engine, "prod")
        engine.configure("prod", {**EVERYTHING, "protect": False})
    before = set(engine.azure["resources"]) if stack == "prod" else set()
    engine.environment["STAND_IN_BREAKS"] = "1"
    for name in stacks:
        engine.init(name)
        for _ in range(40):
            done = engine.up("--continue-on-error", stack=name)
            if done.returncode == 0:
                break
        assert done.returncode == 0, done.stdout + done.stderr
        assert engine.run("preview", "--expect-no-changes", stack=name).returncode == 0
    azure = engine.azure
    made = set(azure["resources"]) - before
    broken = {e.removeprefix("broke ").lower() for e in azure["log"] if e.startswith("broke ")}
    assert broken == made
    created = [e.split()[-1].lower() for e in azure["log"] if e.startswith("create ")]
    assert sorted(c for c in created if c in made) == sorted(made), "what was there is not made again"


def test_engine_comes_up_at_a_turn_of_the_year_and_stays_as_it_is_a_month_later(
    another: Callable[[], Engine],
) -> None:
    """The month of each update is `test_time.py`'s; that the engine keeps it over a refresh is seen here."""
    engine = another()
    folder = engine.project / "environments"
    (folder / "Pulumi.dev-late.yaml").write_text((folder / "Pulumi.dev.yaml").read_text())
    engine.init("dev-late")
    engine.on(date(2029, 12, 31))
    done = engine.up(stack="dev-late")
    assert done.returncode == 0, done.stdout + done.stderr
    periods = [
        r["outputs"]["timePeriod"]["startDate"]
        for r in engine.azure["resources"].values()
        if r["kind"] == "consumption:Budget"
    ]
    assert "2029-12-01T00:00:00Z" in periods
    engine.on(date(2030, 2, 1))
    for stack in ("dev-late", "dev"):
        still = engine.run("preview", "--refresh", "--expect-no-changes", stack=stack)
        assert still.returncode == 0, still.stdout + still.stderr


def test_engine_a_budget_of_a_past_month_would_be_refused(another: Callable[[], Engine]) -> None:
    """Were the program a month behind, Azure would say no: the test above proves something."""
    engine = another()
    folder = engine.project / "environments"
    (folder / "Pulumi.dev-past.yaml").write_text((folder / "Pulumi.dev.yaml").read_text())
    engine.init("dev-past")
    engine.on(date(2029, 11, 30))
    engine.environment["STAND_IN_TODAY"] = "2029-12-01"
    done = engine.up(stack="dev-past")
    assert done.returncode != 0
    assert "must be within the current time grain period" in done.stdout + done.stderr


def test_engine_a_renamed_stack_does_not_take_its_data_along_unasked(another: Callable[[], Engine]) -> None:
    """Every name holds the stack's: what is protected stops the update, before anything is lost."""
    engine = another()
    engine.edit("dev", r"mlops:protect: .*", "mlops:protect: true")
    assert engine.up().returncode == 0
    before = engine.azure["resources"]
    renamed = engine.run("stack", "rename", "sandbox")
    assert renamed.returncode == 0, renamed.stdout + renamed.stderr
    done = engine.up(stack="sandbox")
    assert done.returncode != 0
    assert "protect" in done.stdout + done.stderr
    assert {k for k, r in before.items() if r["kind"] == "storage:StorageAccount"} <= set(
        engine.azure["resources"]
    )


def test_engine_goes_on_once_azure_gives_the_cores(another: Callable[[], Engine]) -> None:
    engine = another()
    engine.edit("dev", r"Standard_NC4as_T4_v3", "Standard_NC8as_T4_v3")
    engine.environment["STAND_IN_QUOTA"] = json.dumps({"NCasT4_v3": 4})
    done = engine.up()
    assert done.returncode != 0
    assert "has a quota of 4 cores, and one Standard_NC8as_T4_v3 node takes 8" in done.stdout + done.stderr
    engine.environment["STAND_IN_QUOTA"] = json.dumps({"NCasT4_v3": 8})
    again = engine.up()
    assert again.returncode == 0, again.stdout + again.stderr


def test_engine_waits_until_a_grant_counts(tmp_path: Path) -> None:
    """The workspace is refused twice, as by a vault that does not know the role yet."""
    assert CLI is not None
    engine = Engine(tmp_path / "it", CLI)
    engine.environment["STAND_IN_DELAY"] = "2"
    for stack in ("shared", "dev"):
        engine.init(stack)
        done = engine.up(stack=stack)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "a role assignment does not count yet" in done.stdout + done.stderr
    refused = [e.removeprefix("refused ") for e in engine.azure["log"] if e.startswith("refused ")]
    resources = {r["id"]: r for r in engine.azure["resources"].values()}
    expected = [i for i, r in resources.items() if not_yet(r["kind"], r["outputs"])]
    assert sorted(refused) == sorted([*expected, *expected]), "each is refused twice, and then made"
