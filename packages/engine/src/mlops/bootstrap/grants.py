"""Role assignments that Pulumi does not make: on its own state, and for `apply` where its environment holds
roles outside itself: on the registry's group, and in the stack that trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlops.bootstrap import state_access
from mlops.bootstrap.steps import Look, Step
from mlops.bootstrap.world import KEY, RECORDS, STATE, Stack, World
from mlops.errors import TargetError
from mlops.infra import roles
from mlops.infra.load import NAMESPACE
from mlops.infra.stack_names import SHARED
from mlops.spec.naming import guid

CRYPTO_USER: Final = ("Key Vault Crypto User", "12338af0-0e69-4776-bea7-57ae8d297424")
BLOB_CONTRIBUTOR: Final = ("Storage Blob Data Contributor", "ba92f5b4-2d11-453d-a403-e96b0029c9fe")
BLOB_READER: Final = ("Storage Blob Data Reader", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1")
ACCESS_ADMINISTRATOR: Final = (
    "Role Based Access Control Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
)
"""Built-in roles and their ids, the same in every tenant."""
_NEEDS: Final = "the role Owner, or Role Based Access Control Administrator, on the subscription"
MADE_BY: Final = "mlops bootstrap"


@dataclass(frozen=True)
class Assignment:
    """`who` is a duty of `stack`, or the person who runs this when `stack` is None.

    Its name is computed from what it grants, so that a second run finds it.
    """

    world: World
    stack: Stack | None
    who: str
    role: tuple[str, str]
    scope: str
    place: str
    """The scope in words."""
    condition: str = ""
    needs: str = _NEEDS

    @property
    def key(self) -> str:
        return f"grant:{self._subject}:{self.role[0]}:{self.place}".lower().replace(" ", "-")

    @property
    def title(self) -> str:
        return f"{self.role[0]} for {self._subject} on {self.place}"

    @property
    def _subject(self) -> str:
        return f"{self.stack.name}/{self.who}" if self.stack else self.who

    @property
    def path(self) -> str:
        principal = "" if self.stack else str(self.world.claims["oid"])
        name = guid("bootstrap", self.world.project, self.key, principal)
        return f"{self.scope}/providers/Microsoft.Authorization/roleAssignments/{name}"

    def principal(self) -> str | None:
        """Object id; None while the identity is not there."""
        if self.stack is None:
            return str(self.world.claims["oid"])
        identity = self.world.identity(self.stack, self.who)
        return identity["principalId"] if identity else None

    def look(self) -> Look:
        principal = self.principal()
        if principal is None:
            return Look("create", "as soon as Pulumi has made the identity")
        assignment = self.world.arm.get(self.path)
        if assignment is not None:
            there = assignment["properties"]
            if there.get("principalId") != principal:
                return Look("change", "it was given to an identity that is gone")
            if (there.get("condition") or "") != self.condition:
                return Look("change", "its condition is another one")
            return Look("keep")
        if self._given_by_others(principal):
            return Look("keep", "somebody else's")
        return Look("create")

    def make(self, look: Look) -> None:
        principal = self.principal()
        if principal is None:
            raise TargetError(f"the identity of {self._subject} is not there; bring its stack up first")
        if look.action == "change":  # an assignment cannot be changed
            self.world.arm.delete(self.path)
        self.world.arm.put(
            self.path, {"properties": self._properties(principal)}, what=f"assign {self.title}"
        )

    def ours(self) -> str:
        assignment = self.world.arm.get(self.path)
        return f"take back {self.title}" if assignment is not None else ""

    def remove(self) -> None:
        self.world.arm.delete(self.path, what=f"take back {self.title}")

    def _properties(self, principal: str) -> dict[str, Any]:
        # A token that acts for a person says for which scope; one of an application does not.
        person = self.stack is None and "scp" in self.world.claims
        properties: dict[str, Any] = {
            "roleDefinitionId": f"{self._home}/roleDefinitions/{self.role[1]}",
            "principalId": principal,
            "principalType": "User" if person else "ServicePrincipal",
            "description": f"{MADE_BY} for {self._subject}",
        }
        if self.condition:
            properties |= {"condition": self.condition, "conditionVersion": "2.0"}
        return properties

    @property
    def _home(self) -> str:
        return "/".join(self.scope.split("/")[:3]) + "/providers/Microsoft.Authorization"

    def _given_by_others(self, principal: str) -> bool:
        """The same role at this scope or above, under another name and without a condition of its own."""
        rows = self.world.arm.list(
            f"{self.scope}/providers/Microsoft.Authorization/roleAssignments",
            **{"$filter": f"principalId eq '{principal}'"},
        )
        return any(self._covers(row["properties"]) for row in rows)

    def _covers(self, there: Mapping[str, Any]) -> bool:
        same = str(there["roleDefinitionId"]).rsplit("/", 1)[-1] == self.role[1]
        above = self.scope.lower().startswith(str(there["scope"]).lower())
        return same and above and (there.get("condition") or "") in ("", self.condition)


@dataclass(frozen=True)
class Withdrawn(Assignment):
    """What an earlier bootstrap gave and nobody may hold any longer."""

    @property
    def key(self) -> str:
        return f"without:{super().key}"

    @property
    def path(self) -> str:
        return Assignment(self.world, self.stack, self.who, self.role, self.scope, self.place).path

    @property
    def title(self) -> str:
        return f"no {super().title}"

    def look(self) -> Look:
        assignment = self.world.arm.get(self.path)
        return (
            Look("change", "it could write the state of every stack")
            if assignment is not None
            else Look("keep")
        )

    def make(self, look: Look) -> None:
        self.remove()

    def ours(self) -> str:
        assignment = self.world.arm.get(self.path)
        return f"take back {super().title}" if assignment is not None else ""


def own_grants(world: World) -> list[Step]:
    """What the person who runs this needs to run Pulumi: owners of a subscription may not read its blobs."""
    oid = world.claims["oid"]
    return [
        Assignment(world, None, f"you ({oid})", BLOB_CONTRIBUTOR, container_path(world), "Pulumi's state"),
        Assignment(world, None, f"you ({oid})", CRYPTO_USER, key_path(world), "Pulumi's key"),
        Assignment(world, None, f"you ({oid})", CRYPTO_USER, key_path(world, RECORDS), "the key of records"),
    ]


def workflow_grants(world: World) -> list[Step]:
    """What `plan`, `apply` and `train` of each environment need besides what `mlops.infra.roles` gives."""
    steps: list[Step] = []
    for stack in world.stacks:
        if "train" in stack.environments:
            path = key_path(world, RECORDS)
            steps.append(Assignment(world, stack, "train", CRYPTO_USER, path, "the key of records"))
        for duty in ("plan", "apply"):
            if stack.name == SHARED or duty not in stack.environments:
                continue
            steps += [
                *_state_grants(world, stack, duty),
                Assignment(world, stack, duty, CRYPTO_USER, key_path(world), "Pulumi's key"),
            ]
            if duty == "apply":
                steps.append(_registry_grant(world, stack))
                steps += _training_grants(world, stack)
                steps += _before_grants(world, stack)
    return steps


def _state_grants(world: World, stack: Stack, duty: str) -> list[Step]:
    """`plan` reads; `apply` also writes the state of its own stack."""
    path, place = container_path(world), "Pulumi's state"
    if duty == "plan":
        return [
            Assignment(world, stack, duty, BLOB_READER, path, place),
            Withdrawn(world, stack, duty, BLOB_CONTRIBUTOR, path, place),
        ]
    only = state_access.writes_only(NAMESPACE, stack.name)
    return [Assignment(world, stack, duty, BLOB_CONTRIBUTOR, path, place, only)]


def container_path(world: World) -> str:
    return f"{world.account_path}/blobServices/default/containers/{STATE}"


def key_path(world: World, key: str = KEY) -> str:
    return f"{world.vault_path}/keys/{key}"


def _registry_grant(world: World, stack: Stack) -> Assignment:
    """`apply` keeps the assignments of its environment on the shared registry, of the table's roles only."""
    shared = next(s for s in world.stacks if s.name == SHARED)
    place, condition = "the model registry's group", _only(world, "model registry")
    return Assignment(world, stack, "apply", ACCESS_ADMINISTRATOR, world.group_of(shared), place, condition)


