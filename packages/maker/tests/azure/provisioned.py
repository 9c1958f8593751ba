"""What `pulumi up` makes that bootstrap and doctor ask for: groups, identities with their trust, assignments.

All of it follows from the same tables as the program's: its `trust`, its `roles` and the names.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mlops.bootstrap.world import Stack, read_stack
from mlops.errors import TargetError
from mlops.infra import roles, trust
from mlops.infra.naming import JOURNAL, guid
from mlops.infra.stack_names import SHARED
from mlops.infra.wanted import granted, stack_before
from mlops.spec.settings import Settings, load_settings
from tests.azure.emulator import Emulator
from tests.azure.emulator.identity import ids
from tests.azure.emulator.workspaces import SUBSCRIPTION

DUTIES = ("plan", "apply", "train", "promote")


def bring_up(azure: Emulator, root: Path, name: str, settings: Settings | None = None) -> Stack:
    """Make or correct what stack `name` has, as its file says now."""
    settings = settings or load_settings(root)
    stack = read_stack(root, settings, name)
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{stack.group}"
    if azure.arm.get(group) is None:
        azure.arm.put(group, {"location": stack.names.region, "tags": {"managed-by": "pulumi"}})
    if name == SHARED:
        registry = (
            f"{group}/providers/Microsoft.MachineLearningServices/registries/{stack.names('ml_registry')}"
        )
        azure.arm.put(registry, {"location": stack.names.region, "properties": {}})
        return stack
    scopes = scopes_of(root, settings, stack)
    for scope in scopes.values():
        if azure.arm.get(scope) is None:
            azure.arm.put(scope, {"location": stack.names.region, "properties": {}})
    for duty in DUTIES:
        identities = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
        path = f"{identities}/{stack.names('identity', duty)}"
        azure.arm.put(path, {"location": stack.names.region, "properties": ids(path)})
        for old in azure.arm.below(f"{path}/federatedIdentityCredentials"):
            azure.arm.remove(old["id"])
        for one in trust.federations(stack.config):
            if one.duty == duty:
                properties = {"issuer": one.issuer, "subject": one.subject, "audiences": [trust.AUDIENCE]}
                azure.arm.put(f"{path}/federatedIdentityCredentials/{one.name}", {"properties": properties})
    shared = read_stack(root, settings, SHARED)
    for grant in granted(stack.config, before=stack_before(root, name)):
        if grant.identity in DUTIES:
            definition = definition_of(grant.role, shared)
            assign(
                azure,
                scopes[grant.scope],
                definition,
                principal(stack, grant.identity),
                guid("grant", settings.project.name, name, grant.label),
            )
    return stack


def scopes_of(root: Path, settings: Settings, stack: Stack) -> dict[str, str]:
    """Resource id by the scope's name in the table of `mlops.infra.roles`."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{stack.group}"
    shared = read_stack(root, settings, SHARED)
    there = {
        "storage account": ("Microsoft.Storage/storageAccounts", "storage_account"),
        "key vault": ("Microsoft.KeyVault/vaults", "key_vault"),
        "container registry": ("Microsoft.ContainerRegistry/registries", "container_registry"),
        "application insights": ("Microsoft.Insights/components", "app_insights"),
        "log analytics": ("Microsoft.OperationalInsights/workspaces", "log_analytics"),
        "workspace": ("Microsoft.MachineLearningServices/workspaces", "ml_workspace"),
    }
    found = {name: f"{group}/providers/{kind}/{stack.names(rule)}" for name, (kind, rule) in there.items()}
    registry = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{shared.group}/providers"
    name = shared.names("ml_registry")
    found["model registry"] = f"{registry}/Microsoft.MachineLearningServices/registries/{name}"
    if stack.trains_in:
        home = scopes_of(root, settings, read_stack(root, settings, stack.trains_in))
        found |= {f"training {kind}": home[kind] for kind in ("workspace", "storage account")}
    journal = f"{found['storage account']}/blobServices/default/containers/{JOURNAL}"
    if before := stack_before(root, stack.name):
        home = scopes_of(root, settings, read_stack(root, settings, before))
        found["journal of the environment before"] = home["journal"]
        found["workspace of the environment before"] = home["workspace"]
    return {"resource group": group, **found, "journal": journal}


def definition_of(role: str, shared: Stack) -> str:
    custom = roles.custom(role)
    identity = roles.custom_id(shared.names.project, shared.name, role) if custom else roles.BUILT_IN[role]
    return f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{identity}"


def principal(stack: Stack, duty: str) -> str:
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{stack.group}"
    name = stack.names("identity", duty)
    return ids(f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}")["principalId"]


def assign(azure: Emulator, scope: str, definition: str, principal_id: str, name: str) -> None:
    properties = {"roleDefinitionId": definition, "principalId": principal_id, "scope": scope}
    azure.arm.put(
        f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}", {"properties": properties}
    )


class StandInPulumi:
    """`mlops.bootstrap.pulumi.Cli` on the emulator. `calls`: what changed something.

    It keeps state in memory as the CLI keeps it in the backend: `history` by stack, newest first.
    """

    def __init__(self, azure: Emulator, root: Path) -> None:
        self.azure, self.root = azure, root
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[str] = []
        self.fail = ""

    def ask(self, *arguments: str) -> Any:
        if arguments[:2] == ("stack", "ls"):
            return [{"name": f"organization/mlops/{name}"} for name in self.history]
        assert arguments[:3] == ("stack", "history", "--stack"), arguments
        return None if arguments[3] not in self.history else self.history[arguments[3]][:1]

    def run(self, *arguments: str, subscription: str) -> None:
        assert subscription == SUBSCRIPTION
        self.calls.append(" ".join(arguments))
        if arguments[:2] == ("stack", "init"):
            name, provider = arguments[2], arguments[3].removeprefix("--secrets-provider=")
            path = self.root / f"environments/Pulumi.{name}.yaml"
            rest = re.sub(r"^(secretsprovider|encryptedkey): .*\n", "", path.read_text(), flags=re.MULTILINE)
            path.write_text(f"secretsprovider: {provider}\nencryptedkey: AAAA\n{rest}")
            self.history[name] = []
            return
        assert arguments[0] == "up" and "--yes" in arguments, arguments
        name = arguments[arguments.index("--stack") + 1]
        assert name in self.history, f"no stack named '{name}' found"
        result = "failed" if self.fail == name else "succeeded"
        bring_up(self.azure, self.root, name)
        self.history[name].insert(0, {"kind": "update", "result": result})
        if result == "failed":
            self.fail = ""
            raise TargetError(f"pulumi up of {name} failed")

    def destroy(self, name: str) -> None:
        """As a person does it before undo."""
        stack = read_stack(self.root, load_settings(self.root), name)
        group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{stack.group}"
        self.azure.arm.remove(group)


def snapshot(azure: Emulator) -> str:
    """Every resource, to compare what is there before and after."""
    with azure.arm.lock:
        return json.dumps(sorted(azure.arm._resources), indent=1)
