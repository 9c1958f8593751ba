"""What all steps share: the repository's stacks, their names in Azure, and who is logged in."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlops.errors import InvalidInput, TargetError
from mlops.infra import load
from mlops.infra.roles import Scope
from mlops.infra.stack_names import SHARED, stack_names
from mlops.infra.wanted import stack_before
from mlops.spec import files
from mlops.spec.naming import JOURNAL, Names
from mlops.spec.settings import Settings
from mlops.targets.azure.arm import SCOPE, Arm
from mlops.tracking.azure_errors import azure_sentences

if TYPE_CHECKING:
    from mlops.infra.config import EnvironmentStack, SharedStack
    from mlops.spec.policy import Policy

WORKSPACES: Final = "Microsoft.MachineLearningServices/workspaces"
ACCOUNTS: Final = "Microsoft.Storage/storageAccounts"
STATE: Final = "state"
"""Stands for the environment in the names of what keeps Pulumi's state; also the container's name."""
KEY: Final = "pulumi"
RECORDS: Final = "records"
"""The key that signs what gates decide: only the identities that train may use it."""
TAG: Final = "mlops-bootstrap"
"""On every resource that bootstrap made, with the project's name; undo removes nothing without it."""


@dataclass(frozen=True)
class Stack:
    """One stack file, typed. `names` gives the names that `infra/` gives."""

    name: str
    config: EnvironmentStack | SharedStack
    names: Names
    subscription: str
    """Empty: the login's."""

    @property
    def environments(self) -> Mapping[str, str]:
        """Duty to the name of its environment on the forge; empty for `shared`."""
        github = getattr(self.config, "github", None)
        return dict(github.environments) if github else {}

    @property
    def group(self) -> str:
        return self.names("resource_group")

    @property
    def trains_in(self) -> str:
        """The stack that trains for this one; empty when it trains itself, and for `shared`."""
        return str(getattr(self.config, "trains_in", ""))


def read_stack(root: Path, settings: Settings, name: str) -> Stack:
    """Raises `InvalidInput` with file, line and field."""
    values, secret = load.raw_stack_file(root, name)
    config = load.parse_stack(values, secret, load.StackFile.of(root, name))
    own = settings.azure.stacks.get(name)
    subscription = (own.subscription_id if own else "") or settings.azure.subscription_id
    return Stack(name, config, Names(settings.project.name, name, config.location, config.salt), subscription)


def read_stacks(root: Path, settings: Settings, chosen: Sequence[str] = ()) -> list[Stack]:
    """The chosen stacks (default: all) in the order in which they are made.

    `shared` is always the first. The stack that trains for a chosen one and the environment before it come
    along, and earlier: their exports are read.
    """
    known = stack_names(root)
    if unknown := sorted(set(chosen) - set(known)):
        raise InvalidInput(
            f"there is no environments/Pulumi.{unknown[0]}.yaml; stacks: {', '.join(known) or 'none'}"
        )
    if SHARED not in known:
        raise InvalidInput(f"environments/Pulumi.{SHARED}.yaml does not exist; it holds the model registry")
    stacks = {SHARED: read_stack(root, settings, SHARED)}

    def add(name: str, asked: Sequence[str] = ()) -> None:
        stack = read_stack(root, settings, name)
        for first in (stack.trains_in, stack_before(root, name)):
            if first not in ("", name, *stacks, *asked):
                add(first, (*asked, name))
        stacks[name] = stack

    for name in known:
        if name not in stacks and name in (chosen or known):
            add(name)
    return list(stacks.values())


