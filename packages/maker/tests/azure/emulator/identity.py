"""Managed identities with what they trust, and role assignments."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from .arm import Kind, Resource
from .entra import TENANT
from .http import Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
TRUST = f"{IDENTITY}/federatedIdentityCredentials"
ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_NAMESPACE = uuid.UUID("0f6b0b0e-52a5-4d2a-8f0e-3d0d4e0f7a11")


def ids(path: str) -> dict[str, str]:
    """What Azure would choose for an identity: the same for the same path."""
    return {
        "clientId": str(uuid.uuid5(_NAMESPACE, f"client {path.lower()}")),
        "principalId": str(uuid.uuid5(_NAMESPACE, f"principal {path.lower()}")),
        "tenantId": TENANT,
    }


class Identity:
    """Role assignments keep Azure's rules: one a name, one a principal, role and scope, none changed."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def assignments(self, scope: str = "") -> list[Resource]:
        """Those at or below a scope."""
        return [
            r for r in self._emulator.arm.of_type(ASSIGNMENT) if r["id"].lower().startswith(scope.lower())
        ]

    def identity(self, resource: Resource, before: Resource | None, request: Request) -> None:
        resource["properties"] = {**resource.get("properties", {}), **ids(resource["id"])}

    def assign(self, resource: Resource, before: Resource | None, request: Request) -> None:
        properties = resource["properties"]
        scope = resource["id"].rsplit("/providers/", 1)[0]
        properties["scope"] = scope
        properties.pop("provisioningState", None)
        if before is not None:
            same = ("principalId", "roleDefinitionId", "condition")
            if any(properties.get(k) != before["properties"].get(k) for k in same):
                raise Refused(
                    400,
                    "RoleAssignmentUpdateNotPermitted",
                    "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
                )
            return
        for other in self.assignments():
            there = other["properties"]
            if (
                there["principalId"],
                there["roleDefinitionId"].rsplit("/", 1)[-1],
                there["scope"].lower(),
            ) == (
                properties["principalId"],
                properties["roleDefinitionId"].rsplit("/", 1)[-1],
                scope.lower(),
            ):
                raise Refused(409, "RoleAssignmentExists", "The role assignment already exists.")
        target = scope if "/providers/" in scope or "/resourcegroups/" in scope.lower() else ""
        if target and self._emulator.arm.get(target) is None:
            raise Refused(404, "ResourceNotFound", f"The scope {scope} was not found.")

    def listed(self, request: Request, path: str) -> list[Resource]:
        """At the scope, above and below it, of one principal when the filter says so."""
        scope = path.rsplit("/providers/", 1)[0].lower()
        found = [
            r
            for r in self.assignments()
            if scope.startswith(r["properties"]["scope"].lower())
            or r["properties"]["scope"].lower().startswith(scope)
        ]
        wanted: Any = re.fullmatch(r"principalId eq '([^']+)'", request.query.get("$filter", ""))
        return [r for r in found if not wanted or r["properties"]["principalId"] == wanted[1]]


def install(emulator: Emulator) -> Identity:
    """Behaviour of these types; their routes are those of `arm.py`."""
    made = Identity(emulator)
    emulator.arm.kind(IDENTITY, Kind(made.identity))
    emulator.arm.kind(ASSIGNMENT, Kind(made.assign, on_list=made.listed))
    return made
