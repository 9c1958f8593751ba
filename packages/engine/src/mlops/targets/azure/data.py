"""Data assets of the training workspace: immutable versions, tagged with digest and window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops.errors import IntegrityError, NotFound
from mlops.targets.azure.connect import Connection, silent
from mlops.targets.base import PushedData
from mlops.targets.local.data import LocalData, window_of
from mlops.tracking.azure_errors import azure_sentences

DIGEST, WINDOW = "mlops.data.digest", "mlops.data.window"


class AzureData:
    """Implements `mlops.targets.base.DataAssets`, and `push` to bring local data there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def resolve(self, name: str, version: str) -> str:
        """The URI of the asset's folder; raises `NotFound` when the workspace does not have it."""
        asset = self._find(name, version)
        if asset is None:
            workspace = self._connection.client().workspace_name
            raise NotFound(
                f"the workspace {workspace} has no data asset {name}:{version}; "
                "upload it with: mlops data push"
            )
        return str(asset.path)

    def push(self, model: str) -> PushedData:
        """Upload what `pipelines/<model>/data.yml` declares; made once for each version.

        Raises `IntegrityError` when the workspace has other data under this version, `InvalidInput` for a
        wrong file and what `LocalData.resolve` raises.
        """
        connection = self._connection
        local = LocalData.of(connection.root, connection.settings)
        asset, folder, digest = local.declared(model)
        name, version, window = str(asset["name"]), str(asset["version"]), window_of(asset)
        known = self._find(name, version)
        if known is not None:
            there = (known.tags or {}).get(DIGEST)
            if there != digest:
                raise IntegrityError(
                    f"the workspace has other data as {name}:{version} (digest {there or 'unknown'}, here "
                    f"{digest}); a version never changes, so raise `version` in pipelines/{model}/data.yml"
                )
            return PushedData(name, version, digest, window, str(known.path), new=False)
        uploaded = self._create(asset, folder, {DIGEST: digest, **({WINDOW: window} if window else {})})
        return PushedData(name, version, digest, window, str(uploaded.path), new=True)

    def _create(self, declared: dict[str, Any], folder: Path, tags: dict[str, str]) -> Any:
        client = self._connection.client()
        with (
            azure_sentences(f"upload the data asset {declared['name']} to {client.workspace_name}"),
            silent(),
        ):
            from azure.ai.ml.entities import Data

            asset = Data(
                name=str(declared["name"]),
                version=str(declared["version"]),
                type=str(declared.get("type", "uri_folder")),
                description=declared.get("description"),
                path=folder,
                tags={**(declared.get("tags") or {}), **tags},
            )
            return client.data.create_or_update(asset)

    def _find(self, name: str, version: str) -> Any:
        try:
            with azure_sentences(f"look for the data asset {name}:{version}"):
                return self._connection.client().data.get(name, version)
        except NotFound:
            return None
