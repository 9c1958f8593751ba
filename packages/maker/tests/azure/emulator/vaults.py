"""Storage accounts and key vaults: names that are taken, soft deletion, containers, a key that is read."""

from __future__ import annotations

import base64
import copy
import functools
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from .arm import HOST, Kind, Resource
from .entra import CLIENT
from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

CRYPTO_USER = "12338af0-0e69-4776-bea7-57ae8d297424"


class Vaults:
    """`deleted`: vaults by name, with what was in them."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.deleted: dict[str, list[Resource]] = {}
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}

    def put_vault(self, resource: Resource, before: Resource | None, request: Request) -> None:
        self._group(resource["id"])
        name = resource["name"]
        recover = resource["properties"].pop("createMode", "default") == "recover"
        if before is None and name in self._emulator.subscription.taken:
            raise Refused(409, "VaultAlreadyExists", f"The vault name '{name}' is already in use.")
        if before is None and name in self.deleted and not recover:
            raise Refused(409, "ConflictError", f"A vault with the name {name} exists in deleted state.")
        if recover and name not in self.deleted:
            raise Refused(404, "DeletedVaultNotFound", f"The specified deleted vault {name} does not exist.")
        if recover:
            for lost in self.deleted.pop(name)[1:]:
                self._emulator.arm.put(lost["id"], lost)

    def delete_vault(self, resource: Resource) -> None:
        keys = self._emulator.arm.below(f"{resource['id']}/keys")
        self.deleted[resource["name"]] = copy.deepcopy([resource, *keys])

    def show_deleted(self, request: Request, name: str) -> Answer:
        self._emulator.arm.admit(request)
        if name not in self.deleted:
            raise Refused(404, "DeletedVaultNotFound", f"The specified deleted vault {name} does not exist.")
        return Answer(200, _deleted(name, self.deleted[name][0]))

    def list_deleted(self, request: Request) -> Answer:
        self._emulator.arm.admit(request)
        return Answer(200, {"value": [_deleted(n, rows[0]) for n, rows in sorted(self.deleted.items())]})

    def put_account(self, resource: Resource, before: Resource | None, request: Request) -> None:
        self._group(resource["id"])
        if before is None and resource["name"] in self._emulator.subscription.taken:
            message = f"The storage account named {resource['name']} is already taken."
            raise Refused(409, "StorageAccountAlreadyTaken", message)

    def put_container(self, resource: Resource, before: Resource | None, request: Request) -> None:
        account = resource["id"].split("/storageAccounts/")[1].split("/")[0]
        self._emulator.blobs.container(account, resource["name"])

    def read_key(self, request: Request, name: str) -> Answer:
        """The data plane: a key of that name in the vault of this host, for who has the role on it."""
        found = self._used(request, name)
        kid = f"https://{request.host}/keys/{name}/1"
        if found["properties"].get("kty") != "EC":
            return Answer(200, {"key": {"kid": kid, "kty": "RSA"}})
        numbers = self._private(found["id"]).public_key().public_numbers()
        point = {axis: _text(getattr(numbers, axis).to_bytes(32, "big")) for axis in ("x", "y")}
        return Answer(200, {"key": {"kid": kid, "kty": "EC", "crv": "P-256", **point}})

    def sign(self, request: Request, name: str) -> Answer:
        """As `read_key`; the private half stays here."""
        found = self._used(request, name)
        asked = request.json
        if asked["alg"] != "ES256" or "sign" not in found["properties"]["keyOps"]:
            raise Refused(400, "BadParameter", "Key and signing algorithm are not compatible.")
        algorithm = ec.ECDSA(Prehashed(hashes.SHA256()))
        hashed = base64.urlsafe_b64decode(asked["value"] + "=" * (-len(asked["value"]) % 4))
        r, s = decode_dss_signature(self._private(found["id"]).sign(hashed, algorithm))
        value = _text(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return Answer(200, {"kid": f"https://{request.host}/keys/{name}/1", "value": value})

    def _private(self, path: str) -> ec.EllipticCurvePrivateKey:
        return self._keys.setdefault(path.lower(), ec.generate_private_key(ec.SECP256R1()))

    def _used(self, request: Request, name: str) -> Resource:
        self._emulator.entra.check(request)
        vault = request.host.split(".")[0]
        end = f"/vaults/{vault}/keys/{name}".lower()
        found = [
            r
            for r in self._emulator.arm.of_type("Microsoft.KeyVault/vaults/keys")
            if r["id"].lower().endswith(end)
        ]
        if not found:
            raise Refused(404, "KeyNotFound", f"A key with (name/id) {name} was not found in this key vault.")
        roles = self._emulator.identity.assignments(found[0]["id"])
        mine = [r for r in roles if r["properties"]["principalId"] == CLIENT]
        if not any(r["properties"]["roleDefinitionId"].endswith(CRYPTO_USER) for r in mine):
            raise Refused(403, "Forbidden", "Caller is not authorized to perform action on resource.")
        return found[0]

    def _group(self, path: str) -> None:
        group = path.split("/providers/", 1)[0]
        if self._emulator.arm.get(group) is None:
            name = group.rsplit("/", 1)[-1]
            raise Refused(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _deleted(name: str, vault: Resource) -> Resource:
    return {"name": name, "properties": {"vaultId": vault["id"], "location": vault["location"]}}


def install(emulator: Emulator) -> Vaults:
    """Behaviour of these types, and routes for what is deleted and for keys."""
    made = Vaults(emulator)
    arm, add = emulator.arm, functools.partial(emulator.router.add, first=True)
    arm.kind("Microsoft.KeyVault/vaults", Kind(made.put_vault, made.delete_vault))
    arm.kind("Microsoft.Storage/storageAccounts", Kind(made.put_account, long=False))
    arm.kind("Microsoft.Storage/storageAccounts/blobServices/containers", Kind(made.put_container))
    home = r"/subscriptions/[^/]+/providers/Microsoft\.KeyVault"
    add("GET", HOST, rf"{home}/locations/[^/]+/deletedVaults/(?P<name>[^/]+)", made.show_deleted)
    add("GET", HOST, rf"{home}/deletedVaults", made.list_deleted)
    add("GET", r"[a-z0-9-]+\.vault\.azure\.net", r"/keys/(?P<name>[^/]+)", made.read_key)
    add("POST", r"[a-z0-9-]+\.vault\.azure\.net", r"/keys/(?P<name>[^/]+)/sign", made.sign)
    return made
