"""A breach is answered once, on months that nobody has learned from, and never in a hurry."""

from __future__ import annotations

from datetime import timedelta

import pytest
from monitor_world import NOW

from mlops.lifecycle.retraining import Answer, Decision, Months, Start, decide, next_months
from mlops.spec.monitoring import MonitorReport, RetrainPolicy, TimeSpan
from mlops.spec.window import Window

LEARNED = Months(Window.parse("2013-01..2013-03"), Window.parse("2013-04"))
POLICY = RetrainPolicy(train=True, cooldown=7 * 86_400.0, at_most=2, per=30 * 86_400.0)


def report(number: int = 1, outcome: str = "breach", **change: object) -> MonitorReport:
    facts = {
        "id": f"v{number}",
        "environment": "prod",
        "model": "toy",
        "release": 1,
        "digest": None,
        "made": NOW,
        "window": TimeSpan(start=NOW - timedelta(days=1), end=NOW),
        "rows": 1000,
        "events": "2013-04..2013-06",
        "outcome": outcome,
        "reason": "because",
    }
    return MonitorReport(**(facts | change))  # type: ignore[arg-type]


def start(number: int, days: float) -> Start:
    return Start(
        verdict=f"v{number}", model="toy", release=1, at=NOW - timedelta(days=days),
        window="2013-01..2013-04", test_window="2013-05",
    )  # fmt: skip


def answer(number: int, window: str = "2013-01..2013-05", test: str = "2013-06", release: int = 1) -> Answer:
    return Answer(
        verdict=f"v{number}", release=release, at=NOW, window=window, test_window=test, outcome="blocked",
        reason="worse",
    )  # fmt: skip


def decided(*reports: MonitorReport, starts: tuple[Start, ...] = (), answers: tuple[Answer, ...] = (),
            live: int | None = 1, policy: RetrainPolicy = POLICY) -> Decision:  # fmt: skip
    return decide(reports, starts, answers, live=live, learned=LEARNED, policy=policy, now=NOW)


def test_a_breach_is_answered_by_training_on_the_new_months():
    found = decided(report())
    assert found.outcome == "train"
    assert found.months == Months(Window.parse("2013-01..2013-05"), Window.parse("2013-06"))


@pytest.mark.parametrize(
    ("reports", "why"),
    [
        ((), "no verdict yet"),
        ((report(1), report(2, "pass")), "is no breach"),
        ((report(1, release=3),), "about release 3, but 1 is live now"),
        ((report(1, "inconclusive"),), "no verdict yet"),
        ((report(1, events="2013-04"),), "no later complete month has labels"),
        ((report(1, events="2012-12"),), "no later complete month has labels"),
    ],
)
def test_nothing_is_done_without_a_reason_to(reports: tuple[MonitorReport, ...], why: str):
    found = decided(*reports)
    assert found.outcome == "nothing" and why in found.reason


def test_not_knowing_does_not_take_a_breach_back():
    assert decided(report(1), report(2, "inconclusive")).outcome == "train"


def test_an_answer_ends_it():
    found = decided(report(1), answers=(answer(1),))
    assert found.outcome == "nothing" and "was answered on 2026-11-21 12:00 (blocked: worse)" in found.reason


def test_the_same_months_are_not_learned_from_again():
    """The monitor runs every day, and a blocked model does not get better overnight."""
    assert decided(report(1), report(2), answers=(answer(1),)).outcome == "nothing"
    assert decided(report(1), report(2, events="2013-04..2013-07"), answers=(answer(1),)).outcome == "train"
    other = answer(1, release=7)
    assert decided(report(1), report(2), answers=(other,)).outcome == "train", "that was another champion"


def test_cooldown():
    found = decided(report(2), starts=(start(1, 6.9),), answers=(answer(1, "2013-01..2013-04", "2013-05"),))
    assert found.outcome == "propose"
    assert "cooldown after the last training ends on 2026-11-21 14:24" in found.reason
    assert decided(report(2), starts=(start(1, 7.1),)).outcome == "train"


def test_rate_limit():
    two = (start(1, 29), start(2, 8))
    found = decided(report(3), starts=two)
    assert (
        found.outcome == "propose" and "2 trainings in 30 days are as many as policy allows" in found.reason
    )
    assert decided(report(3), starts=(start(1, 31), start(2, 8))).outcome == "train"


def test_a_training_that_was_cut_off_goes_on():
    """Its start counts for the cooldown of others, not for its own."""
    assert decided(report(1), starts=(start(1, 0.01),)).outcome == "train"


def test_policy_may_leave_training_to_people():
    found = decided(report(), policy=RetrainPolicy(train=False))
    assert (found.outcome, found.months is not None) == ("propose", True)


def test_windows():
    sliding = RetrainPolicy(window="sliding")
    assert next_months(LEARNED, report(), sliding) == Months(
        Window.parse("2013-03..2013-05"), Window.parse("2013-06")
    )
    two = RetrainPolicy(test_months=2)
    assert next_months(LEARNED, report(), two) == Months(
        Window.parse("2013-01..2013-04"), Window.parse("2013-05..2013-06")
    )
    assert next_months(LEARNED, report(events="2013-01"), RetrainPolicy()) is None
    unlabelled = next_months(LEARNED, report(events=None), RetrainPolicy())
    assert unlabelled is not None and str(unlabelled.test) == "2026-10", (
        "complete months before the traffic's end"
    )
