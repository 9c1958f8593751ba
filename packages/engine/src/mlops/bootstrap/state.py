"""Pulumi's state, and the keys of its secrets and of records: a group, an account and a vault of their own.

They cannot be made by Pulumi, because Pulumi needs them first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlops.bootstrap.steps import Look, Step
from mlops.bootstrap.world import KEY, RECORDS, STATE, TAG, World

_NEEDS: Final = "the role Contributor on the subscription"
_KEPT_DAYS: Final = 30


@dataclass(frozen=True)
class Resource:
    """One ARM resource. `owner` is the path of the resource whose tag says who made it."""

    world: World
    key: str
    title: str
    path: str
    body: Mapping[str, Any]
    owner: str
    taken: Callable[[], str] | None = None
    """For a name that is unique in Azure: why it cannot be had; empty when it can."""
    kept: str = ""
    """What undo says of it when it goes with its owner."""
    needs: str = _NEEDS

    def look(self) -> Look:
        existing = self.world.arm.get(self.path)
        if existing is None:
            reason = self.taken() if self.taken else ""
            return Look("refuse", reason) if reason else Look("create")
        mine = self._mine()
        wanted = self.body if mine else {k: v for k, v in self.body.items() if k not in ("tags", "location")}
        wrong = differences(wanted, existing)
        if not wrong:
            return Look("keep", "" if mine else "somebody else's, and as it must be")
        if mine:
            return Look("change", "; ".join(wrong))
        return Look(
            "refuse",
            f"{self.path} is there, was not made by bootstrap (it has no tag {TAG}={self.world.project}), "
            f"and is not as it must be: {'; '.join(wrong)}. Correct it, or set mlops:salt in "
            "environments/Pulumi.shared.yaml",
        )

    def make(self, look: Look) -> None:
        self.world.arm.put(self.path, self.body, what=f"make {self.title}")

    def ours(self) -> str:
        if self.path != self.owner:
            return ""
        return f"remove {self.title}" if self._mine() else ""

    def remove(self) -> None:
        self.world.arm.delete(self.path, what=f"remove {self.title}")

    def _mine(self) -> bool:
        existing = self.world.arm.get(self.owner)
        return bool(existing) and (existing.get("tags") or {}).get(TAG) == self.world.project


class Group(Resource):
    """Removed only when nothing of others is in it."""

    def ours(self) -> str:
        if not self._mine():
            return ""
        left = self._of_others()
        return f"leave {self.title}: {', '.join(left)} in it is not ours" if left else f"remove {self.title}"

    def remove(self) -> None:
        if not self._of_others():
            super().remove()

    def _of_others(self) -> list[str]:
        own = {self.world.account, self.world.vault}
        return sorted({str(r["name"]) for r in self.world.arm.list(f"{self.path}/resources")} - own)


class Vault(Resource):
    """With purge protection: whoever deletes the key by mistake has 90 days to take that back."""

    def look(self) -> Look:
        planned = super().look()
        if planned.action in ("create", "refuse") and self._deleted():
            return Look("create", "recovered from soft deletion, with its key")
        return planned

    def make(self, look: Look) -> None:
        if self.world.arm.get(self.path) is None and self._deleted():
            properties = {**self.body["properties"], "createMode": "recover"}
            self.world.arm.put(
                self.path, {**self.body, "properties": properties}, what=f"recover {self.title}"
            )
            return
        super().make(look)

    def ours(self) -> str:
        days = "Azure keeps it for 90 days, and the next bootstrap recovers it"
        return f"remove {self.title}; {days}" if self._mine() else ""

    def _deleted(self) -> bool:
        where = f"{self.world.arm.home}/providers/Microsoft.KeyVault/locations/{self.world.location}"
        return self.world.arm.get(f"{where}/deletedVaults/{self.world.vault}") is not None


def state_steps(world: World) -> list[Step]:
    """Group, account with its container, vault with its key; parents first."""
    group, account, vault = world.group_path, world.account_path, world.vault_path
    base = {"location": world.location, "tags": world.tags}
    make = functools.partial(Resource, world)
    return [
        Group(world, "state:group", f"resource group {world.names('resource_group')}", group, base, group),
        make(
            "state:account",
            f"storage account {world.account}",
            account,
            {**base, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": _ACCOUNT},
            account,
            functools.partial(name_taken, world.arm, "storage_account", world.account),
        ),
        make(
            "state:versions",
            f"versions and soft deletion of blobs in {world.account}",
            f"{account}/blobServices/default",
            {"properties": _BLOBS},
            account,
        ),
        make(
            "state:container",
            f"container {STATE} for Pulumi's state",
            f"{account}/blobServices/default/containers/{STATE}",
            {"properties": {"publicAccess": "None"}},
            account,
        ),
        Vault(
            world,
            "state:vault",
            f"key vault {world.vault}",
            vault,
            {**base, "properties": {**_VAULT, "tenantId": world.tenant}},
            vault,
            functools.partial(name_taken, world.arm, "key_vault", world.vault),
        ),
        make(
            "state:key",
            f"key {KEY}, which encrypts Pulumi's secrets",
            f"{vault}/keys/{KEY}",
            {"properties": {"kty": "RSA", "keySize": 3072, "keyOps": ["encrypt", "decrypt"]}},
            vault,
        ),
        make(
            "state:records",
            f"key {RECORDS}, which signs what gates decide",
            f"{vault}/keys/{RECORDS}",
            {"properties": {"kty": "EC", "curveName": "P-256", "keyOps": ["sign", "verify"]}},
            vault,
        ),
    ]


_ACCOUNT: Final = {
    "minimumTlsVersion": "TLS1_2",
    "supportsHttpsTrafficOnly": True,
    "allowBlobPublicAccess": False,
    "allowSharedKeyAccess": False,
    "allowCrossTenantReplication": False,
    "defaultToOAuthAuthentication": True,
    "isLocalUserEnabled": False,
}
_BLOBS: Final = {
    "isVersioningEnabled": True,
    "deleteRetentionPolicy": {"enabled": True, "days": _KEPT_DAYS},
    "containerDeleteRetentionPolicy": {"enabled": True, "days": _KEPT_DAYS},
}
_VAULT: Final = {
    "sku": {"family": "A", "name": "standard"},
    "enableRbacAuthorization": True,
    "enableSoftDelete": True,
    "softDeleteRetentionInDays": 90,
    "enablePurgeProtection": True,
}

_CHECKS: Final[Mapping[str, tuple[str, str]]] = {
    "storage_account": ("Microsoft.Storage", "Microsoft.Storage/storageAccounts"),
    "key_vault": ("Microsoft.KeyVault", "Microsoft.KeyVault/vaults"),
    "container_registry": ("Microsoft.ContainerRegistry", "Microsoft.ContainerRegistry/registries"),
}
"""Kinds whose names Azure can be asked for, with the provider that knows."""


def name_taken(arm: Any, kind: str, name: str) -> str:
    """Why a name that is unique in all of Azure cannot be had; empty when it can. `kind` as in `RULES`."""
    provider, resource = _CHECKS[kind]
    answer = arm.post(
        f"{arm.home}/providers/{provider}/checkNameAvailability",
        {"name": name, "type": resource},
        what=f"ask whether the name {name} can be had",
    )
    if answer.get("nameAvailable", True):
        return ""
    said = str(answer.get("message") or answer.get("reason") or "it is taken").rstrip(".")
    return f"the name {name} cannot be had: {said}"


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any], path: str = "") -> list[str]:
    """Where `found` lacks or contradicts `wanted`, as sentences; what is only in `found` does not matter."""
    wrong: list[str] = []
    for key, value in wanted.items():
        there = found.get(key)
        name = f"{path}{key}"
        if isinstance(value, Mapping):
            wrong += differences(value, there if isinstance(there, Mapping) else {}, f"{name}.")
        elif key == "location":
            if str(there).replace(" ", "").lower() != value:
                wrong.append(f"{name} is {there!r}, must be {value!r}")
        elif isinstance(value, list):
            if sorted(map(str, there or [])) != sorted(map(str, value)):
                wrong.append(f"{name} is {there!r}, must be {value!r}")
        elif there != value:
            wrong.append(f"{name} is {there!r}, must be {value!r}")
    return wrong
