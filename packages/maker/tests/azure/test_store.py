"""Journal and lock in blob storage keep the contract of all stores, and survive what networks do."""

from __future__ import annotations

import threading
import time

import pytest

from mlops.errors import IntegrityError, Locked, TargetError
from mlops.spec.settings import load_settings
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.store import CONTAINER, AzureStore
from tests.azure.conftest import ROOT
from tests.azure.emulator import Answer, Emulator
from tests.azure.emulator.http import Request
from tests.contracts.store import StoreContract, entry


class _Stores:
    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._connection = Connection(ROOT, load_settings(ROOT))

    def open(self) -> AzureStore:
        return AzureStore(self._connection)

    def blob(self, environment: str, name: str) -> tuple[str, str]:
        """Account and path of a blob of an environment."""
        place = self._connection.place(environment)
        workspaces = self.emulator.workspaces.workspaces.values()
        account = next(w.account for w in workspaces if w.name == place.workspace)
        return account, f"environments/{environment}/{name}"

    def expire(self, environment: str) -> None:
        account, name = self.blob(environment, "lock")
        self.emulator.blobs.accounts[account][CONTAINER][name].lease_until = 0.0


@pytest.fixture
def stores(logged_in: Emulator) -> _Stores:
    return _Stores(logged_in)


class TestAzureStore(StoreContract):
    """`AzureStore`."""


def test_a_request_that_is_sent_twice_writes_one_entry(stores: _Stores) -> None:
    """The answer is lost, the client repeats the request by itself: the first one had arrived."""
    store = stores.open()
    store.append("prod", entry("a"))
    lost = [True]

    def swallow(request: Request) -> Answer | None:
        if lost and request.query.get("comp") == "appendblock":
            lost.clear()
            stores.emulator.blobs.handle(request)
            raise ConnectionError
        return None

    stores.emulator.faults.append(swallow)
    store.append("prod", entry("b"))
    assert not lost, "the fault was never met"
    assert [e.kind for e in stores.open().entries("prod")] == ["a", "b"]


def test_a_full_journal_goes_on_in_the_next(stores: _Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops.targets.azure.store._BLOCKS", 2)
    store = stores.open()
    for kind in "abcde":
        store.append("prod", entry(kind))
    account, _ = stores.blob("prod", "")
    assert len(stores.emulator.blobs.names(account, CONTAINER, "environments/prod/journal-")) == 3
    assert [e.kind for e in stores.open().entries("prod")] == list("abcde")


def test_a_journal_is_downloaded_once_and_then_what_was_added(stores: _Stores) -> None:
    """A rollout asks several times a step; a year's journal is megabytes."""
    store, other = stores.open(), stores.open()
    for kind in "abc":
        other.append("prod", entry(kind))
    assert [e.kind for e in store.entries("prod")] == list("abc")
    stores.emulator.exchanges.clear()
    for _ in range(10):
        assert len(store.entries("prod")) == 3
    assert not stores.emulator.calls("GET", "journal-0001.jsonl"), "nothing was added"
    other.append("prod", entry("d"))
    stores.emulator.exchanges.clear()
    assert [e.kind for e in store.entries("prod")] == list("abcd")
    (call,) = stores.emulator.calls("GET", "journal-0001.jsonl")
    assert not call.request.headers["x-ms-range"].startswith("bytes=0-")


def test_a_journal_that_was_replaced_is_read_as_a_whole(stores: _Stores) -> None:
    store = stores.open()
    store.append("prod", entry("a"))
    assert len(store.entries("prod")) == 1
    account, name = stores.blob("prod", "journal-0001.jsonl")
    kept = stores.emulator.blobs.accounts[account][CONTAINER]

    def replace(data: bytes, later: float) -> None:
        """As if so many seconds had passed: the service tells its times in whole ones."""
        stores.emulator.blobs.write(account, CONTAINER, name, data)
        kept[name].created += later
        kept[name].modified += later

    line = kept[name].data
    replace(line + line, 2)
    assert [e.kind for e in store.entries("prod")] == ["a", "a"]
    replace(b"x" * len(line) + b"\n", 4)
    with pytest.raises(IntegrityError):
        store.entries("prod")


def test_a_damaged_entry_is_named_and_not_skipped(stores: _Stores) -> None:
    stores.open().append("prod", entry("a"))
    account, name = stores.blob("prod", "journal-0001.jsonl")
    stores.emulator.blobs.write(account, CONTAINER, name, b"garbage\n")
    with pytest.raises(IntegrityError, match=r"journal-0001\.jsonl:1: not an entry"):
        stores.open().entries("prod")


def test_a_lease_is_renewed_while_it_is_held(stores: _Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops.targets.azure.store._SHORTEST", 1)
    with stores.open().lock("prod", "ada", 1) as lease:
        time.sleep(2.2)
        with pytest.raises(Locked), stores.open().lock("prod", "grace", 60):
            pytest.fail("the lease was not renewed")
        lease.verify()


def test_a_dead_holder_blocks_nobody_for_longer_than_its_lease(stores: _Stores) -> None:
    threads = threading.active_count()
    held = stores.open().lock("prod", "grace", 60)
    lease = held.__enter__()
    lease._released.set()  # as kill -9 does: nobody renews, nobody gives back
    stores.expire("prod")
    with stores.open().lock("prod", "ada", 60):
        pass
    assert threading.active_count() < threads + 10


def test_no_right_to_the_storage_account(stores: _Stores) -> None:
    def forbid(request: Request) -> Answer | None:
        code = "AuthorizationPermissionMismatch"
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        headers = {"content-type": "application/xml", "x-ms-error-code": code}
        return Answer(403, body, headers) if request.host.endswith("blob.core.windows.net") else None

    stores.emulator.faults.append(forbid)
    with pytest.raises(TargetError, match=r"open the container mlops of .*this identity needs the role"):
        stores.open().append("prod", entry("a"))
