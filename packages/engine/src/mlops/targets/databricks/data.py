"""Data assets in the volume of the catalog that trains: a folder a version, whole or not there."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mlops.errors import IntegrityError, NotFound
from mlops.targets.base import PushedData
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.store import Volume
from mlops.targets.local.data import LocalData, window_of
from mlops.tracking.databricks_errors import databricks_sentences

SCHEME = "dbfs://"
"""Before the path of a volume, as Spark knows it."""
_UPLOADS = 8


class DatabricksData:
    """Implements `mlops.targets.base.DataAssets`: `data/<name>/<version>/`, and a note of it that comes
    last."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def resolve(self, name: str, version: str) -> str:
        """The address of the asset's folder; raises `NotFound` when the volume does not have it."""
        volume = self._volume
        if self._recorded(volume, name, version) is None:
            raise NotFound(
                f"the volume {volume.place.files} has no data asset {name}:{version}; "
                "upload it with: mlops data push"
            )
        return f"{SCHEME}{volume.path(_folder(name, version))}"

    def push(self, model: str) -> PushedData:
        """Upload what `pipelines/<model>/data.yml` declares; made once for each version.

        Raises `IntegrityError` when the volume has other data under this version, `InvalidInput` for a wrong
        file and what `LocalData.resolve` raises.
        """
        connection, volume = self._connection, self._volume
        asset, folder, digest = LocalData.of(connection.root, connection.settings).declared(model)
        name, version, window = str(asset["name"]), str(asset["version"]), window_of(asset)
        uri = f"{SCHEME}{volume.path(_folder(name, version))}"
        recorded = self._recorded(volume, name, version)
        if recorded is not None:
            if recorded.get("digest") != digest:
                raise IntegrityError(
                    f"the volume {volume.place.files} has other data as {name}:{version} (digest "
                    f"{recorded.get('digest', 'unknown')}, here {digest}); a version never changes, so raise "
                    f"`version` in pipelines/{model}/data.yml"
                )
            return PushedData(name, version, digest, window, uri, new=False)
        upload(volume, Path(folder), _folder(name, version))
        note = json.dumps({"name": name, "version": version, "digest": digest, "window": window})
        volume.create(_note(name, version), note.encode())
        return PushedData(name, version, digest, window, uri, new=True)

    @property
    def _volume(self) -> Volume:
        return Volume(self._connection, self._connection.training)

    def _recorded(self, volume: Volume, name: str, version: str) -> dict[str, Any] | None:
        try:
            note = json.loads(volume.read(_note(name, version)))
        except (NotFound, ValueError):
            return None
        return note if isinstance(note, dict) else None


def upload(volume: Volume, folder: Path, to: str) -> None:
    """Copy the files of a folder, or one file, below `to` of the volume, over what is there."""
    files = [folder] if folder.is_file() else [p for p in sorted(folder.rglob("*")) if p.is_file()]
    base = folder.parent if folder.is_file() else folder

    def one(path: Path) -> None:
        volume.replace(f"{to}/{path.relative_to(base).as_posix()}", path.read_bytes())

    with ThreadPoolExecutor(_UPLOADS) as pool:
        list(pool.map(one, files))


def download(volume: Volume, folder: str, to: Path) -> None:
    """Copy a folder of the volume to `to`; raises `NotFound`."""
    to.mkdir(parents=True, exist_ok=True)
    with databricks_sentences(f"list {volume.path(folder)}"):
        entries = list(volume.files.list_directory_contents(volume.path(folder)))
    for entry in entries:
        inner = f"{folder}/{entry.name}"
        if entry.is_directory:
            download(volume, inner, to / str(entry.name))
        else:
            (to / str(entry.name)).write_bytes(volume.read(inner))


def _folder(name: str, version: str) -> str:
    return f"data/{name}/{version}"


def _note(name: str, version: str) -> str:
    return f"data/{name}/{version}.asset.json"
