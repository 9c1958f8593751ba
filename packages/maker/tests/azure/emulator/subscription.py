"""A subscription: its providers, the names that are taken in all of Azure, quota, what was deleted softly.

A new subscription has every provider registered, every name free, and plenty of quota.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from .arm import HOST, ML
from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

FAMILIES = {"D4ds_v5": ("standardDDSv5Family", 4), "D8ds_v5": ("standardDDSv5Family", 8),
            "NC4as_T4_v3": ("Standard NCASv3_T4 Family", 4),
            "DS3_v2": ("standardDSv2Family", 4)}  # fmt: skip
"""Sizes that the stack files name: family and cores."""


class Subscription:
    """`unregistered`: namespaces. `taken`: names that somebody else has. `limits`: cores by (family,
    dedicated), where they are not 100; -1 is no limit. `deleted_logs`: of Log Analytics.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.state = "Enabled"
        self.unregistered: set[str] = set()
        self.slow = 0
        """How many more lists say `Registering` of what was registered."""
        self._registering: set[str] = set()
        self.taken: set[str] = set()
        self.limits: dict[tuple[str, bool], int] = {}
        self.used: dict[tuple[str, bool], int] = {}
        self.deleted_logs: set[str] = set()
        self.unlisted: set[str] = set()
        """Families whose quota Azure does not show."""

    def show(self, request: Request, subscription: str) -> Answer:
        self._emulator.arm.admit(request)
        shown = {"id": f"/subscriptions/{subscription}", "subscriptionId": subscription}
        return Answer(200, {**shown, "displayName": "Contoso", "state": self.state})

    def providers(self, request: Request, subscription: str) -> Answer:
        from mlops.bootstrap.providers import ALWAYS, OPTIONS, OWN_KEYS

        self._emulator.arm.admit(request)
        if self._registering and self.slow <= 0:
            self._registering.clear()
        self.slow -= 1
        names = sorted({*ALWAYS, *OWN_KEYS, *(n for group in OPTIONS.values() for n in group)})
        return Answer(200, {"value": [self._row(subscription, name) for name in names]})

    def _row(self, subscription: str, name: str) -> dict[str, str]:
        state = "NotRegistered" if name in self.unregistered else "Registered"
        state = "Registering" if name in self._registering else state
        return {
            "id": f"/subscriptions/{subscription}/providers/{name}",
            "namespace": name,
            "registrationState": state,
        }

    def register(self, request: Request, subscription: str, name: str) -> Answer:
        self._emulator.arm.admit(request)
        self.unregistered.discard(name)
        self._registering.add(name)
        return Answer(200, self._row(subscription, name))

    def name(self, request: Request, subscription: str, provider: str) -> Answer:
        self._emulator.arm.admit(request)
        types = {
            "microsoft.storage": "Microsoft.Storage/storageAccounts",
            "microsoft.keyvault": "Microsoft.KeyVault/vaults",
            "microsoft.containerregistry": "Microsoft.ContainerRegistry/registries",
        }
        asked = request.json
        if asked.get("type") != types[provider.lower()]:
            raise Refused(
                400, "InvalidType", f"{asked.get('type')} is not the type that this provider checks"
            )
        if asked["name"] in self.taken or asked["name"] in self._emulator.vaults.deleted:
            message = f"The name {asked['name']} is already taken."
            return Answer(200, {"nameAvailable": False, "reason": "AlreadyExists", "message": message})
        return Answer(200, {"nameAvailable": True})

    def usages(self, request: Request, subscription: str, location: str) -> Answer:
        """As Azure ML answers: the same family once for dedicated cores and once for low priority."""
        self._emulator.arm.admit(request)
        rows: list[dict[str, Any]] = []
        for family in sorted({family for family, _ in FAMILIES.values()} - self.unlisted):
            for dedicated, kind in ((True, "dedicatedCores"), (False, "lowPriorityCores")):
                rows.append(
                    {
                        "name": {"value": family, "localizedValue": f"{family} vCPUs"},
                        "type": f"{ML}/vmFamily/{kind}/usages",
                        "unit": "Count",
                        "currentValue": self.used.get((family, dedicated), 0),
                        "limit": self.limits.get((family, dedicated), 100 if dedicated else -1),
                    }
                )
        low = self.limits.get(("TotalLowPriorityCores", False), 100)
        rows.append(
            {
                "name": {"value": "TotalLowPriorityCores", "localizedValue": "Total Low Priority Cores"},
                "type": f"{ML}/totalLowPriorityCores/usages",
                "unit": "Count",
                "currentValue": 0,
                "limit": low,
            }
        )
        return Answer(200, {"value": rows})

    def sizes(self, request: Request, subscription: str, location: str) -> Answer:
        self._emulator.arm.admit(request)
        rows = [
            {"name": f"STANDARD_{size.upper()}", "family": family, "vCPUs": cores, "lowPriorityCapable": True}
            for size, (family, cores) in FAMILIES.items()
        ]
        return Answer(200, {"value": rows})

    def logs(self, request: Request, subscription: str) -> Answer:
        self._emulator.arm.admit(request)
        return Answer(200, {"value": [{"name": name} for name in sorted(self.deleted_logs)]})

    def inside(self, request: Request, path: str) -> Answer:
        """What lies in a resource group: top-level resources only."""
        arm = self._emulator.arm
        arm.admit(request)
        if arm.get(path) is None:
            raise Refused(
                404,
                "ResourceGroupNotFound",
                f"Resource group '{path.rsplit('/', 1)[-1]}' could not be found.",
            )
        return Answer(200, {"value": arm.in_group(path)})


def install(emulator: Emulator) -> Subscription:
    """Routes that are no resources; they come before those of `arm.py`."""
    made = Subscription(emulator)
    add = functools.partial(emulator.router.add, first=True)
    home = r"/subscriptions/(?P<subscription>[^/]+)"
    add("GET", HOST, home, made.show)
    add("GET", HOST, rf"{home}/providers", made.providers)
    add("POST", HOST, rf"{home}/providers/(?P<name>[^/]+)/register", made.register)
    names = r"(?P<provider>Microsoft\.(Storage|KeyVault|ContainerRegistry))"
    add("POST", HOST, rf"{home}/providers/{names}/checkNameAvailability", made.name)
    ml = rf"{home}/providers/{ML}/locations/(?P<location>[^/]+)"
    add("GET", HOST, rf"{ml}/usages", made.usages)
    add("GET", HOST, rf"{ml}/vmSizes", made.sizes)
    add("GET", HOST, rf"{home}/providers/Microsoft\.OperationalInsights/deletedWorkspaces", made.logs)
    add("GET", HOST, r"(?P<path>/subscriptions/[^/]+/resourcegroups/[^/]+)/resources", made.inside)
    return made
