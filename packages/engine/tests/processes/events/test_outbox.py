"""What was told must not get lost: not by a kill, not by a second process, not by telling it twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import event_world
import pytest
from event_world import NOW, SETTINGS, event, fact

from mlops.errors import TargetError
from mlops.events import envelope, flush, publish, touched
from mlops.events.outbox import Outbox


def numbers(outbox: Outbox, sink: str = "a") -> list[int]:
    return [stored.event.get_data()["version"] for stored in outbox.waiting(sink, 100)]


def test_told_twice_is_kept_once(outbox: Outbox):
    assert outbox.add(event(), ["a"]) is True
    assert outbox.add(event(), ["a", "b"]) is False
    assert (numbers(outbox), numbers(outbox, "b")) == ([1], [])


def test_order_is_kept_and_what_was_delivered_waits_no_more(outbox: Outbox):
    for version in (3, 1, 2):
        outbox.add(event(version), ["a"])
    assert numbers(outbox) == [3, 1, 2]
    outbox.record([1], "a", "delivered", NOW)
    outbox.record([2], "a", "pending", NOW, "no answer")
    assert numbers(outbox) == [1, 2]
    newest, middle, oldest = outbox.events()
    assert [d.state for d in oldest.deliveries] == ["delivered"]
    assert [(d.attempts, d.error) for d in middle.deliveries] == [(1, "no answer")]
    assert newest.event.get_data()["version"] == 2


def test_replay_tells_again_what_is_new_enough_also_to_a_new_sink(outbox: Outbox):
    outbox.add(envelope.make(fact(1), "/x", NOW - timedelta(days=2)), ["a"])
    outbox.add(envelope.make(fact(2), "/x", NOW), ["a"])
    outbox.record([1, 2], "a", "delivered", NOW)
    assert outbox.replay(["a", "new"], NOW - timedelta(days=1)) == 2
    assert (numbers(outbox), numbers(outbox, "new")) == ([2], [2])


def test_old_events_are_forgotten_but_not_while_somebody_waits(outbox: Outbox):
    for version in (1, 2):
        outbox.add(event(version), ["a"])
    outbox.mark_handled("1", "dispatch", NOW)
    outbox.record([1], "a", "delivered", NOW)
    outbox.forget(NOW)
    assert len(outbox.events()) == 2
    assert outbox.was_handled("1", "dispatch")
    outbox.forget(NOW + timedelta(seconds=1))
    assert [stored.event.get_data()["version"] for stored in outbox.events()] == [2]
    assert not outbox.was_handled("1", "dispatch")


def test_a_broken_outbox_is_a_sentence(tmp_path: Path):
    path = tmp_path / "outbox.db"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(TargetError, match="outbox of events"):
        Outbox(path).add(event(), [])


_TELL = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from event_world import fact
    from mlops.events import publish
    for version in range(1, 4):
        publish(Path(sys.argv[1]), fact(version))
    os.kill(os.getpid(), signal.SIGKILL)
    """
)


def test_what_was_told_before_kill_minus_nine_is_delivered_after_it(tmp_path: Path):
    (tmp_path / "mlops.toml").write_text(SETTINGS + '[[events.sinks]]\nkind = "file"\npath = "told.jsonl"\n')
    here = str(Path(event_world.__file__).parent)
    done = subprocess.run([sys.executable, "-c", _TELL, str(tmp_path), here], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "told.jsonl").exists()
    assert flush(tmp_path) == []
    lines = (tmp_path / "told.jsonl").read_text().splitlines()
    assert [envelope.from_json(line, "x").get_data()["version"] for line in lines] == [1, 2, 3]


def test_a_kill_in_the_middle_of_a_write_leaves_a_whole_outbox(outbox: Outbox):
    outbox.add(event(1), ["a"])
    pid = os.fork()
    if pid == 0:
        connection = sqlite3.connect(outbox.path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO events (id, type, time, body) VALUES ('x', 't', 't', 'b')")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert outbox.add(event(2), ["a"])
    assert numbers(outbox) == [1, 2]


def _add(path: Path, first: int) -> None:
    for version in range(first, first + 20):
        Outbox(path).add(event(version), ["a"])


def test_two_processes_that_tell_at_once_lose_nothing(outbox: Outbox):
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_add, args=(outbox.path, first)) for first in (1, 11)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert sorted(numbers(outbox)) == list(range(1, 31)), "each once, also those that both told"


def test_publish_settles_the_sinks_that_want_the_type(repository: Path):
    (repository / "mlops.toml").write_text(
        SETTINGS
        + '[[events.sinks]]\nkind = "file"\nname = "all"\n'
        + '[[events.sinks]]\nkind = "file"\nname = "drift"\ntypes = ["mlops.drift.detected"]\n'
    )
    touched()
    publish(repository, fact(1), NOW)
    outbox = Outbox(repository / ".mlops/events/outbox.db")
    assert (numbers(outbox, "all"), numbers(outbox, "drift")) == ([1], [])
    assert touched() == [repository]
    publish(repository, fact(1), NOW)
    assert touched() == [repository], "a killed verb that runs again delivers what it told before"
    assert touched() == []
    assert numbers(outbox, "all") == [1]
    assert (outbox.path.parent / ".gitignore").read_text() == "*\n"


def test_an_outbox_that_cannot_be_written_costs_a_warning(repository: Path, caplog: pytest.LogCaptureFixture):
    (repository / ".mlops").write_text("in the way")
    assert publish(repository, fact(1)) == ""
    assert "mlops.model.registered about models/freight/versions/1 was not kept" in caplog.text
