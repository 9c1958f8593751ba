"""The plan is deterministic, complete, shows no secret, and names what a change does to each resource."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pulumi
import pytest
import yaml

from graphs import CLUSTERS, plan
from mlops.errors import InvalidInput
from mlops.infra.arm_types import ARM_TYPES, arm_type
from mlops.infra.model import SECRET, UNKNOWN, Captured, Finding, Resource, texts
from mlops.infra.plan import api
from mlops.infra.plan import capture as capture_module
from mlops.infra.plan.arm import body, template
from mlops.infra.plan.base import captured_at, parts_moved
from mlops.infra.plan.capture import capture
from mlops.infra.plan.diff import changes
from mlops.infra.plan.dump import dumps, loads
from mlops.infra.plan.report import Plan, StackPlan
from mlops.infra.plan.stacks import capture_stacks
from mlops.infra.stack_names import stack_names

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = [p for p in (ROOT / "packages").iterdir() if (p / "src").is_dir()]
STACKS = ["shared", "dev", "staging", "prod"]


def planned(*captured: Captured, **facts: object) -> Plan:
    return Plan(tuple(StackPlan(c) for c in captured), **facts)  # type: ignore[arg-type]


def in_stack(program: Callable[[], None]) -> Captured:
    return capture(ROOT, "shared", program=program)


def test_plan_knows_the_stacks_of_the_repository() -> None:
    assert set(STACKS) <= set(stack_names(ROOT)), "a team may have more"


def test_plan_sorts_stacks_on_the_way_to_production_and_others_behind(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    for name in ("trial", "prod", "another", *STACKS):
        (tmp_path / f"environments/Pulumi.{name}.yaml").touch()
    assert stack_names(tmp_path) == [*STACKS, "another", "trial"]


def test_plan_is_the_same_twice(stacks: Mapping[str, Captured]) -> None:
    again = capture_stacks(ROOT, ["dev"])[0]
    assert api.render.text(planned(again)) == api.render.text(planned(stacks["dev"]))
    assert template(again) == template(stacks["dev"])


def test_plan_of_one_stack_reads_what_shared_exports(stacks: Mapping[str, Captured]) -> None:
    assert [c.stack for c in capture_stacks(ROOT, ["prod"])] == ["prod"]
    assert stacks["shared"].exports["registry_id"] in set(texts([dict(r.inputs) for r in stacks["prod"]]))


def test_plan_of_an_unknown_stack_names_the_known_ones() -> None:
    with pytest.raises(
        InvalidInput, match=r"no environments/Pulumi\.qa\.yaml; stacks: shared, dev, staging, prod"
    ):
        capture_stacks(ROOT, ["qa"])


def test_plan_tree_shows_component_resource_properties_order_and_options(
    stacks: Mapping[str, Captured],
) -> None:
    text = api.render.text(planned(stacks["prod"]))
    assert re.search(r"^  mlops:infra:Storage storage$", text, re.MULTILINE)
    assert re.search(
        r"^    storage:StorageAccount storage .*\[protect\] \[retain-on-delete\]", text, re.MULTILINE
    )
    assert re.search(r"^ +allowSharedKeyAccess: false$", text, re.MULTILINE)
    assert re.search(r"^ +after: .*blobs", text, re.MULTILINE)


def test_plan_shows_no_secret_anywhere() -> None:
    from pulumi_azure_native import monitor

    def program() -> None:
        monitor.ActionGroup(
            "group", resource_group_name="rg", action_group_name="ag", group_short_name="x", enabled=True,
            location="Global",
            webhook_receivers=[
                monitor.WebhookReceiverArgs(name="chat", service_uri=pulumi.Output.secret("https://hunter2"))
            ],
        )  # fmt: skip

    captured = in_stack(program)
    plan = planned(captured)
    shown = [
        api.render.text(plan), api.render.to_json(plan), api.render.markdown(plan),
        json.dumps(template(captured)),
    ]  # fmt: skip
    assert all("hunter2" not in text for text in shown)
    assert SECRET in shown[0]
    assert captured.named("group").get("webhookReceivers")[0]["serviceUri"] == "https://hunter2", (
        "rules see it"
    )


def test_plan_preview_leaves_what_only_azure_knows_unknown() -> None:
    captured = capture_stacks(ROOT, ["dev"], preview=True)[0]
    assert {r.get("principalId") for r in captured.of("authorization:RoleAssignment")} == {UNKNOWN}


def test_plan_refuses_two_resources_of_one_name() -> None:
    from pulumi_azure_native import resources

    def program() -> None:
        for name in ("a", "b"):
            resources.ResourceGroup("twice", resource_group_name=name, location="westeurope")

    with pytest.raises(InvalidInput, match="'twice'; the engine refuses the second"):
        in_stack(program)


def test_plan_refuses_an_output_inside_a_text() -> None:
    from pulumi_azure_native import resources

    def program() -> None:
        group = resources.ResourceGroup("one", resource_group_name="one", location="westeurope")
        resources.ResourceGroup("two", resource_group_name=f"{group.name}-two", location="westeurope")

    with pytest.raises(InvalidInput, match="two: an Output was put into a text"):
        in_stack(program)


def test_plan_refuses_automatic_names() -> None:
    from pulumi_azure_native import resources

    with pytest.raises(InvalidInput, match="resourceGroupName is not set"):
        in_stack(lambda: resources.ResourceGroup("one", location="westeurope") and None)


def test_plan_recovers_after_a_program_that_failed(stacks: Mapping[str, Captured]) -> None:
    def program() -> None:
        raise InvalidInput("this one fails")

    with pytest.raises(InvalidInput, match="this one fails"):
        in_stack(program)
    assert capture_stacks(ROOT, ["shared"])[0] == stacks["shared"]


def test_plan_diff_names_create_update_replace_and_delete() -> None:
    before = plan("prod", clusters=CLUSTERS)
    kept = [r for r in before if r.name != "compute-gpu-cluster"]
    edited = tuple(_edited(r) for r in kept)
    new = replace(
        before.named("compute-gpu-cluster"),
        urn="urn:pulumi:prod::mlops::x::compute-tpu-cluster",
        name="compute-tpu-cluster",
    )
    found = changes(before, replace(before, resources=(*edited, new)))
    assert [(c.kind, c.name) for c in found] == [
        ("create", "compute-tpu-cluster"), ("update", "storage"), ("replace", "compute-cpu-cluster"),
        ("delete", "compute-gpu-cluster"),
    ]  # fmt: skip
    replaced = found[2].properties
    assert [(p.path, p.after, p.replaces) for p in replaced] == [
        ("properties.properties.vmSize", "Standard_X", True)
    ]
    assert changes(before, before) == []


def _edited(resource: Resource) -> Resource:
    if resource.name == "compute-cpu-cluster":
        properties = resource.get("properties")
        inner = {**properties["properties"], "vmSize": "Standard_X"}
        return replace(
            resource, inputs={**resource.inputs, "properties": {**properties, "properties": inner}}
        )
    if resource.name == "storage" and resource.custom:
        return replace(resource, inputs={**resource.inputs, "accessTier": "Cool"})
    if resource.kind.endswith(":OnlineEndpoint"):
        # `mlops apply` owns traffic, and the options say so.
        return replace(
            resource,
            inputs={
                **resource.inputs,
                "properties": {**resource.get("properties"), "traffic": {"blue": 100}},
            },
        )
    return resource


def test_plan_diff_tells_that_a_secret_changed_without_showing_it() -> None:
    old = Resource(
        "urn:pulumi:x::p::t::n", "azure-native:t:T", "n", {"key": "old"}, secret=frozenset({"key"})
    )
    new = replace(old, inputs={"key": "new"})
    found = changes(Captured("p", "x", (old,)), Captured("p", "x", (new,)))
    assert [(p.path, p.before, p.after) for p in found[0].properties] == [("key", SECRET, SECRET)]


def test_plan_against_a_commit_runs_that_commits_program(tmp_path: Path) -> None:
    """A repository of its own: the base has one cluster more."""
    head = _repository(tmp_path)
    stack = tmp_path / "environments" / "Pulumi.dev.yaml"
    text = stack.read_text()
    more = yaml.safe_load(text)
    more["config"]["mlops:clusters"]["more"] = CLUSTERS["cpu-cluster"]
    stack.write_text(yaml.safe_dump(more))
    _git(tmp_path, "commit", "--quiet", "--all", "--message", "more")
    stack.write_text(text)
    base = captured_at(tmp_path, "HEAD", ["dev"])
    now = {c.stack: c for c in capture_stacks(ROOT, ["dev"])}
    assert [(c.kind, c.name) for c in changes(base["dev"], now["dev"])] == [("delete", "compute-more")]
    assert changes(captured_at(tmp_path, head, ["dev"])["dev"], now["dev"]) == []


def test_plan_against_a_commit_tells_a_rename(tmp_path: Path) -> None:
    _repository(tmp_path)
    _git(tmp_path, "mv", "environments/Pulumi.dev.yaml", "environments/Pulumi.sandbox.yaml")
    planned = api.plan(tmp_path, stacks=["sandbox"], against="HEAD", checkov=False)
    (note,) = planned.notes
    assert note.startswith("stack sandbox is dev under another name: ")
    assert f"NOTE       {note}" in api.render.text(planned)
    assert note in api.render.markdown(planned)
    assert json.loads(api.render.to_json(planned))["notes"] == [note]


def test_plan_against_a_commit_with_other_parts_says_what_it_does_not_show(tmp_path: Path) -> None:
    _repository(tmp_path)
    lock = (
        'version = 1\n[[package]]\nname = "gitops-ml-infra"\nversion = "{0}"\n'
        'source = {{ git = "https://example.com/x?tag=v{0}#abc" }}\n'
    )
    (tmp_path / "uv.lock").write_text(lock.format("0.1.0"))
    _git(tmp_path, "add", "--all")
    _git(tmp_path, "commit", "--quiet", "--message", "pinned")
    assert parts_moved(tmp_path, "HEAD") == ""
    (tmp_path / "uv.lock").write_text(lock.format("0.2.0"))
    said = parts_moved(tmp_path, "HEAD")
    assert said.startswith("gitops-ml-infra moves from 0.1.0 https://example.com/x?tag=v0.1.0#abc to 0.2.0 ")
    (note,) = api.plan(tmp_path, stacks=["shared"], against="HEAD", checkov=False).notes
    assert note == said


def test_plan_against_a_commit_without_infra_is_all_new(tmp_path: Path) -> None:
    _git(tmp_path, "init", "--quiet")
    (tmp_path / "README.md").write_text("empty\n")
    _git(tmp_path, "add", "--all")
    _git(tmp_path, "commit", "--quiet", "--message", "first")
    assert captured_at(tmp_path, "HEAD", STACKS) == {}
    with pytest.raises(InvalidInput, match="git knows no commit 'nowhere'"):
        captured_at(tmp_path, "nowhere", STACKS)


def _repository(folder: Path) -> str:
    import shutil

    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("infra", "environments", "src", *(f"packages/{p.name}/src" for p in PACKAGES)):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy2(ROOT / name, folder / name)
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "all")
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *args: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    done = subprocess.run(["git", "-C", str(folder), *who, *args], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_plan_survives_its_way_through_json(stacks: Mapping[str, Captured]) -> None:
    assert loads(dumps([stacks["dev"]])) == [stacks["dev"]]


def test_plan_markdown_fits_a_comment_and_leads_with_the_verdict(stacks: Mapping[str, Captured]) -> None:
    findings = tuple(Finding("dev", "MLOPS_TAGS_1", f"r{n}", "no | tags") for n in range(2000))
    plan = planned(stacks["dev"], violations=findings)
    text = api.render.markdown(plan, limit=5000)
    assert len(text) <= 5000
    assert "**2000 policy violations**" in text[:100]
    assert "no \\| tags" in text
    assert text.rstrip().endswith("run `mlops infra plan` for all of it.")
    assert text.count("```") % 2 == 0


def test_plan_json_holds_verdict_changes_and_findings(stacks: Mapping[str, Captured]) -> None:
    finding = Finding("dev", "MLOPS_TAGS_1", "storage", "no tags")
    document = json.loads(api.render.to_json(planned(stacks["dev"], violations=(finding,))))
    assert document["verdict"] == "blocked"
    assert document["violations"][0]["resource"] == "storage"
    assert len(document["stacks"]["dev"]["resources"]) == len(stacks["dev"].resources)


@pytest.mark.parametrize("stack", STACKS)
def test_plan_arm_has_every_resource_and_unique_ids(stacks: Mapping[str, Captured], stack: str) -> None:
    resources = template(stacks[stack])["resources"]
    assert len(resources) == len(stacks[stack].azure)
    ids = [r.id for r in stacks[stack].azure]
    assert len(set(map(str.lower, ids))) == len(ids)
    known = set(ids)
    assert all(set(r.get("dependsOn", [])) <= known for r in resources)


def test_plan_arm_shape_follows_rule_and_exceptions(stacks: Mapping[str, Captured]) -> None:
    account = body(stacks["prod"].of("storage:StorageAccount")[0])
    assert account["properties"]["supportsHttpsTrafficOnly"] is True
    assert account["properties"]["networkAcls"]["defaultAction"] == "Deny"
    assert account["sku"] == {"name": "Standard_GZRS"}
    alert = body(stacks["prod"].of("monitor:MetricAlert")[0])
    assert "odata.type" in alert["properties"]["criteria"]
    workspace = body(stacks["prod"].of("machinelearningservices:Workspace")[0])
    assert all(value == {} for value in workspace["identity"]["userAssignedIdentities"].values())
    endpoint = body(stacks["prod"].of("network:PrivateEndpoint")[0])
    assert set(endpoint["properties"]["privateLinkServiceConnections"][0]) == {"name", "properties"}


def test_plan_arm_versions_are_those_that_the_provider_calls() -> None:
    """The version is a sentence in the docstring of each azure-native class."""
    import pulumi_azure_native

    package = Path(pulumi_azure_native.__file__).parent
    for token, entry in ARM_TYPES.items():
        module, name = token.split(":")
        source = package / module / f"{re.sub(r'(?<!^)(?=[A-Z])', '_', name).lower()}.py"
        called = re.search(r"Uses Azure REST API version ([\w-]+)", source.read_text())
        assert called is not None, token
        assert entry.version == called[1], token


def test_plan_arm_type_that_the_table_lacks_is_told() -> None:
    with pytest.raises(
        InvalidInput, match=r"azure-native:new:Thing is no kind of resource that plan and policy know"
    ):
        arm_type("azure-native:new:Thing")


def test_plan_purge_lists_what_a_destroy_leaves_taken(stacks: Mapping[str, Captured]) -> None:
    from mlops.infra.plan.purge import names, runbook

    assert {s.kind for s in names(stacks["dev"])} == {"workspace", "key vault", "log analytics"}
    text = runbook([stacks["dev"], stacks["prod"]])
    vault, region = (stacks["dev"].of("keyvault:Vault")[0].get(key) for key in ("vaultName", "location"))
    assert f"az keyvault purge --name {vault} --location {region}" in text
    protected = stacks["prod"].of("keyvault:Vault")[0].get("vaultName")
    assert f"purge --name {protected}" not in text, "purge protection refuses it"
    assert "change `mlops:salt`" in text


def test_a_link_out_of_the_repository_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "infra").symlink_to("/etc")
    for words in (["init", "-q"], ["add", "infra"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(tmp_path), *identity, "commit", "-qm", "Link"], check=True)
    with pytest.raises(InvalidInput, match="leads outside of the repository"):
        captured_at(tmp_path, "HEAD", ["dev"])


def test_aliases_of_types_change_nothing_of_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK makes a URN of each by tasks of its own, nine tenths of the time; nothing here reads them."""
    cheap = capture(ROOT, "shared", {})
    monkeypatch.setattr(capture_module, "_cheap_aliases", contextlib.nullcontext)
    assert capture(ROOT, "shared", {}) == cheap
