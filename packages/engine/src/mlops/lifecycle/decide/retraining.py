"""Whether a breach is answered by training, and on which rows: pure decisions over plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import Field

from mlops.spec._base import ModelName, Spec, Version, WindowText
from mlops.spec.monitoring import MonitorReport, RetrainPolicy
from mlops.spec.split import Part
from mlops.spec.window import Window, shifted

Outcome = Literal["nothing", "waiting", "proposed", "released", "blocked"]


class Start(Spec):
    """Kept before training starts: cooldown and rate count these."""

    verdict: str
    """Id of the verdict that is answered."""
    model: ModelName
    release: Version
    """What was live."""
    at: datetime
    window: WindowText
    test_window: WindowText
    data: str = ""
    """Version of the raw data, where it stands in for a window."""
    actor: str = ""


class Answer(Spec):
    """Kept at the end: the breach is answered, whatever came of it."""

    verdict: str
    release: Version
    """What was live."""
    at: datetime
    window: WindowText
    test_window: WindowText
    data: str = ""
    outcome: Outcome
    reason: str
    version: Version | None = None
    """What was trained."""
    pull_request: str = Field(default="", description="Address of the pull request.")


@dataclass(frozen=True)
class Rows:
    """What to learn from and what to test on: windows of time, or the two sides of a split of a version."""

    window: Part
    test: Part
    data: str = ""
    """Version of the raw data, which is what changes where the rows have no clock."""

    def __str__(self) -> str:
        return f"version {self.data} of the data" if self.data else str(self.window)


@dataclass(frozen=True)
class Decision:
    """What to do about the last verdict. `rows` is None when there is nothing to propose."""

    outcome: Literal["nothing", "propose", "train"]
    reason: str
    rows: Rows | None = None
    report: MonitorReport | None = None


def decide(
    reports: Sequence[MonitorReport],
    starts: Sequence[Start],
    answers: Sequence[Answer],
    *,
    live: int | None,
    learned: Rows,
    newest: str | None,
    policy: RetrainPolicy,
    now: datetime,
    ends: date | None = None,
) -> Decision:
    """`reports`, `starts` and `answers` oldest first; `learned`: the rows of the live release, `newest` the
    newest version of its data, where that is known, and `ends` the first day that has no recorded rows."""
    told = [r for r in reports if r.outcome != "inconclusive"]
    last = told[-1] if told else None
    if last is None or (why := _no_breach(last, live)):
        return Decision("nothing", why if last else "there is no verdict yet; run mlops monitor")
    rows = _next(learned, last, policy, newest, ends)
    if isinstance(rows, str):
        return Decision("nothing", f"release {live} learned from {learned.window}, and {rows}")
    wanted = live, str(rows.window), str(rows.test), rows.data
    same = [
        a for a in answers if a.verdict == last.id or (a.release, a.window, a.test_window, a.data) == wanted
    ]
    if same:
        answer = same[-1]
        return Decision(
            "nothing",
            f"the breach was answered on {answer.at:%Y-%m-%d %H:%M} ({answer.outcome}: {answer.reason})",
        )
    if not policy.train:
        return Decision("propose", "policy leaves training to the merge of the pull request", rows, last)
    # A start without an answer was cut off: to go on with it is not another training.
    begun = any(s.verdict == last.id for s in starts)
    if not begun and (why := _too_soon(starts, policy, now)):
        return Decision("propose", why, rows, last)
    return Decision("train", f"{last.id} is a breach without an answer", rows, last)


def _no_breach(last: MonitorReport, live: int | None) -> str:
    if last.outcome == "pass":
        return f"the last verdict ({last.made:%Y-%m-%d %H:%M}) is no breach"
    if last.release != live:
        return f"the last breach is about release {last.release}, but {live or 'nothing'} is live now"
    return ""


def _too_soon(starts: Sequence[Start], policy: RetrainPolicy, now: datetime) -> str:
    """Why nothing may be trained now, or nothing."""
    if starts:
        free = max(s.at for s in starts) + timedelta(seconds=policy.cooldown)
        if now < free:
            return f"the cooldown after the last training ends on {free:%Y-%m-%d %H:%M}"
    recent = [s for s in starts if now - s.at < timedelta(seconds=policy.per)]
    if len(recent) >= policy.at_most:
        return (
            f"{len(recent)} trainings in {policy.per / 86_400:g} days are as many as policy allows; the next "
            f"may start on {min(s.at for s in recent) + timedelta(seconds=policy.per):%Y-%m-%d %H:%M}"
        )
    return ""


def _next(
    learned: Rows, report: MonitorReport, policy: RetrainPolicy, newest: str | None, ends: date | None
) -> Rows | str:
    """What to learn from next; or why there is nothing."""
    window, test = learned.window.window, learned.test.window
    if window is None:
        if newest in (None, learned.data):
            return f"there is no newer version of its data than {learned.data}; mlops ingest makes one"
        return Rows(learned.window, learned.test, str(newest))
    if test is None or learned.test.split is not None:
        return "its rows of that window were dealt by a split; train on a later one with mlops train --window"
    upcoming = next_windows(window, report, policy, ends)
    if ends is not None and (upcoming is None or upcoming[1].last <= test.last):
        why = f"was tested on {test}, and the recorded data have no later complete {window.unit} with labels"
        return f"{why}: they end before {ends}; bring newer ones with mlops ingest"
    if upcoming is None or (upcoming[0].last, upcoming[1].last) <= (window.last, test.last):
        why = f"was tested on {test}, and no later complete {window.unit} has labels"
        return f"{why}; add them with mlops labels add"
    return Rows(Part(upcoming[0]), Part(upcoming[1]))


def next_windows(
    learned: Window, report: MonitorReport, policy: RetrainPolicy, ends: date | None = None
) -> tuple[Window, Window] | None:
    """The newest complete months (weeks, days) with labels to test on, and all before to learn from.

    Without labels: the complete ones before the end of the judged traffic. None of them begins at `ends` or
    later. None when there are too few.
    """
    unit = learned.unit
    if report.events is not None:
        labelled = Window.parse(report.events)
        begin, end = labelled.first, labelled.end
    else:
        begin, end = date.min, report.window.end.date()
    known = Window.within(begin, min(end, ends or end), unit)
    if known is None:
        return None
    first_test = shifted(known.last, unit, 1 - policy.test_months)
    last = shifted(first_test, unit, -1)
    first = learned.first
    if policy.window == "sliding":
        first = max(first, shifted(last, unit, 1 - learned.count))
    if last < first:
        return None
    return Window(first, last, unit), Window(first_test, known.last, unit)
