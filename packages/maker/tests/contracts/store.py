"""What every `EnvironmentStore` promises. Two applies that interleave can leave a service dark, and a journal
that lies sends the next one the wrong way."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Protocol

import pytest

from mlops.errors import Locked
from mlops.targets.base import EnvironmentStore, JournalEntry

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def entry(kind: str = "apply.started", model: str = "freight", release: int = 1) -> JournalEntry:
    return JournalEntry(NOW, kind, model, release, "ada", "c" * 40, {"note": "grün"})


class Stores(Protocol):
    """A backing that several processes share."""

    def open(self) -> EnvironmentStore:
        """The store as another process would open it."""

    def expire(self, environment: str) -> None:
        """Let the time of a lease pass, as when its holder sleeps."""


class StoreContract:
    """Mixed into a test class with a fixture `stores`."""

    def test_entries_come_back_oldest_first_and_by_model(self, stores: Stores) -> None:
        store = stores.open()
        for kind, model in (("a", "freight"), ("b", "other"), ("c", "freight")):
            store.append("prod", entry(kind, model))
        again = stores.open()
        assert [e.kind for e in again.entries("prod")] == ["a", "b", "c"]
        assert again.entries("prod", "freight") == [entry("a"), entry("c")]
        assert again.entries("staging") == []

    def test_several_writers_lose_nothing(self, stores: Stores) -> None:
        def write(name: str) -> None:
            store = stores.open()
            for number in range(5):
                store.append("prod", entry(f"{name}{number}"))

        threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kinds = [e.kind for e in stores.open().entries("prod")]
        assert sorted(kinds) == sorted(f"{n}{i}" for n in "ab" for i in range(5))
        assert [k for k in kinds if k[0] == "a"] == [f"a{i}" for i in range(5)]

    def test_the_second_is_told_who_and_since_when(self, stores: Stores) -> None:
        with stores.open().lock("prod", "grace", 60):
            refused = pytest.raises(Locked, match=r"prod is locked: grace \(process \d+ on .*since .* UTC;")
            with refused, stores.open().lock("prod", "ada", 60):
                pytest.fail("the lock was given twice")
            with stores.open().lock("staging", "ada", 60) as other:
                other.verify()
        with stores.open().lock("prod", "ada", 60) as lease:
            lease.verify()

    def test_a_part_of_an_environment_has_its_own_lock(self, stores: Stores) -> None:
        with stores.open().lock("prod", "grace", 60), stores.open().lock("prod-retrain-freight", "ada", 60):
            pass

    def test_a_holder_that_was_overtaken_is_told_before_its_next_effect(self, stores: Stores) -> None:
        with stores.open().lock("prod", "ada", 60) as first:
            first.verify()
            stores.expire("prod")
            with stores.open().lock("prod", "grace", 60) as second:
                with pytest.raises(Locked, match=r"lost the lock on prod and stopped: grace"):
                    first.verify()
                second.verify()
        with stores.open().lock("prod", "linus", 60):
            pass

    def test_the_lock_is_given_back_when_the_work_fails(self, stores: Stores) -> None:
        with pytest.raises(ValueError, match="work"), stores.open().lock("prod", "ada", 60):
            raise ValueError("work")
        with stores.open().lock("prod", "ada", 60):
            pass
