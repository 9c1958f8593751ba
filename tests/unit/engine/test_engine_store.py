"""Two applies that interleave can leave a service dark; a journal that lies sends the next one the wrong way.
So: one holder at a time across processes, a dead holder blocks nobody, and what was written stays written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops.errors import IntegrityError, Locked, TargetError
from mlops.targets.base import JournalEntry
from mlops.targets.local.store import JOURNAL, LEASE, LocalStore, process_start

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def entry(kind: str = "apply.started", model: str = "freight", release: int = 1) -> JournalEntry:
    return JournalEntry(NOW, kind, model, release, "ada", "c" * 40, {"note": "grün"})


def holder(state: Path, lease: float, then: str = "time.sleep(60)") -> subprocess.Popen[str]:
    """Another process that takes the lock, says so, and does `then`."""
    code = f"""
        import sys, time
        from pathlib import Path
        from mlops.targets.local.store import LocalStore
        store = LocalStore(Path(sys.argv[1]))
        with store.lock("prod", "grace", {lease}) as lease:
            print("held", flush=True)
            {then}
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(state)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


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


def test_the_second_is_told_who_since_when_and_until_when(tmp_path: Path):
    process = holder(tmp_path, lease=60)
    try:
        with (
            pytest.raises(
                Locked, match=rf"grace \(process {process.pid} on .*\) has .* since .* UTC;.* at .* UTC"
            ),
            LocalStore(tmp_path).lock("prod", "ada", 60),
        ):
            pytest.fail("the lock was given twice")
        with LocalStore(tmp_path).lock("staging", "ada", 60):
            pass  # another environment is another lock
    finally:
        process.kill()
        process.wait()


def test_a_killed_holder_blocks_nobody(tmp_path: Path):
    process = holder(tmp_path, lease=3600)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with LocalStore(tmp_path).lock("prod", "ada", 60) as lease:
        lease.verify()


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


def test_a_lease_is_renewed_while_it_is_held(tmp_path: Path):
    process = holder(tmp_path, lease=0.3)
    try:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            with pytest.raises(Locked), LocalStore(tmp_path).lock("prod", "ada", 60):
                pytest.fail("the lease was not renewed")
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()


def test_many_processes_take_turns_and_lose_nothing(tmp_path: Path):
    """Each adds one to a file without any lock but ours; a lost update is an interleaving."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    code = """
        import sys, time
        from pathlib import Path
        from mlops.errors import Locked
        from mlops.targets.local.store import LocalStore
        store, counter, done = LocalStore(Path(sys.argv[1])), Path(sys.argv[1]) / "counter", 0
        while done < 10:
            try:
                with store.lock("prod", "one of many", 60) as lease:
                    lease.verify()
                    value = int(counter.read_text())
                    time.sleep(0.001)
                    counter.write_text(str(value + 1))
                    done += 1
            except Locked:
                time.sleep(0.002)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [p.wait(timeout=60) for p in processes] == [0] * 4
    assert counter.read_text() == "40"


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
