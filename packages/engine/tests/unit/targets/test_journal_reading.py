"""A journal is parsed once in a process, however many models and steps ask for it.

`mlops status` of 200 models parsed it 400 times: what a team with one model never saw took 40 seconds.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import IntegrityError
from mlops.lifecycle.decide import journal
from mlops.lifecycle.decide.journal import Kind
from mlops.lifecycle.train import facts
from mlops.targets import _journal
from mlops.targets.base import JournalEntry
from mlops.targets.local.store import JOURNAL, LocalStore

START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(model: str, release: int, kind: str = Kind.FINISHED, **data: Any) -> JournalEntry:
    return JournalEntry(START, kind, model, release, "ada", "1" * 40, data)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lines that were parsed."""
    lines: list[int] = []
    real = _journal._entry
    monkeypatch.setattr(
        _journal, "_entry", lambda line, n, damaged: lines.append(n) or real(line, n, damaged)
    )
    return lines


def test_each_line_is_parsed_once_for_all_models(tmp_path: Path, parsed: list[int]):
    store = LocalStore(tmp_path)
    for number in range(30):
        store.append("prod", entry(f"model{number % 10}", number + 1))
    found = [e.release for m in range(10) for e in store.entries("prod", f"model{m}")]
    assert sorted(found) == list(range(1, 31))
    assert parsed == list(range(1, 31))


def test_only_what_was_added_is_parsed(tmp_path: Path, parsed: list[int]):
    store, other = LocalStore(tmp_path), LocalStore(tmp_path)
    store.append("prod", entry("a", 1))
    assert [e.release for e in store.entries("prod")] == [1]
    other.append("prod", entry("a", 2))
    assert [e.release for e in store.entries("prod", "a")] == [1, 2]
    assert parsed == [1, 2]


def test_what_a_caller_does_with_the_list_changes_nothing(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.append("prod", entry("a", 1))
    list(store.entries("prod", "a")).clear()
    store.entries("prod", "a").clear()  # type: ignore[attr-defined]
    assert len(store.entries("prod", "a")) == 1


def test_an_edited_journal_is_read_anew(tmp_path: Path):
    store = LocalStore(tmp_path)
    for release in (1, 2):
        store.append("prod", entry("a", release))
    assert len(store.entries("prod")) == 2
    path = tmp_path / "environments" / "prod" / JOURNAL
    first, second = path.read_text().splitlines()
    path.write_text(f"{json.dumps(json.loads(first) | {'release': 7})}\n{second}\n")
    assert [e.release for e in store.entries("prod")] == [7, 2]
    path.write_text(f"{first}\nno entry\n")
    with pytest.raises(IntegrityError, match=r"journal\.jsonl:2: not an entry"):
        store.entries("prod")
    path.unlink()
    assert store.entries("prod") == []


def test_a_torn_last_line_counts_when_it_is_complete(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.append("prod", entry("a", 1))
    path = tmp_path / "environments" / "prod" / JOURNAL
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    assert len(store.entries("prod")) == 1
    path.write_bytes(whole + whole)
    assert len(store.entries("prod")) == 2


def test_what_a_journal_tells_is_folded_once(monkeypatch: pytest.MonkeyPatch):
    """One step of the fold an entry, not the whole journal anew for each entry."""
    steps: list[int] = []
    real = journal.after
    monkeypatch.setattr(journal, "after", lambda known, e: steps.append(1) or real(known, e))
    entries = [entry("a", n, Kind.STARTED if n % 2 else Kind.FINISHED) for n in range(1, 201)]
    told = facts.moves("prod", entries, START)
    assert len(told) == 100
    assert len(steps) == len(entries)
    assert [fact for fact, _ in told] == [
        fact for i, e in enumerate(entries) if (fact := facts.move("prod", entries[:i], e)) is not None
    ]


def test_a_step_that_tells_nothing_reads_no_journal():
    asked: list[int] = []

    def before() -> list[JournalEntry]:
        asked.append(1)
        return []

    told: list[Any] = []
    for kind in (Kind.STARTED, Kind.STEP, Kind.STEP_DONE, Kind.PASSED, Kind.FINISHED):
        facts.tell(lambda fact, at: told.append(fact), "prod", before, entry("a", 1, kind, percent=10))
    assert len(told) == len(asked) == 1