class World:
    """One repository, one login. Nothing is asked before it is needed."""

    def __init__(
        self, root: Path, settings: Settings, stacks: Sequence[Stack], arm: Arm, credential: Any
    ) -> None:
        self.root, self.settings, self.stacks = root, settings, list(stacks)
        self.arm, self.credential = arm, credential
        shared = next(s for s in self.stacks if s.name == SHARED)
        self.location = shared.names.region
        self.names = Names(settings.project.name, STATE, self.location, shared.names.salt)

    @property
    def project(self) -> str:
        return self.settings.project.name

    @property
    def tags(self) -> dict[str, str]:
        return {TAG: self.project, "project": self.project, "managed-by": "mlops bootstrap"}

    @property
    def group_path(self) -> str:
        return f"{self.arm.home}/resourceGroups/{self.names('resource_group')}"

    @property
    def account(self) -> str:
        return self.names("storage_account")

    @property
    def account_path(self) -> str:
        return f"{self.group_path}/providers/Microsoft.Storage/storageAccounts/{self.account}"

    @property
    def vault(self) -> str:
        return self.names("key_vault")

    @property
    def vault_path(self) -> str:
        return f"{self.group_path}/providers/Microsoft.KeyVault/vaults/{self.vault}"

    @property
    def backend(self) -> str:
        """What `pulumi login` takes, and the variable PULUMI_BACKEND_URL."""
        return f"azblob://{STATE}?storage_account={self.account}"

    def pulumi(self, arguments: str) -> str:
        """A command of Pulumi's to type, on this backend."""
        return f"PULUMI_BACKEND_URL='{self.backend}' pulumi {arguments}"

    @property
    def records_url(self) -> str:
        """The key of records at its vault."""
        return self.key_url(RECORDS)

    def key_url(self, key: str) -> str:
        """A key of the vault next to Pulumi's state, as the vault itself calls it."""
        return f"https://{self.vault}.vault.azure.net/keys/{key}"

    @property
    def secrets_provider(self) -> str:
        return f"azurekeyvault://{self.vault}.vault.azure.net/keys/{KEY}"

    @functools.cached_property
    def claims(self) -> Mapping[str, Any]:
        """What Entra ID says of who is logged in: `oid`, `tid` and others; raises `TargetError`."""
        with azure_sentences("log in to Azure"):
            token = self.credential.get_token(SCOPE).token
        try:
            middle = token.split(".")[1]
            payload = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
            return {"oid": str(payload["oid"]), "tid": str(payload["tid"]), **payload}
        except (IndexError, ValueError, KeyError):
            raise TargetError("the login to Azure does not say whose it is; log in with: az login") from None

    @property
    def tenant(self) -> str:
        return str(self.claims["tid"])

    def approved(self, stack: Stack, duty: str) -> bool:
        """Whether a person approves each job of a duty: what changes a protected environment, and a promotion
        unless the policy lets it merge by itself."""
        if duty == "apply":
            return bool(stack.config.protect)
        rule = self.policy.environments.get(stack.name)
        return duty == "promote" and rule is not None and not rule.auto_merge

    @functools.cached_property
    def policy(self) -> Policy:
        return files.load_policy(self.root)

    def subscription(self, stack: Stack) -> str:
        return stack.subscription or self.arm.subscription

    def subscription_name(self, stack: Stack) -> str:
        """As people call it."""
        subscription = self.arm.get(
            f"/subscriptions/{self.subscription(stack)}", what="look at the subscription"
        )
        if subscription is None:
            raise TargetError(
                f"this login has no subscription {self.subscription(stack)}; run: az account list"
            )
        return str(subscription.get("displayName") or self.subscription(stack))

    def arm_of(self, stack: Stack) -> Arm:
        return self.arm.of(self.subscription(stack))

    def group_of(self, stack: Stack) -> str:
        """Path of a stack's resource group."""
        return f"/subscriptions/{self.subscription(stack)}/resourceGroups/{stack.group}"

    def training_scopes(self, stack: Stack) -> dict[Scope, str]:
        """What a stack reaches of the one that trains for it, by the table's names in `mlops.infra.roles`."""
        if not stack.trains_in:
            return {}
        home = self._stack(stack.trains_in)
        group, names = f"{self.group_of(home)}/providers", home.names
        return {
            "training workspace": f"{group}/{WORKSPACES}/{names('ml_workspace')}",
            "training storage account": f"{group}/{ACCOUNTS}/{names('storage_account')}",
        }

    def before_scopes(self, stack: Stack) -> dict[Scope, str]:
        """What a stack reaches of the environment before it, by the same names."""
        before = stack_before(self.root, stack.name)
        return self.scopes_of_before(before) if before else {}

    def scopes_of_before(self, before: str) -> dict[Scope, str]:
        home = self._stack(before)
        group, names = f"{self.group_of(home)}/providers", home.names
        account = f"{group}/{ACCOUNTS}/{names('storage_account')}"
        return {
            "journal of the environment before": f"{account}/blobServices/default/containers/{JOURNAL}",
            "workspace of the environment before": f"{group}/{WORKSPACES}/{names('ml_workspace')}",
        }

    def _stack(self, name: str) -> Stack:
        stack = next((s for s in self.stacks if s.name == name), None)
        return stack or read_stack(self.root, self.settings, name)

    def identity_path(self, stack: Stack, duty: str) -> str:
        name = stack.names("identity", duty)
        return f"{self.group_of(stack)}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"

    def identity(self, stack: Stack, duty: str) -> dict[str, str] | None:
        """`clientId` and `principalId` of what Pulumi made; None while it has not."""
        resource = self.arm_of(stack).get(self.identity_path(stack, duty))
        return dict(resource["properties"]) if resource else None

    def needed_identity(self, stack: Stack, duty: str) -> dict[str, str]:
        """The same; raises `TargetError` when it is not there."""
        identity = self.identity(stack, duty)
        if identity is None:
            raise TargetError(
                f"the identity {stack.names('identity', duty)} is not there although stack {stack.name} was "
                f"brought up; run: pulumi up --stack {stack.name}"
            )
        return identity
