"""Who this process is on the emulator, and what the roles of that identity let it do with blobs and
workspaces.

The emulator itself lets whoever is logged in do everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops.bootstrap.world import read_stack
from mlops.infra.naming import JOURNAL
from mlops.infra.roles import BUILT_IN
from mlops.spec.settings import load_settings
from tests.azure.emulator import Answer, Emulator
from tests.azure.emulator.http import Request
from tests.azure.emulator.vaults import CRYPTO_USER
from tests.azure.provisioned import bring_up, principal, scopes_of

_READS = tuple(BUILT_IN[f"Storage Blob Data {kind}"] for kind in ("Reader", "Contributor"))
_WRITES = (BUILT_IN["Storage Blob Data Contributor"],)


def everything_up(azure: Emulator, root: Path) -> None:
    """The stacks of a repository with their identities and roles."""
    for name in ("shared", "dev", "staging", "prod"):
        bring_up(azure, root, name)
    settings = load_settings(root)
    for name in ("dev", "staging", "prod"):
        azure.blobs.container(read_stack(root, settings, name).names("storage_account"), JOURNAL)


@contextmanager
def acting(azure: Emulator, root: Path, stack: str, duty: str) -> Iterator[None]:
    """As the identity `duty` of `stack`: 403 where it has no role on blobs of a stack, or on a workspace."""
    settings = load_settings(root)
    places = {s: scopes_of(root, settings, read_stack(root, settings, s)) for s in ("dev", "staging", "prod")}
    mine = principal(read_stack(root, settings, stack), duty)
    held = [
        (p["scope"].lower(), p["roleDefinitionId"].rsplit("/", 1)[-1])
        for p in (row["properties"] for row in azure.identity.assignments())
        if p["principalId"] == mine
    ]
    accounts = {p["storage account"].rsplit("/", 1)[-1]: p["storage account"] for p in places.values()}

    def refuse(request: Request) -> Answer | None:
        if request.host.endswith(".vault.azure.net"):
            vault, key = request.host.split(".")[0], request.path.split("/")[2]
            end = f"/vaults/{vault}/keys/{key}".lower()
            if any(scope.endswith(end) and role == CRYPTO_USER for scope, role in held):
                return None
            body = {"error": {"code": "Forbidden", "message": "Caller is not authorized to sign."}}
            return Answer(403, body)
        account = accounts.get(request.host.split(".")[0])
        if account is None or not request.host.endswith(".blob.core.windows.net") or "sig" in request.query:
            return None
        container = request.path.lstrip("/").partition("/")[0]
        place = f"{account}/blobServices/default/containers/{container}/".lower()
        roles = _READS if request.method in ("GET", "HEAD") else _WRITES
        if any(place.startswith(f"{scope}/") and role in roles for scope, role in held):
            return None
        code = "AuthorizationPermissionMismatch"
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        return Answer(403, body, {"content-type": "application/xml", "x-ms-error-code": code})

    azure.faults.append(refuse)
    for scopes in places.values():
        if not any(f"{scopes['workspace']}/".lower().startswith(f"{scope}/") for scope, _ in held):
            azure.arm.deny(scopes["workspace"])
    try:
        yield
    finally:
        azure.faults.remove(refuse)
        azure.arm.allow()
