"""Who may do what at this moment, by the role assignments that exist: Azure asks at every call.

Sources: learn.microsoft.com, "Azure built-in roles" (Contributor, Role Based Access Control Administrator,
Key Vault Administrator); "What are Azure role assignment conditions"; pulumi-azure-native#2374 (keys are
deleted at the vault); the roles of this repository are read from what the stacks defined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from mlops.infra.arm_types import ARM_TYPES
from mlops.infra.roles import BUILT_IN

PERSON = "person"
"""Owner of the subscription: may do everything but touch data."""
CONTRIBUTOR, ADMINISTRATOR = BUILT_IN["Contributor"], BUILT_IN["Role Based Access Control Administrator"]
DATA_ROLES = {BUILT_IN["Key Vault Administrator"]}
_ASSIGN = "authorization:RoleAssignment"
_ACTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    CONTRIBUTOR: (
        ("*",),
        (
            "microsoft.authorization/*/delete",
            "microsoft.authorization/*/write",
            "microsoft.authorization/elevateaccess/action",
        ),
    ),
    ADMINISTRATOR: (
        (
            "microsoft.authorization/roleassignments/write",
            "microsoft.authorization/roleassignments/delete",
            "*/read",
        ),
        (),
    ),
    BUILT_IN["Reader"]: (("*/read",), ()),
}
"""Actions and what is taken away from them, in lower case."""


@dataclass(frozen=True)
class Held:
    """One role assignment, as far as a decision needs it."""

    principal: str
    role: str
    scope: str
    condition: str = ""


def held(resources: Iterable[Mapping[str, Any]], outside: Iterable[Mapping[str, str]]) -> list[Held]:
    """The assignments of the pretended subscription; `outside` are those that no stack made."""
    found = [Held(**o) for o in outside]
    for resource in resources:
        if resource["kind"] == _ASSIGN:
            o = resource["outputs"]
            role = str(o["roleDefinitionId"]).rsplit("/", 1)[-1]
            found.append(Held(str(o["principalId"]), role, str(o["scope"]), str(o.get("condition") or "")))
    return found


def refused(
    caller: str, verb: str, kind: str, resource_id: str, *, inputs: Mapping[str, Any], grants: Iterable[Held]
) -> str:
    """Why Azure answers 403; empty when the caller may. `verb` is read, write or delete."""
    mine = [g for g in grants if g.principal == caller and below(resource_id, g.scope)]
    if kind == "keyvault:Key" and verb == "delete":
        if any(g.role in DATA_ROLES for g in mine):
            return ""
        return f"403 Forbidden: {caller} may not delete keys at the vault of {resource_id}"
    if caller == PERSON:
        return ""
    action = f"{ARM_TYPES[kind].type}/{verb}".lower()
    if any(_grants(g, action) and _meets(g.condition, action, inputs) for g in mine):
        return ""
    return f"403 AuthorizationFailed: {caller} has no right to {action} over {resource_id}"


def below(resource_id: str, scope: str) -> bool:
    return f"{resource_id.lower()}/".startswith(f"{scope.lower().rstrip('/')}/")


def _grants(grant: Held, action: str) -> bool:
    allowed, taken = _ACTIONS.get(grant.role, ((), ()))
    return any(fnmatchcase(action, a) for a in allowed) and not any(fnmatchcase(action, t) for t in taken)


def _meets(condition: str, action: str, inputs: Mapping[str, Any]) -> bool:
    """A condition in the words of `roles.only`: of each action, the roles and the kind of principal."""
    for clause in condition.split(" AND (("):
        matched = re.search(r"ActionMatches\{'([^']+)'\}", clause)
        if not matched or matched[1].lower() != action:
            continue
        roles = re.search(r"GuidEquals \{([^}]*)\}", clause)
        role = str(inputs.get("roleDefinitionId", "")).rsplit("/", 1)[-1].lower()
        if roles and role not in {r.strip().lower() for r in roles[1].split(",")}:
            return False
        if "'ServicePrincipal'" in clause and inputs.get("principalType") != "ServicePrincipal":
            return False
    return True
