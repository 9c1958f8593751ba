"""Journal and lock of an environment in the storage account of its workspace.

The journal is an append blob: an entry is one block, written at a place that must be the end, so that a
request that the client repeats is written once. The lock is a lease on a blob: Azure's clock ends it when its
holder died, and every renewal asks whether it is still ours.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops.errors import Forbidden, IntegrityError, Locked
from mlops.spec.naming import JOURNAL as CONTAINER
from mlops.targets._journal import Reading, contended, row_of
from mlops.targets._lease import RenewedLease, holder_sentence, this_holder
from mlops.targets.azure.connect import Connection
from mlops.targets.base import JournalEntry
from mlops.tracking.azure_errors import azure_sentences

if TYPE_CHECKING:
    from azure.storage.blob import BlobLeaseClient, ContainerClient

_SHORTEST, _LONGEST = 15, 60
"""Seconds that a lease of Azure may last."""
_BLOCKS = 49_000
"""Entries of one journal blob; Azure allows 50,000 blocks."""
_ATTEMPTS = 10
_NUMBER = re.compile(r"journal-(\d{4})\.jsonl$")


# The client's own 15 seconds before it asks again are as long as the shortest lease.
BACK_OFF: dict[str, Any] = {"initial_backoff": 1, "increment_base": 2, "random_jitter_range": 1}


READER = "Storage Blob Data Reader"
CONTRIBUTOR = "Storage Blob Data Contributor"


@contextlib.contextmanager
def blob_sentences(what: str, container: ContainerClient, role: str) -> Iterator[None]:
    """As `azure_sentences`; a refusal names the role that is missing, or the network that is in the way."""
    account = container.account_name
    try:
        with azure_sentences(what):
            yield
    except Forbidden as error:
        if getattr(error.__cause__, "error_code", "") == "AuthorizationFailure":
            raise Forbidden(
                f"cannot {what}: the network rules of {account} let only private endpoints in; "
                "run the command inside its network"
            ) from error
        raise Forbidden(
            f"cannot {what}: this identity needs the role {role} on the container "
            f"{container.container_name} of {account}; docs/security.md says who has it, `mlops doctor` "
            "which stack did not give it, and a new assignment takes some minutes to work"
        ) from error


class AzureLease(RenewedLease):
    """A lease on the blob `lock`."""

    def __init__(self, lease: BlobLeaseClient, blob: Any, environment: str, seconds: int) -> None:
        super().__init__(environment, seconds)
        self._lease, self._blob = lease, blob

    def verify(self) -> None:
        """See `mlops.targets.base.Lease`: asked of Azure, not remembered."""
        from azure.core.exceptions import HttpResponseError

        with azure_sentences(f"renew the lock of {self._environment}"):
            try:
                with self._lock:
                    self._lease.renew()
            except HttpResponseError as error:
                if error.status_code not in (404, 409, 412):
                    raise
                who = _sentence(self._blob) or "nobody holds it now"
                raise Locked(
                    f"this process lost the lock on {self._environment} and stopped: {who}"
                ) from None

    def _extend(self) -> None:
        with azure_sentences(f"renew the lock of {self._environment}"), self._lock:
            self._lease.renew()

    def _give_back(self) -> None:
        with azure_sentences(f"release the lock of {self._environment}"), self._lock:
            self._lease.release()


class _Known:
    """A journal blob as it was read last. An append blob only grows: what came since is downloaded."""

    def __init__(self) -> None:
        self.etag, self.created = "", None
        self.reading = Reading()

    def update(self, container: ContainerClient, blob: Any) -> None:
        """Raises `IntegrityError` for what is no entry."""
        damaged = partial(_damaged, blob.name)
        have = len(self.reading.content)
        if self.created is not None and self.created == blob.creation_time and blob.size >= have:
            if blob.size > have:
                self.reading.more(container.download_blob(blob.name, offset=have).readall(), damaged)
        else:
            self.reading.all(container.download_blob(blob.name).readall(), damaged)
        self.etag, self.created = blob.etag, blob.creation_time


class AzureStore:
    """Implements `mlops.targets.base.EnvironmentStore`: `mlops/environments/<env>/` in blob storage."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._containers: dict[str, ContainerClient] = {}
        self._there: set[str] = set()
        self._current: dict[str, str] = {}
        self._known: dict[str, _Known] = {}

    @contextlib.contextmanager
    def lock(self, environment: str, owner: str, lease: float) -> Iterator[AzureLease]:
        """See `EnvironmentStore.lock`; Azure's leases last 15 to 60 seconds and are renewed meanwhile."""
        from azure.core.exceptions import HttpResponseError, ResourceExistsError

        seconds = int(min(max(lease, _SHORTEST), _LONGEST))
        container = self.writable(environment)
        blob = container.get_blob_client(f"environments/{environment}/lock")
        holder = this_holder(owner, seconds)
        with blob_sentences(f"lock {environment}", container, CONTRIBUTOR):
            with contextlib.suppress(ResourceExistsError):
                blob.upload_blob(b"", overwrite=False)
            try:
                held = blob.acquire_lease(lease_duration=seconds)
            except HttpResponseError as error:
                if error.status_code != 409:
                    raise
                who = _sentence(blob) or "another process has just taken it"
                raise Locked(f"{environment} is locked: {who}") from None
            blob.upload_blob(json.dumps(holder).encode(), overwrite=True, lease=held)
        mine = AzureLease(held, blob, environment, seconds)
        with mine:
            yield mine

    def append(self, environment: str, entry: JournalEntry) -> None:
        """See `EnvironmentStore.append`; a repeated request finds its own line."""
        from azure.core.exceptions import HttpResponseError

        line = json.dumps(row_of(entry), ensure_ascii=False, default=str).encode() + b"\n"
        container = self.writable(environment)
        with blob_sentences(f"write the journal of {environment}", container, CONTRIBUTOR):
            for _ in range(_ATTEMPTS):
                blob = container.get_blob_client(self._journal(environment))
                end = _end(blob)
                try:
                    answer = blob.append_block(line, length=len(line), appendpos_condition=end)
                except HttpResponseError as error:
                    if error.error_code == "BlockCountExceedsLimit":
                        self._next(environment)
                        continue
                    if error.status_code != 412:
                        raise
                    # Somebody was faster, or this very request was sent twice and had arrived at first.
                    if _at(blob, end, len(line)) == line:
                        return
                else:
                    if int(answer.get("blob_committed_block_count") or 0) >= _BLOCKS:
                        self._next(environment)
                    return
        raise contended(environment)

    def entries(self, environment: str, model: str | None = None) -> Sequence[JournalEntry]:
        """See `EnvironmentStore.entries`."""
        container = self.container(environment)
        every: list[JournalEntry] = []
        with blob_sentences(f"read the journal of {environment}", container, READER):
            for blob in self._blobs(environment):
                known = self._known.setdefault(blob.name, _Known())
                if known.etag != blob.etag:
                    known.update(container, blob)
                every += known.reading.entries(model)
        return every

    def container(self, environment: str) -> ContainerClient:
        """The container of an environment, to read from: it may not be there."""
        if environment not in self._containers:
            from azure.storage.blob import ContainerClient

            # A lock may be narrower than its environment: `prod-retrain-<model>`.
            account = self._account(environment.partition("-")[0])
            url, credential = f"https://{account}.blob.core.windows.net", self._connection.credential
            self._containers[environment] = ContainerClient(url, CONTAINER, credential=credential, **BACK_OFF)
        return self._containers[environment]

    def writable(self, environment: str) -> ContainerClient:
        """The container of an environment, made when it is not there: so where `infra/` made no account."""
        from azure.core.exceptions import ResourceExistsError

        container = self.container(environment)
        if environment not in self._there:
            what = f"open the container {CONTAINER} of {container.account_name}"
            with blob_sentences(what, container, CONTRIBUTOR):
                if not container.exists():
                    with contextlib.suppress(ResourceExistsError):
                        container.create_container()
            self._there.add(environment)
        return container

    def blobs(self, environment: str, prefix: str) -> list[Any]:
        """Those whose names start so, by name; none where there is no container yet."""
        from azure.core.exceptions import ResourceNotFoundError

        listed = self.container(environment).list_blobs(name_starts_with=prefix)
        try:
            return sorted(listed, key=lambda blob: str(blob.name))
        except ResourceNotFoundError as error:
            if error.error_code != "ContainerNotFound":
                raise
            return []

    def _account(self, stack: str) -> str:
        """By its name where `infra/` made it: who reads another environment's journal sees no workspace."""
        place = self._connection.place(stack)
        if place.account:
            return place.account
        client = self._connection.client(stack)
        with azure_sentences(f"find the storage account of {place.workspace}"):
            return str(client.workspaces.get(place.workspace).storage_account).rsplit("/", 1)[-1]

    def _blobs(self, environment: str) -> list[Any]:
        return self.blobs(environment, f"environments/{environment}/journal-")

    def _journal(self, environment: str) -> str:
        """The blob that takes the next entry."""
        if environment not in self._current:
            there = self._blobs(environment)
            self._current[environment] = there[-1].name if there else _name(environment, 1)
        return self._current[environment]

    def _next(self, environment: str) -> None:
        number = _NUMBER.search(self._current[environment])
        self._current[environment] = _name(environment, int(number[1]) + 1 if number else 1)


def _name(environment: str, number: int) -> str:
    return f"environments/{environment}/journal-{number:04d}.jsonl"


def _end(blob: Any) -> int:
    """How long the journal is; one that is not there is made."""
    from azure.core import MatchConditions
    from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

    try:
        return int(blob.get_blob_properties().size)
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):
            blob.create_append_blob(match_condition=MatchConditions.IfMissing)
        return int(blob.get_blob_properties().size)


def _at(blob: Any, offset: int, length: int) -> bytes:
    return bytes(blob.download_blob(offset=offset, length=length).readall())


def _sentence(blob: Any) -> str:
    """Who holds the lock, as far as the blob says; empty when it says nothing."""
    return holder_sentence(blob.download_blob().readall())


def _damaged(name: str, number: int) -> IntegrityError:
    return IntegrityError(
        f"{CONTAINER}/{name}:{number}: not an entry of the journal. Somebody edited the blob; restore "
        "an older version of it (the account keeps versions)"
    )
