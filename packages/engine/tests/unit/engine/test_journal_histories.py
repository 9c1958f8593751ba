"""What the journal says after every history of up to three events, of two releases, by looking back at it.

A decision that only a history of two events reaches (a step passed, then another deployment created) is the
one that no example covers, and the one that puts all traffic on what was never watched.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from engine_world import MODEL, START

from mlops.lifecycle.decide import journal
from mlops.lifecycle.decide.journal import Facts, Held, Kind, Served
from mlops.targets.base import JournalEntry

Event = tuple[str, dict[str, Any]]
SEEN = {"requests": 9}
EVENTS: dict[str, Event] = {
    "started": (Kind.STARTED, {}),
    "create": (Kind.STEP, {"step": "create"}),
    "created": (Kind.STEP_DONE, {"step": "create"}),
    "asked": (Kind.STEP, {"step": "smoke"}),
    "smoked": (Kind.STEP_DONE, {"step": "smoke"}),
    "passed 10": (Kind.PASSED, {"percent": 10, "live": SEEN}),
    "passed 50": (Kind.PASSED, {"percent": 50, "live": None}),
    "failed": (Kind.FAILED, {"percent": 50, "reason": "slow", "file_commit": "f" * 40}),
    "no verdict": (Kind.INCONCLUSIVE, {"percent": 50, "reason": "few"}),
    "cleared": (Kind.CLEARED, {"reason": "fixed"}),
    "finished": (Kind.FINISHED, {}),
}
History = tuple[tuple[str, int], ...]


def entries(history: History) -> list[JournalEntry]:
    return [
        JournalEntry(
            START + timedelta(hours=i), EVENTS[name][0], MODEL, release, f"a{i}", f"c{i}", EVENTS[name][1]
        )
        for i, (name, release) in enumerate(history)
    ]


def last(history: History, which: Callable[[str, int], bool]) -> int:
    """Index of the last such event, -1 when there is none."""
    return max((i for i, event in enumerate(history) if which(*event)), default=-1)


def looked_back(history: History) -> Facts:
    started = last(history, lambda name, _: name == "started")
    create = last(history, lambda name, _: name == "create")
    over = last(history, lambda name, _: name in ("create", "failed", "finished"))
    passed = [name for name, _ in history[over + 1 :] if name.startswith("passed")]
    held = {}
    for release in (1, 2):
        verdict = last(history, lambda n, r: r == release and n in ("failed", "cleared", "finished"))  # noqa: B023
        if verdict >= 0 and history[verdict][0] == "failed":
            held[release] = Held(release, "slow", START + timedelta(hours=verdict), "f" * 40)
    return Facts(
        commit=f"c{started}" if started >= 0 else "",
        served=tuple(
            Served(release, START + timedelta(hours=i), f"a{i}", f"c{i}")
            for i, (name, release) in enumerate(history)
            if name == "finished"
        ),
        held=held,
        smoked=last(history, lambda name, _: name == "smoked") > create
        or (create < 0 and any(name == "smoked" for name, _ in history)),
        passed=frozenset(int(name.split()[1]) for name in passed),
        baseline=SEEN if "passed 10" in passed else None,
    )


def test_every_history_of_three_events_says_what_looking_back_says():
    alphabet = list(product(EVENTS, (1, 2)))
    for length in range(4):
        for history in product(alphabet, repeat=length):
            assert journal.read(entries(history)) == looked_back(history), history


@pytest.mark.parametrize(
    ("history", "verified", "current"),
    [
        ("", set(), None),
        ("finished 1", {1}, 1),
        ("finished 1, finished 2", {1, 2}, 2),
        ("finished 1, finished 2, finished 1", {1, 2}, 1),
        ("finished 1, failed 2", {1}, 1),
        ("finished 1, finished 2, failed 1", {2}, 2),
        ("finished 1, failed 1, cleared 1", {1}, 1),
        ("finished 1, failed 1, finished 1", {1}, 1),
        ("failed 1, cleared 1", set(), None),
        ("failed 2, failed 1, cleared 2, finished 2", {2}, 2),
    ],
)
def test_verified_is_what_took_over_and_was_not_found_wanting_since(
    history: str, verified: set[int], current: int | None
):
    pairs = [part.split() for part in history.split(", ") if part]
    facts = journal.read(entries(tuple((name, int(release)) for name, release in pairs)))
    assert facts.verified == verified
    assert (facts.current.release if facts.current else None) == current


def test_a_hold_is_on_one_release_as_one_commit_asked_for_it():
    facts = journal.read(entries((("failed", 2),)))
    assert facts.hold_on(2, "f" * 40) == facts.held[2]
    assert facts.hold_on(2, "e" * 40) is None, "a later commit is a new decision"
    assert facts.hold_on(1, "f" * 40) is None


def test_the_last_failure_is_the_one_that_holds():
    first, second = entries((("failed", 2), ("failed", 2)))
    again = JournalEntry(
        second.at,
        Kind.FAILED,
        MODEL,
        2,
        "a",
        "c",
        {**second.data, "reason": "errors", "file_commit": "e" * 40},
    )
    facts = journal.read([first, again])
    assert facts.hold_on(2, "e" * 40) == Held(2, "errors", second.at, "e" * 40)
    assert facts.hold_on(2, "f" * 40) is None


def test_the_window_that_was_passed_last_is_what_the_next_one_is_held_against():
    def passed(percent: int, live: dict[str, int] | None) -> JournalEntry:
        data = {"percent": percent, "live": live}
        return JournalEntry(START, Kind.PASSED, MODEL, 2, "a", "c", data)

    first, last = {"requests": 1}, {"requests": 2}
    assert journal.read([passed(10, first), passed(50, last)]).baseline == last
    assert journal.read([passed(10, first), passed(50, None)]).baseline == first, "unknown is no news"


def test_what_is_about_no_release_changes_nothing():
    about = entries((("finished", 1), ("failed", 2)))
    nothing = JournalEntry(START, Kind.FINISHED, MODEL, None, "a", "c", {})
    assert journal.read([nothing, *about, nothing]) == journal.read(about)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.STARTED, "apply.started"),
        (Kind.FINISHED, "apply.finished"),
        (Kind.STEP, "step.started"),
        (Kind.STEP_DONE, "step.done"),
        (Kind.PASSED, "analysis.passed"),
        (Kind.FAILED, "analysis.failed"),
        (Kind.INCONCLUSIVE, "analysis.inconclusive"),
        (Kind.CLEARED, "hold.cleared"),
    ],
)
def test_a_journal_of_an_earlier_version_is_read(kind: Kind, text: str):
    """What lies in stores was written by other versions: a name may never change."""
    assert kind == text and set(map(str, Kind)) >= {text}


@pytest.mark.parametrize("kind", [Served, Held, Facts])
def test_what_was_read_is_changed_by_nobody(kind: type):
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
