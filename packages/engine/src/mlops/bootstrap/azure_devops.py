"""The Azure DevOps side: service connections with workload identity, environments with approvals and locks.

Everything that was made says so in its description. Pipelines read `templates/variables.yml`, so there are no
variable groups.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlops.bootstrap import files
from mlops.bootstrap.steps import Look, Step
from mlops.bootstrap.world import Stack, World
from mlops.errors import NotFound, TargetError
from mlops.forge.azure_devops_settings import APPROVAL, LOCK, AzureDevOpsSettings
from mlops.infra.stack_names import SHARED

MADE_BY: Final = "Made by mlops bootstrap"
_CONNECTIONS: Final = "the role Administrator for service connections of the project"
_ENVIRONMENTS: Final = "the role Creator for environments of the project"


@dataclass(frozen=True)
class ServiceConnection:
    """Lets the pipelines of one duty log in as the identity that Pulumi made for it."""

    world: World
    devops: AzureDevOpsSettings
    stack: Stack
    duty: str
    needs: str = _CONNECTIONS

    @property
    def name(self) -> str:
        return self.stack.environments[self.duty]

    @property
    def key(self) -> str:
        return f"connection:{self.name}"

    @property
    def title(self) -> str:
        return f"service connection {self.name}"

    def look(self) -> Look:
        there = self.devops.connections().get(self.name)
        if there is None:
            return Look("create")
        identity = self.world.identity(self.stack, self.duty)
        if identity is not None and there.client.lower() == identity["clientId"].lower() and there.subject:
            return Look("keep", "" if there.description == MADE_BY else "somebody else's, and as it must be")
        if there.description == MADE_BY:
            return Look("change", "it belongs to an identity that is gone; it is made anew")
        why = "has no workload identity" if not there.subject else f"logs in as {there.client}"
        return Look(
            "refuse", f"it was not made by bootstrap and {why}; delete or rename it in the project settings"
        )

    def make(self, look: Look) -> None:
        identity = self.world.needed_identity(self.stack, self.duty)
        if look.action == "change":
            self.remove()
        project = {"id": self.devops.project_id(), "name": self.devops.project}
        reference = {"projectReference": project, "name": self.name, "description": MADE_BY}
        subscription = self.world.subscription(self.stack)
        self.devops.create_connection(
            {
                "name": self.name,
                "type": "azurerm",
                "url": "https://management.azure.com/",
                "description": MADE_BY,
                "authorization": {
                    "scheme": "WorkloadIdentityFederation",
                    "parameters": {"tenantid": self.world.tenant, "serviceprincipalid": identity["clientId"]},
                },
                "data": {
                    "subscriptionId": subscription,
                    "subscriptionName": self.world.subscription_name(self.stack),
                    "environment": "AzureCloud",
                    "scopeLevel": "Subscription",
                    "creationMode": "Manual",
                },
                "isShared": False,
                "isReady": True,
                "serviceEndpointProjectReferences": [reference],
            }
        )

    def ours(self) -> str:
        there = self.devops.connections().get(self.name)
        return f"remove {self.title}" if there is not None and there.description == MADE_BY else ""

    def remove(self) -> None:
        there = self.devops.connections().get(self.name)
        if there is not None and there.description == MADE_BY:
            self.devops.delete_connection(there.id, self.devops.project_id())


@dataclass(frozen=True)
class PipelineEnvironment:
    """An environment: a lock where jobs change something, an approval where a person decides."""

    devops: AzureDevOpsSettings
    name: str
    lock: bool
    approvers: Sequence[str]
    needs: str = _ENVIRONMENTS

    @property
    def key(self) -> str:
        return f"environment:{self.name}"

    @property
    def title(self) -> str:
        return f"environment {self.name}"

    def look(self) -> Look:
        there = self.devops.environment(self.name)
        if there is None:
            return Look("create", " and ".join(name for name, _ in self._wanted()))
        missing = [name for name, _ in self._missing(there["id"])]
        return Look("change", f"adds {' and '.join(missing)}") if missing else Look("keep")

    def make(self, look: Look) -> None:
        there = self.devops.environment(self.name)
        if there is None:
            there = self.devops.create_environment(self.name, MADE_BY)
        kinds = {"an approval": APPROVAL, "an exclusive lock": LOCK}
        for name, settings in self._missing(there["id"]):
            self.devops.create_check(there["id"], self.name, kinds[name], settings)

    def ours(self) -> str:
        there = self.devops.environment(self.name)
        return f"remove {self.title}" if there is not None and there.get("description") == MADE_BY else ""

    def remove(self) -> None:
        there = self.devops.environment(self.name)
        if there is not None and there.get("description") == MADE_BY:
            self.devops.delete_environment(there["id"])

    def _wanted(self) -> list[tuple[str, Any]]:
        approval = {
            "approvers": [{"id": who} for who in self.approvers],
            "executionOrder": "anyOrder",
            "minRequiredApprovers": 1,
            "requesterCannotBeApprover": False,
            "instructions": "",
            "blockedApprovers": [],
        }
        checks: list[tuple[str, Any]] = [("an approval", approval)] if self.approvers else []
        return checks + ([("an exclusive lock", {})] if self.lock else [])

    def _missing(self, number: int) -> list[tuple[str, Any]]:
        there = {str((c.get("type") or {}).get("id", "")).lower() for c in self.devops.checks(number)}
        known = {"an approval": APPROVAL["id"], "an exclusive lock": LOCK["id"]}
        return [(name, settings) for name, settings in self._wanted() if known[name] not in there]


def connection_steps(world: World, devops: AzureDevOpsSettings) -> list[Step]:
    return [
        ServiceConnection(world, devops, stack, duty)
        for stack in world.stacks
        if stack.name != SHARED
        for duty in stack.environments
    ]


def trust_file(world: World, devops: AzureDevOpsSettings, stack: Stack) -> files.Edit:
    """Issuer and subjects in a stack file, as the service connections show them."""

    def wanted(text: str) -> str:
        connections = devops.connections()
        mine = {duty: connections.get(name) for duty, name in stack.environments.items()}
        if any(c is None for c in mine.values()):
            return text  # while a plan is made before they are there
        there = {duty: c for duty, c in mine.items() if c is not None}
        issuers = {c.issuer for c in there.values()}
        if len(issuers) != 1 or not all(c.subject for c in there.values()):
            raise TargetError(
                f"the service connections {', '.join(stack.environments.values())} do not have workload "
                f"identity with one issuer; shown: {', '.join(sorted(i or 'none' for i in issuers))}"
            )
        return files.with_azure_devops(text, issuers.pop(), {duty: c.subject for duty, c in there.items()})

    path = f"environments/Pulumi.{stack.name}.yaml"
    return files.Edit(world, f"file:trust:{stack.name}", f"issuer and subjects in {path}", path, wanted)


def variables_file(world: World) -> files.Edit:
    """Switches the pipelines on."""
    values = {"MLOPS_TARGET": "azure", "PULUMI_BACKEND_URL": world.backend}
    wanted = functools.partial(_with_variables, values)
    return files.Edit(world, "file:variables", f"values in {files.VARIABLES}", files.VARIABLES, wanted)


def _with_variables(values: dict[str, str], text: str) -> str:
    return files.with_variables(text, values)


def environment_steps(world: World, devops: AzureDevOpsSettings, approvers: Sequence[str]) -> list[Step]:
    steps: list[Step] = []
    for stack in world.stacks:
        for duty, name in stack.environments.items():
            who = approvers if world.approved(stack, duty) else ()
            steps.append(PipelineEnvironment(devops, name, duty != "plan", who))
    return steps


def project_there(devops: AzureDevOpsSettings) -> None:
    """Raises `NotFound` with a sentence when there is no such project, before anything is made."""
    try:
        devops.project_id()
    except NotFound:
        raise NotFound(
            f"Azure DevOps has no project {devops.organization}/{devops.project} that you can see; correct "
            "`repository` in [forge] of mlops.toml (organization/project/repository)"
        ) from None
