"""What only a real subscription can tell: each thing that this project assumes of Azure, tried once.

No compute is started. Everything is made in the workspace that trains, under the name `mlops-smoke`, and
removed again; docs/azure-smoke.md says what it costs and what stays.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlops.errors import MlopsError, TargetError
from mlops.spec.digest import tree_digest
from mlops.targets._smoke import Checked, new_artifact, tag_and_find, tried
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.registry import AzureRegistry
from mlops.targets.azure.store import AzureStore
from mlops.tracking.azure_errors import azure_sentences

MODEL = "mlops-smoke"
COSTS = (
    "It logs one run, registers and deletes one version of the model mlops-smoke, and writes and deletes one "
    "blob: under a hundred requests and a few kilobytes, less than one cent. No compute is started."
)
_TOKEN = "https://management.azure.com/.default"  # noqa: S105  an audience
_SECONDS = 60.0

CHECKS: Mapping[str, str] = {
    "login": "the login sees the workspace that trains",
    "register": "a run takes artifacts, and a version can be made of them by MLflow",
    "fetch": "the artifact of a version comes back with the same digest",
    "tags": "tags of a version can be set and are found again",
    "log-inputs": "data sets of a run are refused or answered (they are tags of the run in any case)",
    "aliases": "aliases of versions are not answered; where they are, they mirror the tags",
    "stages": "calls about stages are answered, though nothing here uses stages",
    "lock": "a blob in the container `mlops` can be made, leased and appended to",
    "request id": "an endpoint keeps the caller's x-request-id; if not, labels need the id of the answer",
}
"""What is checked, and what is assumed; docs/azure-smoke.md lists the same."""


def smoke(connection: Connection, ask: Callable[[str], str] | None = None) -> Iterator[Checked]:
    """Try each assumption in order, and clean up, also after a failure or an interruption.

    `ask` sends one request with this x-request-id to an endpoint that serves, and answers which id came back;
    None: there is no endpoint to ask. A refused login raises `TargetError`; nothing else can be tried then.
    """
    uri = connection.tracking_uri()
    yield Checked("login", "as assumed", connection.client().workspace_name)
    registry = AzureRegistry(connection)
    with TemporaryDirectory(prefix="mlops-smoke-") as folder:
        artifact = new_artifact(Path(folder), "flavors: {}\n")
        digest = tree_digest(artifact)
        try:
            registered = registry.register(
                MODEL, artifact, digest, {"mlops.digest": digest, "mlops.smoke": "new"}
            )
        except MlopsError as error:
            yield Checked("register", "wrong", str(error))
        else:
            try:
                yield Checked(
                    "register", "as assumed", f"version {registered.version} of run {registered.run_id}"
                )
                yield tried("fetch", lambda: registry.fetch(MODEL, registered.version, digest).name)
                yield tried("tags", lambda: tag_and_find(registry, MODEL, registered.version))
                yield from _protocol(connection, uri, registered.version, registered.run_id)
            finally:
                registry.delete(MODEL, registered.version)
                _call(connection, uri, "runs/delete", {"run_id": registered.run_id})
    yield tried("lock", lambda: _lock(AzureStore(connection), connection.training))
    if ask is not None:
        yield _request_id(ask)


def _protocol(connection: Connection, uri: str, version: int, run: str) -> Iterator[Checked]:
    """MLflow's calls that Azure ML may or may not know."""
    source = {"name": "nothing", "digest": "0", "source_type": "local", "source": "{}"}
    status = _call(connection, uri, "runs/log-inputs", {"run_id": run, "datasets": [{"dataset": source}]})
    yield Checked("log-inputs", "better" if status == 200 else "as assumed", _answered(status))
    alias = {"name": MODEL, "alias": "smoke", "version": str(version)}
    status = _call(connection, uri, "registered-models/alias", alias)
    yield Checked("aliases", "better" if status == 200 else "as assumed", _answered(status))
    stage = {
        "name": MODEL, "version": str(version), "stage": "Archived", "archive_existing_versions": False
    }  # fmt: skip
    status = _call(connection, uri, "model-versions/transition-stage", stage)
    yield Checked("stages", "as assumed", _answered(status))


def _call(connection: Connection, uri: str, path: str, body: Mapping[str, Any]) -> int:
    """The status of a call of MLflow's protocol, without MLflow's client, which hides it."""
    import requests

    with azure_sentences(f"get a token for {path}"):
        token = connection.credential.get_token(_TOKEN).token
    url = f"{uri.replace('azureml://', 'https://', 1)}/api/2.0/mlflow/{path}"
    try:
        headers = {"authorization": f"Bearer {token}"}
        return requests.post(url, json=dict(body), headers=headers, timeout=_SECONDS).status_code
    except requests.RequestException as error:
        raise TargetError(f"{path} of the workspace's MLflow cannot be reached: {error}") from None


def _answered(status: int) -> str:
    return "answered" if status == 200 else f"refused with {status}"


def _lock(store: AzureStore, stack: str) -> str:
    blob = store.writable(stack).get_blob_client(f"smoke/{uuid.uuid4().hex}")
    with azure_sentences("write, lease and delete a blob"):
        blob.create_append_blob()
        lease = blob.acquire_lease(lease_duration=15)
        try:
            blob.append_block(b"entry\n", length=6, appendpos_condition=0, lease=lease)
        finally:
            blob.delete_blob(lease=lease)
    return "made, leased, appended to and deleted"


def _request_id(ask: Callable[[str], str]) -> Checked:
    mine = f"smoke-{uuid.uuid4().hex[:8]}"
    try:
        answered = ask(mine)
    except MlopsError as error:
        return Checked("request id", "wrong", str(error))
    kept = (
        "kept"
        if answered == mine
        else f"replaced by {answered or 'none'}: take the id of the answer for labels"
    )
    return Checked("request id", "as assumed" if answered == mine else "wrong", kept)
