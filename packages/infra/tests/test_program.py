"""The graph that the program registers, stack by stack, with preview on and off.

It is the last thing that can be judged before Azure changes: what is here is what `pulumi up` asks for.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphs import CLUSTERS, ENVIRONMENTS, EVENTS, EVERYTHING, MODEL, ROOT, STACKS, TAKES, plan
from infra.program import main
from mlops.errors import InvalidInput
from mlops.infra.exports import EnvironmentExports, SharedExports
from mlops.infra.model import UNKNOWN, Captured, Resource, texts
from mlops.infra.plan.capture import ORGANIZATION, capture
from mlops.spec.settings import load_settings

ML = "machinelearningservices:"
RUNS = [(stack, preview) for stack in STACKS for preview in (False, True)]
IDS = [f"{stack}-{'preview' if preview else 'update'}" for stack, preview in RUNS]


@pytest.fixture(params=RUNS, ids=IDS)
def graph(request: pytest.FixtureRequest) -> Captured:
    """Each stack with every option on: the largest graph there is."""
    stack, preview = request.param
    return plan(stack, preview=preview, everything=True)


# What holds for every graph


def test_no_urn_and_no_logical_name_is_used_twice(graph: Captured) -> None:
    names = [r.name for r in graph.azure]
    assert len({r.urn for r in graph}) == len(graph.resources)
    assert sorted(names) == sorted(set(names)), (
        "suppressions and findings name resources by their logical name"
    )


def test_every_resource_is_a_child_of_a_component(graph: Captured) -> None:
    components = {r.urn for r in graph if r.type.startswith("mlops:infra:")}
    orphans = [r.name for r in graph.azure if r.parent not in components]
    assert not orphans


def test_no_output_was_put_into_a_text(graph: Captured) -> None:
    assert not [t for r in graph for t in texts(r.inputs) if "__str__" in t or "Output[" in t]


_CREDENTIAL = re.compile(
    r"password|secret|accountkey|accesskey|connectionstring|sastoken|token$|apikey", re.IGNORECASE
)
# Not credentials: the name of an add-on, a switch of it, and the name of a Kubernetes secret.
_HARMLESS = {"azureKeyvaultSecretsProvider", "enableSecretRotation", "sslSecret"}


def test_no_secret_is_in_plain_text(graph: Captured) -> None:
    leaks = [
        f"{resource.name}: {'.'.join(path)}"
        for resource in graph.azure
        for top, value in resource.inputs.items()
        if top not in resource.secret
        for path in _paths(value, (top,))
        if _CREDENTIAL.search(path[-1]) and path[-1] not in _HARMLESS
    ]
    assert not leaks


def test_the_search_for_secrets_finds_one() -> None:
    found = list(_paths({"typeProperties": [{"accountKey": "x"}]}, ("properties",)))
    assert ("properties", "typeProperties", "accountKey") in found
    assert [path for path in found if _CREDENTIAL.search(path[-1])]


def test_everything_that_takes_tags_has_the_required_ones(graph: Captured) -> None:
    for resource in graph.azure:
        if "tags" in resource.inputs:
            assert {"project", "environment", "managed-by"} <= set(resource.inputs["tags"]), resource.name


def test_preview_and_update_register_the_same_resources() -> None:
    for stack in STACKS:
        update, preview = plan(stack, everything=True), plan(stack, preview=True, everything=True)
        assert [r.urn for r in update] == [r.urn for r in preview]
        assert [r.dependencies for r in update] == [r.dependencies for r in preview]


def test_preview_knows_no_principal_and_the_program_does_not_mind() -> None:
    grants = plan("prod", preview=True).of("authorization:RoleAssignment")
    assert grants
    assert all(g.inputs["principalId"] == UNKNOWN for g in grants)


def test_the_same_commit_gives_the_same_plan() -> None:
    first = plan("dev")
    script = (
        "import json,sys; sys.path[:0]=[sys.argv[1], sys.argv[1]+'/packages/infra/tests'];"
        "from graphs import plan; print(json.dumps([[r.urn, r.inputs] for r in plan('dev')], sort_keys=True))"
    )
    again = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(ROOT)],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert json.loads(again.stdout) == json.loads(
        json.dumps([[r.urn, r.inputs] for r in first], sort_keys=True)
    )


# The webhook, the only secret


def test_the_webhook_stays_a_secret(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    with (tmp_path / "environments" / "Pulumi.dev.yaml").open("a", encoding="utf-8") as file:
        file.write("  mlops:alert_webhook: {secure: v1:c2VjcmV0}\n")
    graph = capture(
        tmp_path,
        "dev",
        {f"{ORGANIZATION}/mlops/shared": plan("shared").exports},
        program=lambda: main(ROOT),
    )
    group = graph.named("action-group")
    assert "webhookReceivers" in group.secret
    assert "https://" in json.dumps(group.inputs["webhookReceivers"])
    assert "https://" not in json.dumps(group.masked())
    assert [r.name for r in graph.azure if r.secret] == ["action-group"]
    assert "secret" not in json.dumps(graph.exports)


def test_the_webhook_in_plain_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="alert_webhook: must be encrypted"):
        plan("dev", alert_webhook="https://chat.example.com/hook/t0ps3cret")


# Access from outside


@pytest.mark.parametrize("stack", ["staging", "prod"])
@pytest.mark.parametrize("everything", [False, True])
def test_nothing_is_public_in_staging_and_prod(stack: str, everything: bool) -> None:
    graph = plan(stack, everything=everything)
    closed = {
        f"{ML}Workspace", "storage:StorageAccount", "containerregistry:Registry", "datafactory:Factory",
        "databricks:Workspace",
    }  # fmt: skip
    for endpoint in graph.of(f"{ML}OnlineEndpoint"):
        assert endpoint.get("properties.publicNetworkAccess") == "Disabled"
    for resource in graph.azure:
        if resource.name == "catalog-storage":
            # Databricks checks a location from its control plane: the firewall knows one connector.
            rules = resource.inputs["networkRuleSet"]
            assert rules["resourceAccessRules"][0]["resourceId"] == graph.named("databricks-connector").id
            assert len(rules["resourceAccessRules"]) == 1
            assert not {"ipRules", "virtualNetworkRules"} & rules.keys()
        elif resource.kind in closed:
            assert resource.inputs["publicNetworkAccess"] == "Disabled", resource.name
    (vault,) = graph.of("keyvault:Vault")
    assert vault.get("properties.publicNetworkAccess") == "Disabled"
    assert vault.get("properties.networkAcls.defaultAction") == "Deny"
    for storage in graph.of("storage:StorageAccount"):
        assert storage.get("networkRuleSet.defaultAction") == "Deny"
    for cluster in graph.of(f"{ML}Compute"):
        if cluster.get("properties.computeType") == "AmlCompute":
            assert cluster.get("properties.properties.enableNodePublicIp") is False
    for container in graph.of("containerinstance:ContainerGroup"):
        assert container.get("ipAddress.type") == "Private"
    for kubernetes in graph.of("containerservice:ManagedCluster"):
        assert kubernetes.get("apiServerAccessProfile.enablePrivateCluster") is True
    assert not graph.of("network:PublicIPAddress")
    (workspace,) = graph.of(f"{ML}Workspace")
    assert workspace.get("managedNetwork.isolationMode") == "AllowOnlyApprovedOutbound"


def test_blobs_are_never_public_and_keys_never_on() -> None:
    for stack in ENVIRONMENTS:
        graph = plan(stack)
        (storage,) = graph.of("storage:StorageAccount")
        assert storage.inputs["allowBlobPublicAccess"] is False
        assert storage.inputs["allowSharedKeyAccess"] is False
        assert {c.inputs["publicAccess"] for c in graph.of("storage:BlobContainer")} == {"None"}
        assert {"data", "artifacts", "captured"} <= {
            c.inputs["containerName"] for c in graph.of("storage:BlobContainer")
        }


# Order, where Azure needs one


def _needs(graph: Captured, resource: Resource) -> set[str]:
    """Logical names of everything that must exist before, directly or not."""
    by_urn = {r.urn: r for r in graph}
    seen: set[str] = set()
    todo = list(resource.dependencies)
    while todo:
        urn = todo.pop()
        if urn not in seen and urn in by_urn:
            seen.add(urn)
            todo += by_urn[urn].dependencies
    return {by_urn[urn].name for urn in seen}


def _chained(graph: Captured, resources: list[Resource]) -> bool:
    """Whether no two of these could be made at the same time."""
    needs = {r.name: _needs(graph, r) for r in resources}
    return all(
        a.name in needs[b.name] or b.name in needs[a.name] for a in resources for b in resources if a is not b
    )


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_the_workspace_waits_for_the_roles_of_its_identity(stack: str) -> None:
    graph = plan(stack, everything=True)
    needs = _needs(graph, graph.named("workspace"))
    own = {r.name for r in graph.azure if r.name.startswith("grant-workspace-")}
    assert own - {"grant-workspace-contributor-workspace"} <= needs
    assert len(own) > 5
    if stack != "dev":
        assert {"private-endpoint-blob", "private-dns-vault"} <= needs


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_clusters_and_endpoints_wait_for_their_roles(stack: str) -> None:
    graph = plan(stack)
    assert {"grant-train-acrpull-container-registry", "workspace"} <= _needs(
        graph, graph.named("compute-cpu-cluster")
    )
    assert "grant-serve-acrpull-container-registry" in _needs(graph, graph.named(f"online-{MODEL}"))


def test_what_azure_takes_one_at_a_time_is_chained() -> None:
    graph = plan("prod", everything=True)
    per_identity: dict[str, list[Resource]] = {}
    for trust in graph.of("managedidentity:FederatedIdentityCredential"):
        per_identity.setdefault(trust.inputs["resourceName"], []).append(trust)
    assert max(len(found) for found in per_identity.values()) == 2
    assert all(_chained(graph, found) for found in per_identity.values())
    subnets = list(graph.of("network:Subnet"))
    assert len(subnets) == 5
    assert _chained(graph, [*subnets, *graph.of("network:PrivateEndpoint")])
    outbound = {"isolation": "approved_outbound", "outbound": ["pypi.org", "files.pythonhosted.org"]}
    graph = plan("prod", network=outbound)
    rules = list(graph.of(f"{ML}ManagedNetworkSettingsRule"))
    assert {r.name for r in rules} == {
        "outbound-pypi-org", "outbound-files-pythonhosted-org",
        "outbound-registry-storage", "outbound-training-storage",
        "outbound-storage-queue", "outbound-storage-table",
    }  # fmt: skip
    assert _chained(graph, rules)


def test_subnets_do_not_overlap_and_lie_inside_the_network() -> None:
    graph = plan("prod", everything=True)
    (network,) = graph.of("network:VirtualNetwork")
    whole = ipaddress.ip_network(network.get("addressSpace.addressPrefixes")[0])
    subnets = [ipaddress.ip_network(s.inputs["addressPrefix"]) for s in graph.of("network:Subnet")]
    assert all(s.subnet_of(whole) for s in subnets)
    assert not [1 for a in subnets for b in subnets if a is not b and a.overlaps(b)]
    databricks = [s for s in graph.of("network:Subnet") if s.name.startswith("subnet-databricks")]
    assert all(ipaddress.ip_network(s.inputs["addressPrefix"]).prefixlen <= 26 for s in databricks)


def test_the_key_and_its_role_come_before_what_it_encrypts() -> None:
    graph = plan("prod")
    grant = "grant-encryption-key-vault-crypto-service-encryption-user-key-vault"
    for name in ("storage", "images", "workspace"):
        assert {"key", grant} <= _needs(graph, graph.named(name)), name
    assert graph.named("vault").get("properties.enablePurgeProtection") is True


def test_event_subscriptions_wait_for_the_roles_of_the_topic() -> None:
    graph = plan("prod", events=EVENTS)
    topics = graph.of("eventgrid:SystemTopic")
    assert len(topics) == 1
    for subscription in graph.of("eventgrid:SystemTopicEventSubscription"):
        needs = _needs(graph, subscription)
        assert "grant-events-storage-queue-data-message-sender-storage-account" in needs


# Options of resources


def test_what_holds_data_is_protected_and_kept() -> None:
    graph = plan("prod", everything=True)
    kept = {"group", "storage", "vault", "key", "workspace", "logs", "container-data", f"online-{MODEL}"}
    for name in kept:
        assert graph.named(name).options["protect"] is True, name
        assert graph.named(name).options["retain_on_delete"] is True, name
    assert plan("shared").named("model-registry").options["protect"] is True
    assert not [r.name for r in plan("dev").azure if "protect" in r.options]


def test_traffic_and_defaults_of_endpoints_belong_to_apply() -> None:
    graph = plan("prod")
    online, batch = graph.named(f"online-{MODEL}"), graph.named(f"batch-{MODEL}")
    assert {"properties.traffic", "properties.mirrorTraffic"} <= set(online.options["ignore_changes"])
    assert "properties.defaults" in batch.options["ignore_changes"]
    assert "traffic" not in str(online.inputs["properties"].keys())


def test_a_cluster_is_replaced_where_azure_ignores_a_change() -> None:
    options = plan("dev").named("compute-cpu-cluster").options
    assert {"properties.properties.vmSize", "properties.properties.vmPriority", "identity"} <= set(
        options["replace_on_changes"]
    )
    assert options["delete_before_replace"] is True


def test_role_assignments_are_deleted_before_they_are_replaced() -> None:
    grants = plan("prod").of("authorization:RoleAssignment")
    assert all(g.options["delete_before_replace"] is True for g in grants)
    assert {g.inputs["principalType"] for g in grants} == {"ServicePrincipal"}
    assert len({g.inputs["roleAssignmentName"] for g in grants}) == len(grants)


def test_the_workspace_is_given_time() -> None:
    assert plan("prod").named("workspace").options["timeouts"]["create"] == "90m"


# What the stack file decides


def test_another_region_is_one_line() -> None:
    here, there = plan("dev"), plan("dev", location="swedencentral")
    # The budget's holds its region: in another one it starts anew.
    one, other = ([r.urn for r in graph if r.kind != "consumption:Budget"] for graph in (here, there))
    assert one == other, "logical names must not change with the region"
    assert {r.inputs["location"] for r in there.azure if "location" in r.inputs} <= {
        "swedencentral", "global", "Global"
    }  # fmt: skip
    assert there.named("group").inputs["resourceGroupName"].endswith("-sdc")


def test_another_cluster_is_one_line() -> None:
    more = {**CLUSTERS, "memory": {"vm_size": "Standard_E8ds_v5", "max_nodes": 3, "idle_minutes": 5}}
    before, after = plan("dev", clusters=CLUSTERS), plan("dev", clusters=more)
    assert {r.name for r in after} - {r.name for r in before} == {"compute-memory"}
    scale = after.named("compute-memory").get("properties.properties.scaleSettings")
    assert scale == {"maxNodeCount": 3, "minNodeCount": 0, "nodeIdleTimeBeforeScaleDown": "PT5M"}
    assert after.exports["clusters"] == {name: name for name in more}


def test_another_model_is_one_entry_of_mlops_toml(tmp_path: Path) -> None:
    text = (ROOT / "mlops.toml").read_text(encoding="utf-8")
    (tmp_path / "mlops.toml").write_text(text + '\n[models.weather]\nusecase = "weather"\n')
    outputs = {f"{ORGANIZATION}/mlops/shared": plan("shared").exports}
    before, after = plan("dev"), capture(ROOT, "dev", outputs, program=lambda: main(tmp_path))
    assert {r.name for r in after} - {r.name for r in before} == {
        "online-weather", "batch-weather", "diagnostics-online-weather", "alert-latency-weather",
        "alert-errors-weather",
    }  # fmt: skip
    assert set(after.exports["online_endpoints"]) == {*load_settings(ROOT).models, "weather"}


def test_how_a_model_is_served_is_config() -> None:
    graph = plan("dev", endpoints={MODEL: {"auth": "key", "batch": False}})
    assert graph.named(f"online-{MODEL}").get("properties.authMode") == "Key"
    others = {f"batch-{model}" for model in load_settings(ROOT).models if model != MODEL}
    assert {endpoint.name for endpoint in graph.of(f"{ML}BatchEndpoint")} == others
    with pytest.raises(InvalidInput, match=r"endpoints\.flihgts: mlops\.toml has no model 'flihgts'"):
        plan("dev", endpoints={"flihgts": {}})


def test_options_are_off_unless_named() -> None:
    kinds = {
        "containerservice:ManagedCluster", "databricks:Workspace", "containerinstance:ContainerGroup",
    } | {"datafactory:Factory" for _ in TAKES}  # fmt: skip
    for stack in ENVIRONMENTS:
        assert not kinds & {r.kind for r in plan(stack).azure}
        assert kinds <= {r.kind for r in plan(stack, everything=True).azure}


@pytest.mark.parametrize("option", sorted(EVERYTHING["options"]))
def test_each_option_works_alone(option: str) -> None:
    graph = plan("staging", options={option: EVERYTHING["options"][option]})
    assert len(graph.azure) > len(plan("staging").azure)


def test_type_modules_of_options_are_not_loaded_without_them() -> None:
    script = (
        "import sys; sys.path[:0]=[sys.argv[1], sys.argv[1]+'/packages/infra/tests'];"
        "from graphs import plan; plan('dev');"
        "print(sorted(m.split('.')[1] for m in sys.modules"
        " if m.startswith('pulumi_azure_native.') and m.endswith('._inputs')))"
    )
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(ROOT)],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    ).stdout
    assert "'storage'" in found
    for module in (
        "containerservice",
        "databricks",
        "datafactory",
        "containerinstance",
        "network",
        "privatedns",
    ):
        assert f"'{module}'" not in found


def test_low_priority_in_dev_and_dedicated_elsewhere() -> None:
    def priorities(stack: str) -> set[str]:
        return {c.get("properties.properties.vmPriority") for c in plan(stack).of(f"{ML}Compute")}

    assert priorities("dev") == {"LowPriority"}
    assert priorities("staging") == priorities("prod") == {"Dedicated"}


def test_federation_takes_subjects_as_they_are_given() -> None:
    graph = plan(
        "prod", everything=True,
        github={"subject_prefix": "repo:Acme@123/freight@456", "environments": {"apply": "prod"}},
    )  # fmt: skip
    trusts = {
        t.name: (t.inputs["issuer"], t.inputs["subject"])
        for t in graph.of("managedidentity:FederatedIdentityCredential")
    }
    assert trusts == {
        "trust-apply-github": (
            "https://token.actions.githubusercontent.com", "repo:Acme@123/freight@456:environment:prod",
        ),
        "trust-plan-azure-devops": (
            EVERYTHING["azure_devops"]["issuer"], EVERYTHING["azure_devops"]["subjects"]["plan"],
        ),
        "trust-apply-azure-devops": (
            EVERYTHING["azure_devops"]["issuer"], EVERYTHING["azure_devops"]["subjects"]["apply"],
        ),
    }  # fmt: skip


def test_the_ttl_is_a_tag_that_a_clock_can_read() -> None:
    assert plan("dev", ttl="14d").named("group").inputs["tags"]["ttl"] == "14d"
    assert plan("dev", ttl="14d").exports["ttl"] == "14d"
    assert "ttl" not in plan("prod").named("group").inputs["tags"]


def test_purge_protection_is_left_out_rather_than_false() -> None:
    assert "enablePurgeProtection" not in plan("dev").named("vault").inputs["properties"]


# What is watched and what is exported


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_everything_that_can_be_watched_is(stack: str) -> None:
    graph = plan(stack, everything=True)
    watched = {d.inputs["resourceUri"] for d in graph.of("monitor:DiagnosticSetting")}
    kinds = {
        f"{ML}Workspace", f"{ML}OnlineEndpoint", "keyvault:Vault", "containerregistry:Registry",
        "operationalinsights:Workspace", "eventgrid:SystemTopic", "network:NetworkSecurityGroup",
        "containerservice:ManagedCluster", "databricks:Workspace", "datafactory:Factory",
    }  # fmt: skip
    assert not [r.name for r in graph.azure if r.kind in kinds and r.id not in watched]
    storage = graph.named("storage").id
    assert {f"{storage}/blobServices/default", f"{storage}/queueServices/default"} <= watched


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_somebody_hears_of_latency_errors_failed_jobs_and_money(stack: str) -> None:
    graph = plan(stack)
    group = graph.named("action-group").id
    assert graph.named(f"alert-latency-{MODEL}").inputs["actions"][0]["actionGroupId"] == group
    for name in (f"alert-errors-{MODEL}", "alert-failed-jobs"):
        assert graph.named(name).get("actions.actionGroups") == [group]
    (budget,) = graph.of("consumption:Budget")
    notifications = budget.inputs["notifications"]
    assert {n["thresholdType"] for n in notifications.values()} == {"Actual", "Forecasted"}
    assert all(n["contactEmails"] and n["contactGroups"] == [group] for n in notifications.values())


def test_exports_are_the_typed_list() -> None:
    assert set(plan("shared").exports) == set(SharedExports.__dataclass_fields__)
    for stack in ENVIRONMENTS:
        assert set(plan(stack).exports) == set(EnvironmentExports.__dataclass_fields__)
    exports = plan("prod").exports
    assert set(exports["client_ids"]) == {"plan", "apply", "train", "promote", "serve"}
    assert set(exports["online_endpoints"]) == set(load_settings(ROOT).models)
    assert exports["registry"] == plan("shared").exports["registry"]


def test_a_shared_stack_without_its_registry_is_told() -> None:
    with pytest.raises(InvalidInput, match="organization/mlops/shared, which is not planned before it"):
        capture(ROOT, "dev", {})


def _paths(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The path of every key inside `value`; items of lists have the path of their list."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, path)


def test_a_container_that_is_there_is_taken_in_where_the_file_says_so() -> None:
    plain = plan("staging").named("container-mlops")
    adopted = plan("staging", storage={"adopt_journal": True})
    found = adopted.named("container-mlops")
    assert "import" not in plain.options
    place = f"/storageAccounts/{adopted.named('storage').inputs['accountName']}/blobServices/default"
    assert found.options["import"].endswith(f"{place}/containers/mlops")
    assert [r.name for r in adopted.azure if "import" in r.options] == ["container-mlops"]
