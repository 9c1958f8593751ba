"""Workspaces with their datastores, registries and how clients discover them."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .arm import ML
from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
DATASTORE = "workspaceblobstore"
ARTIFACTS = "workspaceartifactstore"
STORES = ("data", "artifacts", "captured")
"""Datastores, and containers of the same name, that `infra/` makes."""


@dataclass(frozen=True)
class Workspace:
    """One workspace; `account` is its storage account."""

    subscription: str
    group: str
    name: str
    location: str
    guid: str
    account: str

    @property
    def id(self) -> str:
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
        return f"{group}/providers/{ML}/workspaces/{self.name}"

    @property
    def host(self) -> str:
        return f"{self.location}.api.azureml.ms"

    @property
    def container(self) -> str:
        """Where the default datastore keeps blobs."""
        return f"azureml-blobstore-{self.guid}"

    def datastore(self, path: str) -> str:
        """The long URI of a path in the default datastore."""
        return (
            f"azureml://subscriptions/{self.subscription}/resourcegroups/{self.group}/workspaces/{self.name}"
            f"/datastores/{DATASTORE}/paths/{path}"
        )


@dataclass(frozen=True)
class Registry:
    """One Azure ML registry."""

    subscription: str
    group: str
    name: str
    location: str
    account: str

    @property
    def id(self) -> str:
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
        return f"{group}/providers/{ML}/registries/{self.name}"


class Workspaces:
    """Everything that `infra/` would have provisioned."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.workspaces: dict[str, Workspace] = {}
        self.registries: dict[str, Registry] = {}

    def add(
        self, group: str, name: str, location: str, subscription: str = SUBSCRIPTION, account: str = ""
    ) -> Workspace:
        """A workspace with identity-based storage, as `infra/` makes it."""
        guid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{subscription}/{group}/{name}"))
        account = account or f"st{guid.replace('-', '')[:20]}"
        made = Workspace(subscription, group, name, location, guid, account)
        home = f"/subscriptions/{subscription}/resourceGroups/{group}"
        storage = f"{home}/providers/Microsoft.Storage/storageAccounts/"
        properties = {
            "workspaceId": guid,
            "provisioningState": "Succeeded",
            "discoveryUrl": f"https://{made.host}/discovery",
            "mlFlowTrackingUri": f"azureml://{made.host}/mlflow/v1.0{made.id}",
            "storageAccount": storage + made.account,
            "hbiWorkspace": False,
        }
        identity = {"type": "SystemAssigned", "principalId": guid, "tenantId": guid}
        arm, blobs = self._emulator.arm, self._emulator.blobs
        arm.put(made.id, {"location": location, "identity": identity, "properties": properties})
        own = ((store, store) for store in STORES)
        for store, container in ((DATASTORE, made.container), (ARTIFACTS, "azureml"), *own):
            blobs.container(made.account, container)
            arm.put(
                f"{made.id}/datastores/{store}", {"properties": _datastore(made.account, container, store)}
            )
        self.workspaces[made.id.lower()] = made
        return made

    def add_registry(
        self, group: str, name: str, location: str, subscription: str = SUBSCRIPTION
    ) -> Registry:
        made = Registry(
            subscription, group, name, location, f"reg{uuid.uuid5(uuid.NAMESPACE_URL, name).hex[:18]}"
        )
        self._emulator.arm.put(
            made.id, {"location": location, "properties": {"provisioningState": "Succeeded"}}
        )
        self.registries[name.lower()] = made
        return made

    def of(self, path: str) -> Workspace:
        """The workspace that a path lies in."""
        found = re.match(
            r".*?(/subscriptions/[^/]+/resourcegroups/[^/]+/providers/[^/]+/workspaces/[^/]+)", path, re.I
        )
        made = self.workspaces.get(found[1].lower()) if found else None
        if made is None:
            raise Refused(404, "ResourceNotFound", f"The workspace of {path} was not found.")
        return made

    def discover_registry(self, request: Request, name: str) -> Answer:
        self._emulator.entra.check(request)
        made = self.registries.get(name.lower())
        if made is None:
            raise Refused(404, "NotFound", f"The registry {name} was not found.")
        return Answer(
            200,
            {
                "registryName": made.name,
                "primaryRegionResourceProviderUri": f"https://cert-{made.location}.experiments.azureml.net/",
                "resourceGroup": made.group,
                "subscriptionId": made.subscription,
            },
        )


def _datastore(account: str, container: str, name: str) -> dict[str, object]:
    return {
        "datastoreType": "AzureBlob",
        "accountName": account,
        "containerName": container,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "isDefault": name == DATASTORE,
        "serviceDataAccessAuthIdentity": "WorkspaceSystemAssignedIdentity",
        "credentials": {"credentialsType": "None"},
    }


def install(emulator: Emulator) -> Workspaces:
    """Discovery of registries; workspaces themselves are resources of `arm.py`."""
    made = Workspaces(emulator)
    host = r".+\.api\.azureml\.ms"
    emulator.router.add(
        "GET", host, r"/registrymanagement/v1\.0/registries/(?P<name>[^/]+)/discovery", made.discover_registry
    )
    return made
