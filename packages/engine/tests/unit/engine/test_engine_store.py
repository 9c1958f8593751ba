"""Two applies that interleave can leave a service dark; a journal that lies sends the next one the wrong way.
So: one holder at a time across processes, a dead holder blocks nobody, and what was written stays written."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops.errors import IntegrityError, Locked, TargetError
from mlops.targets.base import JournalEntry
from mlops.targets.local.store import JOURNAL, LEASE, LocalStore, process_start

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def entry(kind: str = "apply.started", model: str = "freight", release: int = 1) -> JournalEntry:
    return JournalEntry(NOW, kind, model, release, "ada", "c" * 40, {"note": "grün"})


def test_entries_come_back_oldest_first_and_by_model(tmp_path: Path):
    store = LocalStore(tmp_path)
    for kind, model in (("a", "freight"), ("b", "other"), ("c", "freight")):
        store.append("prod", entry(kind, model))
    assert [e.kind for e in store.entries("prod")] == ["a", "b", "c"]
    assert store.entries("prod", "freight") == [entry("a"), entry("c")]
    assert store.entries("staging") == []


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_entry_never_happened(tmp_path: Path, cut: int):
    store = LocalStore(tmp_path)
    store.append("prod", entry("a"))
    store.append("prod", entry("b"))
    path = tmp_path / "environments" / "prod" / JOURNAL
    path.write_bytes(path.read_bytes()[:-cut])
    assert [e.kind for e in store.entries("prod")] == ["a"]
    store.append("prod", entry("c"))
    assert [e.kind for e in store.entries("prod")] == ["a", "c"]


def test_a_damaged_entry_is_named_and_not_skipped(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.append("prod", entry("a"))
    path = tmp_path / "environments" / "prod" / JOURNAL
    path.write_text("garbage\n" + path.read_text())
    with pytest.raises(IntegrityError, match=r"journal\.jsonl:1: not an entry"):
        store.entries("prod")


def test_a_full_disk_is_a_sentence_and_leaves_whole_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = LocalStore(tmp_path)
    store.append("prod", entry("a"))
    real = os.write

    def full(descriptor: int, text: bytes) -> int:
        real(descriptor, text[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mlops.targets.local.store.os.write", full)
    with pytest.raises(TargetError, match="No space left on device"):
        store.append("prod", entry("b"))
    monkeypatch.undo()
    assert [e.kind for e in store.entries("prod")] == ["a"]
    assert (tmp_path / "environments/prod" / JOURNAL).read_bytes().endswith(b"\n")


def test_a_process_id_used_again_is_not_the_holder(tmp_path: Path):
    store = LocalStore(tmp_path)
    with store.lock("prod", "ada", 3600):
        path = tmp_path / "environments/prod" / LEASE
        text = path.read_text()
    path.write_text(text.replace(f'"started": "{process_start(os.getpid())}"', '"started": "1"'))
    with store.lock("prod", "grace", 60):
        pass


def test_a_lease_of_another_machine_ends_when_it_expires(tmp_path: Path):
    moment = [NOW]
    store = LocalStore(tmp_path, now=lambda: moment[0])
    with store.lock("prod", "ada", 60):
        path = tmp_path / "environments/prod" / LEASE
        text = path.read_text().replace('"host": "', '"host": "elsewhere-')
    path.write_text(text)
    with pytest.raises(Locked, match="elsewhere-"), store.lock("prod", "grace", 60):
        pytest.fail("taken from a living holder")
    moment[0] += timedelta(seconds=61)
    with store.lock("prod", "grace", 60):
        pass


def test_a_holder_that_was_overtaken_is_told_before_its_next_effect(tmp_path: Path):
    moment = [NOW]
    store = LocalStore(tmp_path, now=lambda: moment[0])
    with store.lock("prod", "ada", 3600) as first:
        first.verify()
        moment[0] += timedelta(seconds=3601)  # it slept, as a suspended laptop does
        with store.lock("prod", "grace", 3600) as second:
            with pytest.raises(Locked, match=r"lost the lock on prod and stopped: grace"):
                first.verify()
            second.verify()
    with store.lock("prod", "linus", 60):
        pass


def test_the_lock_is_given_back_when_the_work_fails(tmp_path: Path):
    store = LocalStore(tmp_path)
    with pytest.raises(ValueError, match="work"), store.lock("prod", "ada", 60):
        raise ValueError("work")
    with store.lock("prod", "ada", 60):
        pass


def test_a_suspended_process_inside_the_guard_is_named_instead_of_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mlops.targets.local.store.GUARD_SECONDS", 0.2)
    store, other = LocalStore(tmp_path), LocalStore(tmp_path)
    with store.lock("prod", "ann (apply release 2)", 60), store.guarded("prod"):
        with pytest.raises(Locked, match="prod is locked: ann"):
            other.append("prod", JournalEntry(datetime.now(UTC), "x", "freight", 1, "bob", "c"))
        with pytest.raises(Locked, match="prod is locked: ann"), other.lock("prod", "bob", 60):
            pass
