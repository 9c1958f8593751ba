"""Schedules: when they fire, and what they start."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from mlops.lint.asset import check_names
from mlops.lint.classify import kind_of
from mlops.lint.cron import cron_problem
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.kinds import KINDS
from mlops.lint.machine import between
from mlops.lint.node import At
from mlops.lint.pipeline import scope_of, takers
from mlops.lint.references import check_path
from mlops.lint.time_zones import known
from mlops.lint.values import PRIMITIVE, mismatch, type_of_port
from mlops.spec.near import hint

_LONGEST = {"minute": 525_600, "hour": 8_760, "day": 365, "week": 52, "month": 12}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def check_schedule(schedule: At) -> Iterator[Finding]:
    """The trigger, and the job that it starts."""
    yield from check_names(schedule)
    trigger = schedule["trigger"]
    if "trigger" not in schedule:
        yield schedule.says("missing-field", "needs `trigger`")
    elif isinstance(trigger.value, dict) and trigger["type"].word not in ("cron", "recurrence"):
        kind = trigger["type"]
        yield kind.says("wrong-value", f"must be 'cron' or 'recurrence'; got {kind.value!r}")
    if not {"create_job", "create_monitor", "import_data"} & set(schedule.names()):
        yield schedule.says("missing-field", "needs `create_job`")
    yield from check_trigger(trigger)
    yield from _job(schedule["create_job"])


def check_trigger(trigger: At, *, parts: bool = True) -> Iterator[Finding]:
    """A crontab or recurrence, its zone and its window. `parts`: days and months of a crontab are ignored."""
    expression = trigger["expression"]
    if expression.text is not None and (why := cron_problem(expression.text, parts=parts)):
        yield expression.says("cron", why)
    yield from _zone(trigger["time_zone"])
    yield from _window(trigger)
    if trigger["type"].word == "recurrence":
        yield from _recurrence(trigger)


def _zone(place: At) -> Iterator[Finding]:
    if place.text is not None and place.word not in known():
        message = (
            f"{place.value!r} is no time zone; use UTC, a name like Europe/Berlin, or one of Windows, "
            "such as W. Europe Standard Time"
        )
        yield place.says("time-zone", message)


def _window(trigger: At) -> Iterator[Finding]:
    start, end = _moment(trigger["start_time"].value), _moment(trigger["end_time"].value)
    if start is not None and end is not None and _crossed(start, end):
        yield trigger["end_time"].says("window", "must be later than start_time")
    for field in ("start_time", "end_time"):
        place = trigger[field]
        if place.text is not None and _moment(place.value) is None:
            message = f"must be a date and time, as 2026-01-31T08:00:00; got {place.value!r}"
            yield place.says("window", message)


def _crossed(start: datetime, end: datetime) -> bool:
    """Whether the end is no later; a moment with an offset and one without cannot be compared."""
    return (start.tzinfo is None) == (end.tzinfo is None) and start >= end


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _recurrence(trigger: At) -> Iterator[Finding]:
    frequency, interval = trigger["frequency"].word, trigger["interval"]
    if frequency in _LONGEST:
        yield from between(interval, 1, _LONGEST[frequency], "recurrence")
    pattern = trigger["schedule"]
    if not isinstance(pattern.value, dict):
        return
    if frequency in ("minute", "hour"):
        yield pattern.says("recurrence", f"a pattern needs frequency day, week or month; it is {frequency}")
    if frequency != "month" and "month_days" in pattern and frequency in _LONGEST:
        yield pattern["month_days"].says("recurrence", f"needs frequency month; it is {frequency}")
    if frequency in ("day", "month") and "week_days" in pattern:
        yield pattern["week_days"].says("recurrence", f"needs frequency week; it is {frequency}")
    for field, least, most in (("hours", 0, 23), ("minutes", 0, 59), ("month_days", 1, 31)):
        for place in [pattern[field], *pattern[field].elements()]:
            yield from between(place, least, most, "recurrence")
    for place in [pattern["week_days"], *pattern["week_days"].elements()]:
        if place.text is not None and place.word not in _DAYS:
            yield place.says("recurrence", f"{place.value!r} is no day; allowed: {', '.join(_DAYS)}")


def check_started(job: At, files: Files) -> Iterator[Finding]:
    """What a schedule gives to the job that it starts, that job must have."""
    named = job if job.text is not None else job["job"]
    if named.text is None:
        return
    top = files.top(named.beside(named.text.removeprefix("file:")))
    if top is None:
        return
    kind = kind_of(top.value)
    if kind in KINDS and not kind.startswith(("job.", "component.")):
        message = f"{named.text!r} is no job, but a file of kind {KINDS[kind].label}"
        yield named.says("bad-reference", message)
    if "jobs" not in top:
        return
    declared = top["inputs"].names()
    scope = scope_of(top, files)
    for name, place in job["inputs"].fields():
        if name not in declared:
            there = ", ".join(declared) or "none"
            yield place.says(
                "unknown-input", f"the job has no input {name!r}; it has: {there}{hint(name, declared)}"
            )
            continue
        if place.value is None or isinstance(place.value, dict | list):
            continue
        for port in takers(scope, name):
            if type_of_port(port) in PRIMITIVE and (why := mismatch(place.value, port)):
                yield place.says("bad-literal", f"does not fit a job's input {port.loc[-1]!r}: {why}")
                break


def _job(job: At) -> Iterator[Finding]:
    for place in (job, job["job"]):
        if place.text is None:
            continue
        yield from check_path(place, what="job")
