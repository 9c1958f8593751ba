"""One holder of the lock at a time across processes; a dead holder blocks nobody."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from mlops.errors import Locked
from mlops.targets.local.store import LEASE, LocalStore


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


def test_a_lease_is_renewed_while_it_is_held(tmp_path: Path):
    process = holder(tmp_path, lease=3)
    (lease,) = tmp_path.rglob(LEASE)
    first = last = json.loads(lease.read_text())["until"]
    try:
        while last == first and process.poll() is None:
            time.sleep(0.02)
            last = json.loads(lease.read_text())["until"]
        assert last > first
        with pytest.raises(Locked), LocalStore(tmp_path).lock("prod", "ada", 60):
            pytest.fail("the lease was not renewed")
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
