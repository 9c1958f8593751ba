"""Changes that Azure refuses to make in place, as data: a pull request hears of them before Azure says so.

Only what no declaration can mend: where a replacement is right, the component says `replace_on_changes`, and
where Azure would keep the old value anyway, `ignore_changes`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .diff import Change, PropertyChange

_ABSENT: Final = "(absent)"
_ISOLATION: Final = ("Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound")
"""From the weakest to the strongest."""
_ZONES: Final = ("ZRS", "GZRS", "RAGZRS")


@dataclass(frozen=True)
class Door:
    """A change of `path`, or of something below it, that Azure does not make. `source` says who says so."""

    kind: str
    path: str
    source: str
    advice: str
    refused: Callable[[Any, Any], bool] = lambda before, after: True


def _looser(before: Any, after: Any) -> bool:
    known = [v for v in (before, after) if v in _ISOLATION]
    return len(known) == 2 and _ISOLATION.index(after) < _ISOLATION.index(before)


def _other_layout(before: Any, after: Any) -> bool:
    """One data centre and zones are laid out differently; a second region is added or left in place."""

    def zones(sku: Any) -> bool:
        return str(sku).rpartition("_")[2] in _ZONES

    return zones(before) != zones(after)


def _lower_tier(before: Any, after: Any) -> bool:
    return bool(before == "Premium" != after)


DOORS: Final = (
    Door(
        "storage:StorageAccount",
        "sku.name",
        "terraform-provider-azurerm#6526 (StorageAccountTypeConversionNotAllowed)",
        "ask for a conversion first (az storage account migration start), wait until it is done, then merge",
        _other_layout,
    ),
    Door(
        "storage:StorageAccount",
        "encryption.requireInfrastructureEncryption",
        "learn.microsoft.com, Enable infrastructure encryption for double encryption of data",
        "it is chosen when the account is made",
    ),
    Door(
        "containerregistry:Registry",
        "encryption.status",
        "learn.microsoft.com, Overview of customer-managed keys for Azure Container Registry",
        "an own key is chosen when the registry is made: destroy the environment, bring it up with the key",
    ),
    Door(
        "containerregistry:Registry",
        "sku.name",
        "learn.microsoft.com, Azure Container Registry service tiers",
        "take the private endpoints away in an update before",
        _lower_tier,
    ),
    Door(
        "machinelearningservices:Workspace",
        "managedNetwork.isolationMode",
        "learn.microsoft.com, Workspace managed virtual network isolation",
        "a managed network is never loosened; another workspace can have a weaker one",
        _looser,
    ),
    Door(
        "network:VirtualNetwork",
        "addressSpace.addressPrefixes",
        "learn.microsoft.com, Azure virtual network FAQ (change the address space)",
        "its subnets are in use: destroy what has addresses in them first, or keep the network as it is",
    ),
    Door(
        "containerservice:ManagedCluster",
        "agentPoolProfiles",
        "Azure/bicep-registry-modules#7130, pulumi-azure-native#959 (PropertyChangeNotAllowed)",
        "take the option aks out in one update and put it back with the new size in the next",
    ),
    Door(
        "containerservice:ManagedCluster",
        "apiServerAccessProfile.enablePrivateCluster",
        "learn.microsoft.com, Create a private AKS cluster (limitations)",
        "take the option aks out in one update and put it back in the next",
    ),
)
_MAY_CHANGE: Final = ("minCount", "maxCount", "count", "maxSurge", "orchestratorVersion")
"""Of a pool of nodes."""


def told(stack: str, changes: Iterable[Change]) -> list[str]:
    """One sentence for each change that Azure will refuse, and one for the rights of `apply`."""
    sentences: list[str] = []
    for change in changes:
        if change.kind != "update":
            continue
        for door in DOORS:
            if door.kind == change.type and (found := _through(door, change.properties)):
                sentences.append(
                    f"stack {stack}: {change.name}: Azure refuses to change {found.path} from "
                    f"{found.before!r} to {found.after!r}: {door.advice} ({door.source})"
                )
        if _rights_of_apply(change):
            sentences.append(
                f"stack {stack}: {change.name} says which roles `apply` may give, and `apply` may not change "
                "that itself: a person who may (Owner, User Access Administrator) runs pulumi up before it"
            )
    return sentences


def _through(door: Door, properties: Sequence[PropertyChange]) -> PropertyChange | None:
    for p in properties:
        if not (p.path == door.path or p.path.startswith((f"{door.path}.", f"{door.path}["))):
            continue
        if door.path == "agentPoolProfiles" and p.path.rpartition(".")[2] in _MAY_CHANGE:
            continue
        if door.refused(p.before, p.after):
            return p
    return None


def _rights_of_apply(change: Change) -> bool:
    return change.type == "authorization:RoleAssignment" and any(
        p.path == "condition" for p in change.properties
    )
