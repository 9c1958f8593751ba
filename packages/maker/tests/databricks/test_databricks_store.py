"""Journal and lock in a volume keep the contract of all stores, and survive what networks and kills do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops.errors import Forbidden, IntegrityError, Locked
from mlops.spec.settings import Settings
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.store import DatabricksStore
from tests.contracts.store import StoreContract, entry
from tests.databricks.emulator import Emulator

VOLUME = "/Volumes/prod/ml/mlops/environments/prod"


def settings(host: str = "") -> Settings:
    return Settings.model_validate(
        {
            "project": {"name": "flights-mlops"},
            "models": {"freight": {"usecase": "freight"}},
            "databricks": {"host": host},
        }
    )


class _Stores:
    def __init__(self, workspace: Emulator, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder
        self._connection = Connection(folder, settings())

    def open(self) -> DatabricksStore:
        return DatabricksStore(self._connection)

    def locks(self, environment: str) -> list[str]:
        folder = self.workspace.files.root / f"Volumes/{environment}/ml/mlops/environments/{environment}/lock"
        return sorted(p.name for p in folder.glob("*.json"))

    def expire(self, environment: str) -> None:
        name = self.locks(environment)[-1]
        path = f"/Volumes/{environment}/ml/mlops/environments/{environment}/lock/{name}"
        self.workspace.files.age(path, 3600)


@pytest.fixture
def stores(workspace: Emulator, tmp_path: Path) -> _Stores:
    return _Stores(workspace, tmp_path)


class TestDatabricksStore(StoreContract):
    """`DatabricksStore`."""


def test_an_entry_whose_answer_was_lost_is_written_once(stores: _Stores) -> None:
    """The client repeats the request by itself, and finds a file of that number: its own."""
    stores.workspace.lose("PUT", "journal/00000001.json")
    stores.open().append("prod", entry("a"))
    stores.open().append("prod", entry("b"))
    assert [e.kind for e in stores.open().entries("prod")] == ["a", "b"]


def test_more_entries_than_a_page_come_back_in_order(stores: _Stores) -> None:
    store = stores.open()
    for number in range(60):
        store.append("prod", entry(f"k{number}"))
    assert [e.kind for e in stores.open().entries("prod")] == [f"k{n}" for n in range(60)]
    before = len(stores.workspace.calls("GET", "/fs/files"))
    stores.open().entries("prod")
    assert len(stores.workspace.calls("GET", "/fs/files")) == before, "an entry is fetched once"


def test_an_edited_entry_is_told_with_its_file(stores: _Stores, tmp_path: Path) -> None:
    stores.open().append("prod", entry("a"))
    (stores.workspace.files.root / f"{VOLUME.lstrip('/')}/journal/00000001.json").write_text("{}")
    with pytest.raises(
        IntegrityError, match=r"^/Volumes/prod/ml/mlops/environments/prod/journal/00000001.json: "
    ):
        stores.open().entries("prod")


def test_a_lock_whose_holder_was_killed_is_taken_over(stores: _Stores) -> None:
    """Nobody gives it back; its file gets old, and the next one gets the next number."""
    holder = {"owner": "ada", "host": "h", "pid": 1, "since": "2026-03-01T00:00:00+00:00", "seconds": 15}
    stores.open().volume("prod").create("environments/prod/lock/00000001.json", json.dumps(holder).encode())
    with pytest.raises(Locked, match="prod is locked: ada "), stores.open().lock("prod", "grace", 60):
        pytest.fail("the lock was given twice")
    stores.expire("prod")
    with stores.open().lock("prod", "grace", 60) as lease:
        lease.verify()
        assert stores.locks("prod") == ["00000001.json", "00000002.json"]
    assert stores.locks("prod") == ["00000002.json"], "the last number stays, so that numbers only grow"


def test_a_holder_that_wakes_up_while_its_lock_is_taken_over_stops_both(
    stores: _Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at its age and the next file it renews its own: neither goes on as if it were
    alone."""
    with stores.open().lock("prod", "ada", 60) as first:
        stores.expire("prod")
        volume = type(stores.open().volume("prod"))
        create = volume.create

        def slow(self: object, name: str, content: bytes) -> bool:
            first._extend()
            return create(self, name, content)  # type: ignore[arg-type]

        monkeypatch.setattr(volume, "create", slow)
        with pytest.raises(Locked, match="prod is locked: ada"), stores.open().lock("prod", "grace", 60):
            pytest.fail("the lock was given twice")
        with pytest.raises(Locked, match="lost the lock on prod"):
            first.verify()


def test_a_catalog_that_may_not_be_used_is_named(stores: _Stores) -> None:
    stores.workspace.unity.denied.add("prod")
    with pytest.raises(Forbidden, match=r"does not have USE CATALOG on Catalog 'prod'"):
        stores.open().append("prod", entry())
