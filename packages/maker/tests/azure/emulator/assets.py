"""Versioned assets of workspaces and registries: uploads, containers, and sharing into a registry."""

from __future__ import annotations

import copy
import re
import uuid
from typing import TYPE_CHECKING, Any

from .arm import Kind, Resource, not_found
from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

TYPES = ("codes", "components", "data", "environments", "models")
_IMMUTABLE = {"codes": ("codeUri",), "data": ("dataUri", "dataType"), "models": ("modelUri", "modelType")}
"""What Azure refuses to change once a version exists."""


class Assets:
    """Behaviour of `<home>/<type>` and `<home>/<type>/versions`."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        for name in TYPES:
            for home in ("workspaces", "registries"):
                actions = {"startPendingUpload": self._upload, "createOrGetStartPendingUpload": self._upload}
                listed = self._by_hash if name == "codes" else None
                kind = Kind(self._version, long=home == "registries", actions=actions, on_list=listed)
                emulator.arm.kind(f"{home}/{name}/versions", kind)
        emulator.arm.kind("registries", Kind(actions={"import": self._import}))
        emulator.arm.kind("registries/tempdatarefs/versions", Kind(self._place))
        emulator.arm.kind("registries/datarefs/versions", Kind(actions={"*": self._reference}))

    def _version(self, resource: Resource, before: Resource | None, request: Request) -> None:
        home, kind, name, version = split(resource["id"])
        properties = resource["properties"]
        for field in _IMMUTABLE.get(kind, ()) if before else ():
            if (was := before["properties"].get(field)) != properties.get(field):  # type: ignore[index]
                raise Refused(
                    400,
                    "UserError",
                    f"A {kind} asset {name}:{version} exists; its {field} cannot be changed from {was}.",
                )
        for field in ("properties", "tags"):
            properties[field] = properties.get(field) or {}
        properties.setdefault("isArchived", False)
        properties.setdefault("isAnonymous", name == "azureml_anonymous")
        if kind == "models":
            properties["flavors"] = properties.get("flavors") or {}
            properties.setdefault("modelType", "custom_model")
        if kind == "environments":
            properties.setdefault("environmentType", "UserCreated")
            properties.setdefault("osType", "Linux")
        if "/registries/" in home:
            resource["id"] = resource["id"]
        self._container(f"{home}/{kind}/{name}", version)

    def _by_hash(self, request: Request, path: str) -> list[Resource] | None:
        """Code of this hash under any name: a client looks before it uploads."""
        wanted = request.query.get("hash")
        if not wanted:
            return None
        codes = path.rsplit("/", 2)[0]
        return [
            version
            for container in self._emulator.arm.below(codes)
            for version in self._emulator.arm.below(f"{container['id']}/versions")
            if version["properties"]["properties"].get("hash_sha256") == wanted
        ]

    def _container(self, path: str, version: str) -> None:
        known = self._emulator.arm.get(path) or {}
        numbers = [int(version)] if version.isdigit() else []
        upcoming = int(known.get("properties", {}).get("nextVersion", "1"))
        properties = {
            "latestVersion": version,
            "nextVersion": str(max([upcoming, *(n + 1 for n in numbers)])),
            "isArchived": False,
            "properties": {},
            "tags": {},
        }
        self._emulator.arm.put(path, {"properties": properties})

    def _upload(self, request: Request, path: str) -> Answer:
        """A place for the files of a version that is to be made."""
        home, kind, name, version = split(path)
        if "/registries/" in home.lower() and self._emulator.arm.get(path) is not None:
            raise Refused(409, "Conflict", f"{kind} {name}:{version} exists")
        account = self._account(home)
        container = f"{uuid.uuid4()}"
        self._emulator.blobs.container(account, container)
        return Answer(
            200,
            {
                "pendingUploadId": str(uuid.uuid4()),
                "pendingUploadType": "TemporaryBlobReference",
                "blobReferenceForConsumption": self._referring(account, container),
            },
        )

    def _place(self, resource: Resource, before: Resource | None, request: Request) -> None:
        """Where the files of a registry's new version go; refused when the version exists."""
        asset = (request.json or {})["assetId"].removeprefix("azureml://")
        registry = self._emulator.workspaces.registries[asset.split("/")[1].lower()]
        if self._emulator.arm.get(f"{registry.id}/{asset.split('/', 2)[2]}") is not None:
            raise Refused(409, "Conflict", f"{asset} exists")
        container = str(uuid.uuid4())
        self._emulator.blobs.container(registry.account, container)
        resource["blobReferenceForConsumption"] = self._referring(registry.account, container)

    def _reference(self, request: Request, path: str) -> Answer:
        """How to read the files of a registry's version."""
        account, container, _ = self._emulator.history.locate(None, request.json["blobUri"])
        return Answer(200, {"blobReferenceForConsumption": self._referring(account, container)})

    def _referring(self, account: str, container: str) -> dict[str, Any]:
        url = f"https://{account}.blob.core.windows.net/{container}"
        credential = {"credentialType": "SAS", "sasUri": self._emulator.blobs.url(account, container)}
        owner = f"/subscriptions/x/resourceGroups/x/providers/Microsoft.Storage/storageAccounts/{account}"
        return {"blobUri": url, "storageAccountArmId": owner, "credential": credential}

    def _account(self, home: str) -> str:
        registry = re.match(r".*/registries/([^/]+)", home, re.I)
        if registry:
            return self._emulator.workspaces.registries[registry[1].lower()].account
        return self._emulator.workspaces.of(home).account

    def _import(self, request: Request, path: str) -> Answer:
        """Copy a workspace's model, files and all, into a registry (`models.share`)."""
        given: dict[str, Any] = request.json or {}
        given = given.get("properties", given)
        source = given.get("sourceAssetId") or given.get("source_asset_id") or ""
        found = re.match(
            r"azureml://locations/[^/]+/workspaces/([^/]+)/models/([^/]+)/versions/([^/]+)", source
        )
        home = next(
            (w for w in self._emulator.workspaces.workspaces.values() if found and w.guid == found[1]), None
        )
        if found is None or home is None:
            raise Refused(400, "UserError", f"the source {source!r} is no asset of a workspace")
        model = self._emulator.arm.get(f"{home.id}/models/{found[2]}/versions/{found[3]}")
        if model is None:
            raise not_found(f"{home.id}/models/{found[2]}/versions/{found[3]}")
        name = given.get("destinationName") or given.get("destination_name")
        version = given.get("destinationVersion") or given.get("destination_version")
        registry = self._emulator.workspaces.registries[path.rsplit("/", 1)[-1].lower()]
        container = str(uuid.uuid4())
        for relative, data in self._emulator.history.files(home, model["properties"]["modelUri"]).items():
            self._emulator.blobs.write(registry.account, container, f"model/{relative}", data)
        copied: Resource = {"properties": copy.deepcopy(model["properties"])}
        copied["properties"]["modelUri"] = (
            f"https://{registry.account}.blob.core.windows.net/{container}/model"
        )
        self._emulator.arm.put(f"{path}/models/{name}/versions/{version}", copied)
        self._container(f"{path}/models/{name}", str(version))
        return Answer(200)


def split(path: str) -> tuple[str, str, str, str]:
    """Home, type, name and version of `<home>/<type>/<name>/versions/<version>`."""
    home, kind, name, _, version = path.rsplit("/", 4)
    return home, kind.lower(), name, version


def install(emulator: Emulator) -> Assets:
    """Behaviour of assets; their routes are those of `arm.py`."""
    return Assets(emulator)
