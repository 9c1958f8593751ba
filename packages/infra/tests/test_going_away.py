"""An environment goes when it is asked to go, as the identity that workflows have: no call may lack its
right.

Seen before: `apply` deleted its own Contributor early, could not delete role definitions or its own grant,
and a key was deleted at the vault, where nobody has a right. After five runs 17 resources stayed.
"""

from __future__ import annotations

import pytest

from graphs import ENVIRONMENTS, ROOT, plan
from mlops.infra import roles
from mlops.infra.model import Captured
from mlops.infra.plan.mocks import guid
from mlops.infra.wanted import stack_before
from mlops.spec.settings import load_settings
from stand_in import rights
from stand_in.rights import Held

JOURNAL_BEFORE: roles.Scope = "journal of the environment before"
WORKSPACE_BEFORE: roles.Scope = "workspace of the environment before"


def condition(scope: roles.Scope) -> str:
    """As bootstrap gives it to `apply` outside of its environment."""
    project = load_settings(ROOT).project.name
    return roles.only(
        roles.custom_id(project, "shared", name) if roles.custom(name) else roles.BUILT_IN[name]
        for name in roles.held_at(scope)
    )


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_what_apply_needs_to_the_end_goes_with_the_group(stack: str) -> None:
    graph = plan(stack, everything=True)
    (group,) = graph.of("resources:ResourceGroup")
    own = {r.name for r in graph.azure if r.options.get("deleted_with") == group.urn}
    kept = {f"grant-{g.label}" for g in roles.GRANTS if g.identity == "apply"} | {"identity-apply"}
    assert own == kept | {r.name for r in graph.azure if r.name.startswith("trust-apply-")}


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_no_environment_defines_a_role(stack: str) -> None:
    """Contributor may neither write nor delete a definition, and whoever may can give its holders any
    right."""
    assert plan(stack, everything=True).of("authorization:RoleDefinition") == ()


def test_the_shared_stack_defines_every_role() -> None:
    shared = plan("shared")
    defined = {d.inputs["roleName"].split(" (")[0] for d in shared.of("authorization:RoleDefinition")}
    assert defined == {r.name for r in roles.CUSTOM}
    exported = shared.exports["environment_role_ids"]
    assert set(exported) == {r.name for r in roles.CUSTOM if r.where == "environments"}


@pytest.mark.parametrize("protect", [True, False])
def test_a_key_is_never_deleted_at_its_vault(protect: bool) -> None:
    assert plan("prod", protect=protect).named("key").options["retain_on_delete"] is True


def _refusals(graph: Captured) -> list[str]:
    """What is refused when `apply` deletes everything in the engine's order, by the grants left at each
    call."""
    apply = guid(graph.named("identity-apply").id, "principal")
    registry = plan("shared").exports["registry_id"].split("/providers/")[0]
    outside = [Held(apply, rights.ADMINISTRATOR, registry, condition("model registry"))]
    if graph.stack != "dev":
        trains = plan("dev").exports
        workspace, account = trains["workspace_id"], trains["storage_account_id"]
        outside += [
            Held(apply, rights.ADMINISTRATOR, workspace, condition("training workspace")),
            Held(apply, rights.ADMINISTRATOR, account, condition("training storage account")),
        ]
    if before := stack_before(ROOT, graph.stack):
        there = plan(before).exports
        for scope, key in ((JOURNAL_BEFORE, "journal_id"), (WORKSPACE_BEFORE, "workspace_id")):
            outside.append(Held(apply, rights.ADMINISTRATOR, there[key], condition(scope)))
    to_the_end = [r for r in graph.azure if r.options.get("deleted_with")]
    left = {r.urn: r for r in graph.azure}
    said = []
    while left:
        needed = {d for r in left.values() for d in r.dependencies if d in left and d != r.urn}
        for resource in [r for urn, r in left.items() if urn not in needed]:
            if not (resource.options.get("retain_on_delete") or resource.options.get("deleted_with")):
                there = [{"kind": r.kind, "outputs": r.inputs} for r in (*left.values(), *to_the_end)]
                grants = [*rights.held(there, []), *outside]
                kind, where = resource.kind, resource.id
                said.append(
                    rights.refused(apply, "delete", kind, where, inputs=resource.inputs, grants=grants)
                )
            del left[resource.urn]
    return [s for s in said if s]


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_apply_may_delete_everything_that_it_is_asked_to_delete(stack: str) -> None:
    assert _refusals(plan(stack, everything=True, protect=False)) == []


@pytest.mark.parametrize(
    ("kind", "verb", "role", "refused"),
    [
        ("storage:StorageAccount", "delete", rights.CONTRIBUTOR, False),
        ("authorization:RoleAssignment", "delete", rights.CONTRIBUTOR, True),
        ("authorization:RoleAssignment", "write", rights.CONTRIBUTOR, True),
        ("authorization:RoleAssignment", "delete", rights.ADMINISTRATOR, False),
        ("authorization:RoleDefinition", "delete", rights.CONTRIBUTOR, True),
        ("authorization:RoleDefinition", "delete", rights.ADMINISTRATOR, True),
        ("storage:StorageAccount", "write", rights.ADMINISTRATOR, True),
        ("storage:StorageAccount", "read", rights.ADMINISTRATOR, False),
        ("storage:StorageAccount", "write", roles.BUILT_IN["Reader"], True),
        ("keyvault:Key", "delete", rights.CONTRIBUTOR, True),
        ("keyvault:Key", "delete", roles.BUILT_IN["Key Vault Administrator"], False),
    ],
)
def test_the_stand_in_refuses_what_a_role_does_not_give(
    kind: str, verb: str, role: str, refused: bool
) -> None:
    group = "/subscriptions/s/resourceGroups/rg"
    grants = [Held("me", role, group)]
    said = rights.refused("me", verb, kind, f"{group}/providers/x/y/z", inputs={}, grants=grants)
    assert said.startswith("403") == refused
    assert rights.refused("me", verb, kind, f"{group}2/providers/x", inputs={}, grants=grants)
    assert rights.refused("another", verb, kind, f"{group}/x", inputs={}, grants=grants)


def test_the_stand_in_keeps_to_a_condition() -> None:
    group = "/subscriptions/s/resourceGroups/rg"
    grants = [Held("me", rights.ADMINISTRATOR, group, roles.only([rights.CONTRIBUTOR]))]

    def delete(role: str, principal_type: str) -> str:
        inputs = {"roleDefinitionId": f"/x/{role}", "principalType": principal_type}
        kind = "authorization:RoleAssignment"
        return rights.refused("me", "delete", kind, f"{group}/y", inputs=inputs, grants=grants)

    assert delete(rights.CONTRIBUTOR, "ServicePrincipal") == ""
    assert delete(rights.ADMINISTRATOR, "ServicePrincipal").startswith("403")
    assert delete(rights.CONTRIBUTOR, "User").startswith("403")


def test_a_person_may_do_everything_but_touch_data() -> None:
    def ask(kind: str) -> str:
        return rights.refused(rights.PERSON, "delete", kind, "/subscriptions/s/x", inputs={}, grants=[])

    assert ask("authorization:RoleDefinition") == ""
    assert ask("keyvault:Key").startswith("403")
