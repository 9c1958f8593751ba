"""Every identity has exactly the roles that docs/security.md lists: a role that nobody wrote down is a way in
that nobody reviews."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphs import ENVIRONMENTS, ROOT, TAKES, TRAINS, exports, plan
from mlops.errors import InvalidInput
from mlops.infra import roles, security_page, suppress
from mlops.infra.model import Captured
from mlops.infra.plan.mocks import guid as pretend_guid
from mlops.infra.wanted import stack_before

PAGE = ROOT / "docs" / "security.md"
_KNOWN = {
    "topic": "events",
    "data-factory": "data factory",
    "databricks-connector": "databricks",
}


def _listed() -> set[tuple[str, str, str]]:
    """(identity, role, scope) as the page shows them to its reader."""
    table = PAGE.read_text(encoding="utf-8").split("### Role assignments")[1].split("###")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line
    ]
    return {(row[0], row[1], row[2]) for row in rows[2:]}


def _holders(graph: Captured) -> dict[str, str]:
    """Identity by the object id that the pretended Azure gave it."""
    found = {}
    for resource in graph.azure:
        if resource.kind == "managedidentity:UserAssignedIdentity":
            found[pretend_guid(resource.id, "principal")] = resource.name.removeprefix("identity-")
        elif resource.name in _KNOWN:
            found[pretend_guid(resource.id, "principal")] = _KNOWN[resource.name]
    return found


def _scopes(graph: Captured) -> dict[str, str]:
    names = {
        "group": "resource group", "storage": "storage account",
        "catalog-storage": "catalog storage account", "container-data": "data container",
        "container-captured": "captured container", "container-undelivered-events": "undelivered container",
        "vault": "key vault", "images": "container registry", "insights": "application insights",
        "logs": "log analytics", "workspace": "workspace", "subnet-workloads": "workloads subnet",
    }  # fmt: skip
    found = {graph.named(n).id: scope for n, scope in names.items() if any(r.name == n for r in graph)}
    if graph.stack != TRAINS:
        trains = exports(TRAINS)
        found |= {
            trains["workspace_id"]: "training workspace",
            trains["storage_account_id"]: "training storage account",
        }
    if before := stack_before(ROOT, graph.stack):
        found |= {
            exports(before)["journal_id"]: "journal of the environment before",
            exports(before)["workspace_id"]: "workspace of the environment before",
        }
    return {**found, exports("shared")["registry_id"]: "model registry"}


def _role_names(graph: Captured) -> dict[str, str]:
    names = {identifier: name for name, identifier in roles.BUILT_IN.items()}
    for captured in (graph, plan("shared")):
        for definition in captured.of("authorization:RoleDefinition"):
            names[definition.inputs["roleDefinitionId"]] = definition.inputs["roleName"].split(" (")[0]
    return names


def _assigned(graph: Captured) -> set[tuple[str, str, str]]:
    holders, scopes, names = _holders(graph), _scopes(graph), _role_names(graph)
    return {
        (
            holders[g.inputs["principalId"]],
            names[g.inputs["roleDefinitionId"].rsplit("/", 1)[1]],
            scopes[g.inputs["scope"]],
        )
        for g in graph.of("authorization:RoleAssignment")
    }


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_no_identity_has_a_role_that_the_page_does_not_list(stack: str) -> None:
    for everything in (False, True):
        graph = plan(stack, everything=everything)
        assert _assigned(graph) <= _listed()
        assert len(graph.of("authorization:RoleAssignment")) == len(_assigned(graph))


def test_every_role_of_the_page_is_assigned_when_every_option_is_on() -> None:
    off = set() if TAKES else {"data factory"}
    # test_training.py has the rows of a private stack that trains: another stack's file says so.
    private = {(g.identity, g.role, g.scope) for g in roles.GRANTS if g.when == "a private stack trains"}
    assert (
        _assigned(plan("prod", everything=True)) == {row for row in _listed() if row[0] not in off} - private
    )


def test_every_identity_of_a_stack_is_on_the_page() -> None:
    for stack in ENVIRONMENTS:
        assert set(_holders(plan(stack, everything=True)).values()) <= set(roles.IDENTITIES)


def test_the_page_is_what_the_code_says() -> None:
    assert security_page.main(["--check"]) == 0, "run python -m mlops.infra.security_page"


def test_a_page_that_drifted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drifted = tmp_path / "security.md"
    drifted.write_text(PAGE.read_text(encoding="utf-8").replace("| serve | AcrPull |", "| serve | AcrPush |"))
    monkeypatch.setattr(security_page, "PAGE", drifted)
    assert security_page.main(["--check"]) == 5
    assert security_page.main([]) == 0
    assert drifted.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(InvalidInput, match="must keep the lines"):
        security_page.page("# Security\n")


def test_grants_are_unique_and_their_roles_exist() -> None:
    labels = [g.label for g in roles.GRANTS]
    assert len(labels) == len(set(labels))
    known = set(roles.BUILT_IN) | {r.name for r in roles.CUSTOM}
    assert {g.role for g in roles.GRANTS} <= known
    assert {g.role for g in roles.GRANTS} == known, "a role that nothing uses is noise in the review"
    assert {g.identity for g in roles.GRANTS} == set(roles.IDENTITIES)


def test_nobody_is_owner_and_only_apply_assigns_roles() -> None:
    assert not {"Owner", "User Access Administrator"} & set(roles.BUILT_IN)
    administrators = [g.identity for g in roles.GRANTS if g.role == "Role Based Access Control Administrator"]
    assert administrators == ["apply"]


def test_custom_roles_cannot_delete_models_assign_roles_or_use_wildcards_to_write() -> None:
    for role in roles.CUSTOM:
        for action in role.actions:
            assert re.fullmatch(
                r"Microsoft\.(MachineLearningServices(/[A-Za-z*]+)+/(read|write|delete|action)"
                r"|Insights/autoscaleSettings/(read|write|delete))",
                action,
            )
            assert "*" not in action or action.endswith("/read")
            if action.endswith("/delete"):
                assert action.endswith(("deployments/delete", "autoscaleSettings/delete"))


def test_apply_may_assign_the_listed_roles_only_and_to_no_person() -> None:
    graph = plan("prod", everything=True)
    (grant,) = [g for g in graph.of("authorization:RoleAssignment") if "condition" in g.inputs]
    assert grant.name.startswith("grant-apply-role-based-access-control-administrator")
    condition = grant.inputs["condition"]
    assert grant.inputs["conditionVersion"] == "2.0"
    allowed = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", condition))
    made = {
        g.inputs["roleDefinitionId"].rsplit("/", 1)[1]
        for g in graph.of("authorization:RoleAssignment")
        if g is not grant and g.inputs["scope"] != plan("shared").exports["registry_id"]
    }
    # Without a model that takes deliveries nothing is assigned to a data factory.
    assert made == allowed if TAKES else made < allowed, (
        "apply must be able to make these assignments, and no others"
    )
    assert roles.BUILT_IN["Role Based Access Control Administrator"] not in allowed
    assert condition.count("{'ServicePrincipal'}") == 2
    assert condition.count("(") == condition.count(")")


# Suppressions


def test_a_suppression_needs_a_check_and_a_sentence() -> None:
    with pytest.raises(ValueError, match="is no check id"):
        suppress.skip("storage", "everything", "because we say so here")
    with pytest.raises(ValueError, match="must be a sentence"):
        suppress.skip("storage", "CKV_AZURE_1", "not needed")


def test_suppressions_belong_to_one_run() -> None:
    assert {s.resource for s in plan("dev").skips} <= {r.name for r in plan("dev")}
    assert {s.check for s in plan("prod").skips} != {s.check for s in plan("dev").skips}
