"""Captured traffic, labels and verdicts of an environment, in its workspace's storage account.

Azure ML's data collector writes what deployments captured; where, its data assets say
(`<endpoint>-<deployment>-model_inputs`). Labels, verdicts and retrains lie beside the journal.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import NotFound, TargetError
from mlops.serving.capture.collector import INPUTS, OUTPUTS
from mlops.spec import writing
from mlops.targets._captured_rows import parquet
from mlops.targets._records import require_record_name
from mlops.targets.azure._collected import Hour
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.store import BACK_OFF, READER, AzureStore, blob_sentences
from mlops.targets.base import COLOURS, Record
from mlops.tracking.azure_errors import azure_sentences

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

SET_ASIDE = "set-aside"
"""Folder of lines that could not be read, beside the files that were made of the others."""
HALVES = "halves"
"""Folder of rows of which an hour has one half, and of those that were put together with the hour after."""
_PATH = re.compile(r"/datastores/(?P<store>[^/]+)/paths/(?P<path>.+?)/?$", re.I)
_HOUR = re.compile(r"/(\d{4})/(\d{2})/(\d{2})/(\d{2})/[^/]+\.jsonl$")
_DOWNLOADS = 8
"""Hours that are fetched at a time: each is a few small blobs, and most of it is waiting."""


@dataclass(frozen=True)
class _Blob:
    """One file of a collection; `etag` changes when the agent appends to it."""

    collection: str
    name: str
    etag: str


class AzureObservations:
    """Implements `mlops.targets.base.Observations`; what was fetched once is kept below the state folder."""

    def __init__(self, connection: Connection, store: AzureStore) -> None:
        self._connection = connection
        self._store = store
        self._places: dict[tuple[str, str], tuple[ContainerClient, str]] = {}

    def captured(
        self, environment: str, model: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[Path]:
        """A Parquet file for each deployment and hour; only hours that are new or have changed are fetched.

        Rows of which the agent wrote one half before and one after the hour have files of their own.

        Raises `TargetError` when the collector's container is not there or may not be read.
        """
        endpoint = self._connection.place(environment).endpoint("online_endpoint", model)
        folder = self._connection.state / "captured" / environment / model
        wanted: list[tuple[datetime, str, list[_Blob]]] = []
        clients: dict[str, ContainerClient] = {}
        for colour in COLOURS:
            hours: dict[datetime, list[_Blob]] = defaultdict(list)
            for collection in (INPUTS, OUTPUTS):
                place = self._place(environment, f"{endpoint}-{colour}-{collection}")
                if place is None:
                    continue
                clients[colour], path = place
                with _reading(model, environment, clients[colour]):
                    for blob in clients[colour].list_blobs(name_starts_with=f"{path}/"):
                        if (hour := _hour(blob.name)) is not None and _overlaps(hour, since, until):
                            hours[hour].append(_Blob(collection, blob.name, str(blob.etag)))
            wanted += [(hour, colour, blobs) for hour, blobs in hours.items()]

        def fetch(part: tuple[datetime, str, list[_Blob]]) -> Path:
            hour, colour, blobs = part
            client = clients[colour]
            with _reading(model, environment, client):
                return _fetched(client, folder, f"{hour:%Y%m%dT%H}-{colour}", blobs)

        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            files = list(pool.map(fetch, wanted))
        by_hour = {(colour, hour): file for (hour, colour, _), file in zip(wanted, files, strict=True)}
        turns = [
            _turn(file, next_file)
            for (colour, hour), file in by_hour.items()
            if (next_file := by_hour.get((colour, hour + timedelta(hours=1)))) is not None
        ]
        return sorted([*files, *(turn for turn in turns if turn is not None)])

    def add(self, environment: str, model: str, kind: Record, name: str, content: bytes) -> bool:
        """See `mlops.targets.base.Observations.add`. Raises `InvalidInput` for what is no file name."""
        from azure.core.exceptions import ResourceExistsError

        require_record_name(name)
        mine = uuid.uuid4().hex
        with azure_sentences(f"keep {kind} of {model} in {environment}"):
            place = f"{_prefix(environment, model, kind)}{name}"
            blob = self._store.writable(environment).get_blob_client(place)
            try:
                blob.upload_blob(content, overwrite=False, metadata={"writer": mine})
            except ResourceExistsError:
                # A client sends a request again when its answer was lost: the first may have arrived.
                return bool((blob.get_blob_properties().metadata or {}).get("writer") == mine)
        return True

    def files(self, environment: str, model: str, kind: Record) -> list[Path]:
        """See `mlops.targets.base.Observations.files`; they never change, so each is fetched once."""
        prefix = _prefix(environment, model, kind)
        folder = self._connection.state / "monitor-azure" / environment / model / kind
        fetched = []
        container = self._store.container(environment)
        with blob_sentences(f"read {kind} of {model} in {environment}", container, READER):
            for blob in self._store.blobs(environment, prefix):
                path = folder / str(blob.name).removeprefix(prefix)
                if not path.is_file():
                    writing.write(path, container.download_blob(blob.name).readall(), durable=False)
                fetched.append(path)
        return sorted(fetched)

    def _place(self, environment: str, asset: str) -> tuple[ContainerClient, str] | None:
        """Container and folder of what a collector writes; None where none ever was."""
        if (environment, asset) not in self._places:
            from azure.storage.blob import ContainerClient

            client = self._connection.client(environment)
            try:
                with azure_sentences(f"ask for the data asset {asset}"):
                    path = str(client.data.get(asset, "1").path)
            except NotFound:
                return None
            match = _PATH.search(path)
            if match is None:
                raise TargetError(f"the data asset {asset} lies in no datastore, but at {path}")
            with azure_sentences(f"ask for the datastore {match['store']}"):
                store: Any = client.datastores.get(match["store"])
            account = f"https://{store.account_name}.blob.core.windows.net"
            credential = self._connection.credential
            container = ContainerClient(account, store.container_name, credential=credential, **BACK_OFF)
            self._places[environment, asset] = (container, match["path"])
        return self._places[environment, asset]


@contextlib.contextmanager
def _reading(model: str, environment: str, container: ContainerClient) -> Iterator[None]:
    """Turn a refusal of the storage account into a sentence that names the missing role or container."""
    what = f"read what {model} in {environment} has captured"
    place = f"the container {container.container_name} of {container.account_name}"
    try:
        with blob_sentences(what, container, READER):
            yield
    except NotFound as error:
        raise TargetError(
            f"cannot {what}: {place} does not exist, and the data collector writes there; "
            f"it belongs to the infrastructure: run `pulumi up` for the stack {environment}"
        ) from error


def _fetched(container: ContainerClient, folder: Path, name: str, blobs: list[_Blob]) -> Path:
    """The file of one hour of one deployment; made anew when a blob of it has changed."""
    state = hashlib.sha256(repr(sorted((b.name, b.etag) for b in blobs)).encode()).hexdigest()[:16]
    path = folder / f"{name}-{state}.parquet"
    if path.is_file():
        return path
    hour = Hour()
    for blob in sorted(blobs, key=lambda b: b.name):
        hour.read(blob.collection, blob.name, container.download_blob(blob.name).readall())
    for old in folder.glob(f"{name}-*.parquet"):
        old.unlink(missing_ok=True)
    aside = folder / SET_ASIDE / f"{name}.jsonl"
    if hour.bad:
        writing.write(aside, hour.bad_lines(), durable=False)
    else:
        aside.unlink(missing_ok=True)
    halves = folder / HALVES
    for old in halves.glob(f"{name}-*"):
        old.unlink(missing_ok=True)
    if alone := hour.halves():
        writing.write(halves / f"{path.stem}.json", alone, durable=False)
    # Last: it says that the hour is done.
    writing.write(path, parquet(hour.table()), durable=False)
    return path


def _turn(early: Path, late: Path) -> Path | None:
    """The file of rows whose halves are in two hours, one after the other; None when there are none."""
    halves = early.parent / HALVES
    path = halves / f"{early.stem}-{late.stem.rpartition('-')[2]}.parquet"
    if path.is_file():
        return path
    texts = [halves / f"{hour.stem}.json" for hour in (early, late)]
    if not all(text.is_file() for text in texts):
        return None
    joined = Hour.turn(*(text.read_bytes() for text in texts))
    for old in halves.glob(f"{early.stem}-*.parquet"):
        old.unlink(missing_ok=True)
    if not joined.outputs:
        return None
    writing.write(path, parquet(joined.table()), durable=False)
    return path


def _hour(name: str) -> datetime | None:
    """The hour that a blob's path names; None for what is no file of a collection."""
    match = _HOUR.search(name)
    try:
        return datetime.strptime("".join(match.groups()), "%Y%m%d%H").replace(tzinfo=UTC) if match else None
    except ValueError:
        return None


def _overlaps(hour: datetime, since: datetime | None, until: datetime | None) -> bool:
    """Whether rows of that time may be there. An agent may write late, so the hour after counts too."""
    early = since is not None and hour + timedelta(hours=1) <= since
    late = until is not None and hour - timedelta(hours=1) >= until
    return not early and not late


def _prefix(environment: str, model: str, kind: Record) -> str:
    return f"environments/{environment}/monitor/{model}/{kind}/"