def _training_grants(world: World, stack: Stack) -> list[Step]:
    """The same on workspace and storage account of the stack that trains for this one."""
    return [
        Assignment(world, stack, "apply", ACCESS_ADMINISTRATOR, path, f"the {scope}", _only(world, scope))
        for scope, path in world.training_scopes(stack).items()
    ]


def _before_grants(world: World, stack: Stack) -> list[Step]:
    """The same on what this one reads of the environment before it.

    Where that one is trained for here, no stack can give the role, as each would need the other first: it is
    given to `promote` now.
    """
    before = world.policy.upstream(stack.name) if stack.name in world.policy.order else None
    there = {s.name for s in world.stacks}
    if before is not None and before in there and not world.before_scopes(stack):
        scope: roles.Scope = "journal of the environment before"
        path = world.scopes_of_before(before)[scope]
        return [Assignment(world, stack, "promote", BLOB_READER, path, f"the {scope}")]
    home = world.training_scopes(stack).values()
    return [
        Assignment(world, stack, "apply", ACCESS_ADMINISTRATOR, path, f"the {scope}", _only(world, scope))
        for scope, path in world.before_scopes(stack).items()
        if path not in home
    ]


def _only(world: World, scope: roles.Scope) -> str:
    """The condition that lets roles be assigned which `mlops.infra.roles` gives at that scope."""
    shared = next(s for s in world.stacks if s.name == SHARED)
    allowed = [
        roles.custom_id(world.project, shared.name, name) if roles.custom(name) else roles.BUILT_IN[name]
        for name in roles.held_at(scope)
    ]
    if not allowed:
        raise TargetError(f"mlops.infra.roles gives no role at the {scope}")
    return str(roles.only(allowed))
