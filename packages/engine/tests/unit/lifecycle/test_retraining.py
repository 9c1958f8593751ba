"""A breach is answered once, on months that nobody has learned from, and never in a hurry."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from monitor_world import NOW

from mlops.lifecycle.decide.retraining import Answer, Decision, Rows, Start, decide, next_windows
from mlops.spec.monitoring import MonitorReport, RetrainPolicy, TimeSpan
from mlops.spec.split import Part
from mlops.spec.window import Window

Windows = tuple[Window, Window]


def windows(learned: str, tested: str) -> Windows:
    return Window.parse(learned), Window.parse(tested)


def rows(learned: str, tested: str, data: str = "") -> Rows:
    return Rows(Part.parse(learned), Part.parse(tested), data)


LEARNED = windows("2013-01..2013-03", "2013-04")
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
    learned = rows(*map(str, LEARNED))
    return decide(reports, starts, answers, live=live, learned=learned, newest=None, policy=policy, now=NOW)


def test_a_breach_is_answered_by_training_on_the_new_months():
    found = decided(report())
    assert found.outcome == "train"
    assert found.rows == rows("2013-01..2013-05", "2013-06")


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
    assert (found.outcome, found.rows is not None) == ("propose", True)


def test_windows():
    sliding = RetrainPolicy(window="sliding")
    assert next_windows(LEARNED[0], report(), sliding) == windows("2013-03..2013-05", "2013-06")
    two = RetrainPolicy(test_months=2)
    assert next_windows(LEARNED[0], report(), two) == windows("2013-01..2013-04", "2013-05..2013-06")
    assert next_windows(LEARNED[0], report(events="2013-01"), RetrainPolicy()) is None
    unlabelled = next_windows(LEARNED[0], report(events=None), RetrainPolicy())
    assert unlabelled is not None and str(unlabelled[1]) == "2026-10", (
        "complete months before the traffic's end"
    )


# --- the second condition, and what only a history of two events reaches ------------------------------------


def test_an_answer_counts_by_its_verdict_or_by_what_was_learned():
    same_verdict = answer(1, "2013-01..2013-04", "2013-05", release=7)
    assert decided(report(1), answers=(same_verdict,)).outcome == "nothing"
    for other in (
        answer(9, "2013-01..2013-04", "2013-06"),
        answer(9, "2013-01..2013-05", "2013-07"),
        answer(9, release=2),
    ):
        assert decided(report(1), answers=(other,)).outcome == "train"
    assert decided(report(1), answers=(answer(9),)).outcome == "nothing"


def test_the_last_of_two_answers_is_told():
    first = answer(1)
    later = first.model_copy(update={"reason": "later", "at": NOW + timedelta(hours=1)})
    assert "later" in decided(report(1), answers=(first, later)).reason
    assert "later" in decided(report(1), answers=(first, answer(9, release=3), later)).reason


@pytest.mark.parametrize("events", ["2013-05-02..2013-05-30", "2013-05-02..2013-06-29"])
def test_no_month_is_complete(events: str):
    assert next_windows(LEARNED[0], report(events=events), RetrainPolicy()) is None
    assert decided(report(events=events)).outcome == "nothing"


def test_a_decision_names_what_was_learned_and_what_is_live():
    assert "release 1 learned from 2013-01..2013-03, and was tested on 2013-04" in (
        decided(report(events="2013-04")).reason
    )


def test_nothing_is_live():
    found = decided(report(1), live=None)
    assert (found.outcome, "but nothing is live now" in found.reason) == ("nothing", True)


def test_a_breach_is_answered_also_when_the_one_before_was():
    """The last verdict counts, whatever came before it."""
    assert decided(report(1, "pass"), report(2)).outcome == "train"
    assert decided(report(1), report(2, "pass"), report(3, "inconclusive")).outcome == "nothing"
    assert "is no breach" in decided(report(1), report(2, "pass"), report(3, "inconclusive")).reason


def test_the_cooldown_runs_from_the_newest_start_and_ends_on_time():
    two = (start(8, 7.5), start(9, 6.5))
    often = POLICY.model_copy(update={"at_most": 9})  # the rate is no reason
    assert decided(report(1), starts=two, policy=often).outcome == "propose"
    assert decided(report(1), starts=two[::-1], policy=often).outcome == "propose"
    assert decided(report(1), starts=(start(9, 7.0),)).outcome == "train"


def test_the_rate_counts_what_lies_within_and_says_when_the_oldest_leaves():
    within = (start(7, 30.0), start(8, 29.9), start(9, 10))
    found = decided(report(1), starts=within)
    assert found.outcome == "propose"
    assert "2 trainings" in found.reason
    assert f"{NOW + timedelta(days=0.1):%Y-%m-%d %H:%M}" in found.reason
    assert decided(report(1), starts=(start(8, 30.0), start(9, 10))).outcome == "train"
    assert decided(report(1), starts=(start(9, 10),)).outcome == "train"


def test_a_start_of_this_breach_goes_on_also_behind_another_one():
    both = (start(1, 0.02), start(2, 0.01))
    assert decided(report(1), starts=both).outcome == "train"
    assert decided(report(3), starts=both).outcome == "propose"


@pytest.mark.parametrize(
    ("learned", "tested", "events", "tests", "outcome"),
    [
        ("2013-01..2013-05", "2013-06", "2013-04..2013-06", 1, "nothing"),
        ("2013-01..2013-03", "2013-04", "2013-04..2013-05", 2, "train"),
        ("2013-01..2013-02", "2013-06", "2013-04..2013-06", 1, "train"),
        ("2013-01..2013-05", "2013-07", "2013-04..2013-06", 1, "nothing"),
        ("2013-03..2013-03", "2013-04", "2013-04..2013-05", 2, "train"),
        ("2013-04..2013-04", "2013-05", "2013-04..2013-05", 2, "nothing"),
    ],
)
def test_only_later_months_are_learned_from(learned: str, tested: str, events: str, tests: int, outcome: str):
    found = decide(
        [report(events=events)],
        (),
        (),
        live=1,
        learned=rows(learned, tested),
        newest=None,
        policy=RetrainPolicy(train=True, test_months=tests),
        now=NOW,
    )
    assert found.outcome == outcome


def months_of(start: int, end: int) -> Window:
    def text(month: int) -> str:
        return f"{2013 + (month - 1) // 12}-{(month - 1) % 12 + 1:02}"

    return Window.parse(f"{text(start)}..{text(end)}" if start != end else text(start))


@pytest.mark.parametrize("kind", ["sliding", "expanding"])
@pytest.mark.parametrize("tests", [1, 2, 3])
@pytest.mark.parametrize("events", [True, False])
def test_every_choice_of_months(kind: str, tests: int, events: bool):
    """Against an oracle that counts months from the start of 2013."""
    policy = RetrainPolicy(window=kind, test_months=tests)  # type: ignore[arg-type]
    for first in range(1, 5):
        for length in range(1, 5):
            for known in range(first, first + 14):
                learned = months_of(first, first + length - 1)
                end = months_of(known, known).end  # the first day after the last known month
                span = TimeSpan(start=NOW - timedelta(days=9000), end=NOW.replace(end.year, end.month, 15))
                told = str(months_of(max(1, known - 1), known)) if events else None
                found = next_windows(learned, report(events=told, window=span), policy)
                last = known - tests
                begin = max(first, last - length + 1) if kind == "sliding" else first
                if last < begin:
                    assert found is None, (first, length, known)
                else:
                    wanted = months_of(begin, last), months_of(last + 1, known)
                    assert found == wanted, (first, length, known)


@pytest.mark.parametrize(
    ("learned", "tested", "events", "found"),
    [
        ("2013-W01..2013-W10", "2013-W11", "2013-03-01..2013-03-31", ("2013-W01..2013-W12", "2013-W13")),
        (
            "2013-01-01..2013-01-31",
            "2013-02-01",
            "2013-02-01..2013-02-10",
            ("2013-01-01..2013-02-09", "2013-02-10"),
        ),
    ],
)
def test_weeks_and_days_are_learned_from_as_months_are(
    learned: str, tested: str, events: str, found: tuple[str, str]
):
    decision = decide(
        [report(events=events)],
        (),
        (),
        live=1,
        learned=rows(learned, tested),
        newest=None,
        policy=POLICY,
        now=NOW,
    )
    assert decision.rows == rows(*found)


ALL = "train by random:test=0.2,seed=1", "test by random:test=0.2,seed=1"


@pytest.mark.parametrize(
    ("newest", "answers", "outcome"),
    [
        ("2", (), "train"),
        ("1", (), "nothing"),
        (None, (), "nothing"),
        ("2", (answer(9, *ALL).model_copy(update={"data": "2"}),), "nothing"),
        ("2", (answer(9, *ALL).model_copy(update={"data": "1"}),), "train"),
    ],
)
def test_without_a_clock_a_newer_version_of_the_data_is_learned_from(
    newest: str | None, answers: tuple[Answer, ...], outcome: str
):
    decision = decide(
        [report(events=None)],
        (),
        answers,
        live=1,
        learned=rows(*ALL, data="1"),
        newest=newest,
        policy=POLICY,
        now=NOW,
    )
    assert decision.outcome == outcome
    if decision.rows is not None:
        assert (decision.rows.data, str(decision.rows.window)) == ("2", ALL[0])
    elif not answers:
        assert "no newer version of its data than 1" in decision.reason


def test_a_window_that_was_dealt_by_a_split_is_not_moved_by_itself():
    learned = rows(f"2013-01..2013-03 {ALL[0]}", f"2013-01..2013-03 {ALL[1]}")
    found = decide([report()], (), (), live=1, learned=learned, newest="2", policy=POLICY, now=NOW)
    assert found.outcome == "nothing" and "dealt by a split" in found.reason


@pytest.mark.parametrize("hurry", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_whoever_acts_is_told_the_rows_and_the_breach(train: bool, hurry: bool):
    """A proposal says what to learn from as a training does: a person starts from it."""
    policy = POLICY.model_copy(update={"train": train})
    starts = (start(8, 1), start(9, 20)) if hurry else ()  # whatever their order, the newest one counts
    found = decided(report(1, "breach"), report(2), starts=starts, policy=policy)
    assert found.outcome == ("train" if train and not hurry else "propose")
    assert found.rows == rows("2013-01..2013-05", "2013-06")
    assert found.report is not None and found.report.id == "v2"


def test_rows_are_called_by_what_changes():
    assert str(rows("2013-01..2013-05", "2013-06")) == "2013-01..2013-05"
    assert str(rows("2013-01..2013-05", "2013-06", "7")) == "version 7 of the data"


@pytest.mark.parametrize(
    ("events", "ends", "expected"),
    [
        ("2013-04..2013-09", date(2013, 8, 1), ("2013-01..2013-06", "2013-07")),
        ("2013-04..2013-09", date(2014, 1, 1), ("2013-01..2013-08", "2013-09")),
        (None, date(2013, 8, 1), ("2013-01..2013-06", "2013-07")),
        ("2013-04..2013-09", date(2013, 5, 1), None),
        ("2013-04..2013-09", date(2013, 5, 20), None),
        (None, date(2013, 5, 1), None),
        ("2013-04..2013-09", date(2013, 4, 15), None),
    ],
)
def test_nothing_is_proposed_beyond_the_end_of_the_recorded_data(
    events: str | None, ends: date, expected: tuple[str, str] | None
):
    """With labels of later traffic, and with none."""
    learned = rows(*map(str, LEARNED))
    found = decide(
        [report(events=events)],
        (),
        (),
        live=1,
        learned=learned,
        newest=None,
        policy=POLICY,
        now=NOW,
        ends=ends,
    )
    assert (found.rows == rows(*expected)) if expected else (found.rows is None)
    if expected is None:
        assert found.outcome == "nothing"
        assert f"they end before {ends}; bring newer ones with mlops ingest" in found.reason


@pytest.mark.parametrize("kind", [Rows, Decision])
def test_what_decides_is_changed_by_nobody(kind: type):
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


@pytest.mark.parametrize("outcome", ["nothing", "waiting", "proposed", "released", "blocked"])
def test_what_an_earlier_version_kept_is_read(outcome: str):
    """Answers lie in a store; those from before a field came have none of it."""
    kept = Answer.model_validate({**answer(1).model_dump(mode="json"), "outcome": outcome})
    assert (kept.outcome, kept.data, kept.version, kept.pull_request) == (outcome, "", None, "")
    assert (start(1, 1).data, start(1, 1).actor) == ("", "")
    assert (Decision("nothing", "why").rows, Decision("nothing", "why").report) == (None, None)
