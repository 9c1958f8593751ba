"""Whether a breach is answered by training, and on which months: pure decisions over plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import Field

from mlops.spec._base import ModelName, Spec, Version, WindowText
from mlops.spec.monitoring import MonitorReport, RetrainPolicy
from mlops.spec.window import Window

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
    actor: str = ""


class Answer(Spec):
    """Kept at the end: the breach is answered, whatever came of it."""

    verdict: str
    release: Version
    """What was live."""
    at: datetime
    window: WindowText
    test_window: WindowText
    outcome: Outcome
    reason: str
    version: Version | None = None
    """What was trained."""
    pull_request: str = Field(default="", description="Address of the pull request.")


@dataclass(frozen=True)
class Months:
    """What to learn from and what to test on."""

    window: Window
    test: Window


@dataclass(frozen=True)
class Decision:
    """What to do about the last verdict. `months` is None when there is nothing to propose."""

    outcome: Literal["nothing", "propose", "train"]
    reason: str
    months: Months | None = None
    report: MonitorReport | None = None


def decide(
    reports: Sequence[MonitorReport],
    starts: Sequence[Start],
    answers: Sequence[Answer],
    *,
    live: int | None,
    learned: Months,
    policy: RetrainPolicy,
    now: datetime,
) -> Decision:
    """`reports`, `starts` and `answers` oldest first; `learned`: the months of the live release."""
    told = [r for r in reports if r.outcome != "inconclusive"]
    last = told[-1] if told else None
    if last is None or (why := _no_breach(last, live)):
        return Decision("nothing", why if last else "there is no verdict yet; run mlops monitor")
    months = next_months(learned, last, policy)
    if months is None or (months.window.last, months.test.last) <= (learned.window.last, learned.test.last):
        return Decision(
            "nothing",
            f"release {live} learned from {learned.window} and was tested on {learned.test}, and no later "
            "complete month has labels; add them with mlops labels add",
        )
    wanted = live, str(months.window), str(months.test)
    same = [a for a in answers if a.verdict == last.id or (a.release, a.window, a.test_window) == wanted]
    if same:
        answer = same[-1]
        return Decision(
            "nothing",
            f"the breach was answered on {answer.at:%Y-%m-%d %H:%M} ({answer.outcome}: {answer.reason})",
        )
    if not policy.train:
        return Decision("propose", "policy leaves training to the merge of the pull request", months, last)
    # A start without an answer was cut off: to go on with it is not another training.
    begun = any(s.verdict == last.id for s in starts)
    if not begun and (why := _too_soon(starts, policy, now)):
        return Decision("propose", why, months, last)
    return Decision("train", f"{last.id} is a breach without an answer", months, last)


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


def next_months(learned: Months, report: MonitorReport, policy: RetrainPolicy) -> Months | None:
    """The newest complete months with labels to test on, and all before to learn from.

    Without labels: the complete months before the end of the judged traffic. None when there are too few.
    """
    if report.events is not None:
        known = Window.parse(report.events).last
    else:
        known = _shift(report.window.end.date().replace(day=1), -1)
    first_test = _shift(known, 1 - policy.test_months)
    last = _shift(first_test, -1)
    first = learned.window.first
    if policy.window == "sliding":
        first = max(first, _shift(last, 1 - learned.window.months))
    if last < first:
        return None
    return Months(Window(first, last), Window(first_test, known))


def _shift(month: date, by: int) -> date:
    number = month.year * 12 + month.month - 1 + by
    return date(number // 12, number % 12 + 1, 1)
