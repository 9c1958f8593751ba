"""Schedules and monitors: when they fire, and what they start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from mlops.errors import Problem
from mlops.pipeline.models import Yaml
from mlops.pipeline.read import Loc
from mlops.spec._yaml import Document

_CRON = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_PART = re.compile(r"(?P<low>\*|\w+)(?:-(?P<high>\w+))?(?:/(?P<step>\d+))?")
_FREQUENCY = {"minute": 525_600, "hour": 8_760, "day": 365, "week": 52, "month": 12}

Minute = Annotated[int, Field(ge=0, le=59)]
Hour = Annotated[int, Field(ge=0, le=23)]


def cron_problem(expression: str) -> str:
    """Why `expression` is no crontab of five fields that Azure ML honours; empty when it is one."""
    fields = expression.split()
    if len(fields) != len(_CRON):
        return f"must have five fields (minute hour day-of-month month day-of-week); got {len(fields)}"
    for text, (name, low, high, names) in zip(fields, _CRON, strict=True):
        for part in text.split(","):
            if not _cron_part(part, low, high, names):
                allowed = f"{low} to {high}, *, lists (,), ranges (-), steps (/)"
                return f"the {name} {text!r} is wrong; allowed: {allowed}"
    # https://learn.microsoft.com/azure/machine-learning/reference-yaml-schedule: values there are ignored.
    if fields[2] != "*" or fields[3] != "*":
        return (
            "Azure ML ignores day of month and month and treats them as *; use a recurrence with month_days"
        )
    return ""


def _cron_part(part: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(part)
    if match is None or (match["step"] is not None and int(match["step"]) < 1):
        return False
    if match["low"] == "*":
        return match["high"] is None
    ends = [_cron_number(t, low, names) for t in (match["low"], match["high"]) if t is not None]
    known = [e for e in ends if e is not None]
    return len(known) == len(ends) and all(low <= e <= high for e in known) and known == sorted(known)


def _cron_number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text.isdecimal():
        return int(text)
    return names.index(text.lower()) + low if text.lower() in names else None


def _is_cron(value: str) -> str:
    if why := cron_problem(value):
        raise ValueError(why)
    return value


def _is_zone(value: str) -> str:
    # Azure takes Windows names ("W. Europe Standard Time") too; those have a blank.
    if " " not in value:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("is no time zone; use UTC, or a name like Europe/Berlin") from None
    return value


def _many(raw: Any) -> Any:
    return raw if isinstance(raw, list) else [raw]


class Pattern(Yaml):
    """At which hours, minutes and days a recurrence fires; one value or a list of each."""

    hours: Hour | list[Hour]
    minutes: Minute | list[Minute]
    week_days: Any = None
    month_days: Any = None


class _Timed(Yaml):
    start_time: datetime | None = None
    end_time: datetime | None = None
    time_zone: Annotated[str, AfterValidator(_is_zone)] = "UTC"


class Cron(_Timed):
    """Fires by a crontab."""

    type: Literal["cron"]
    expression: Annotated[str, AfterValidator(_is_cron)]


class Recurrence(_Timed):
    """Fires every `interval` units."""

    type: Literal["recurrence"]
    frequency: Literal["minute", "hour", "day", "week", "month"]
    interval: int = Field(ge=1)
    schedule: Pattern | None = None


class _Schedule(Yaml):
    schema_url: str = Field("", alias="$schema")
    type: Literal["schedule", "monitor"] | None = None
    name: str
    display_name: str = ""
    description: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    properties: dict[str, str] = Field(default_factory=dict)


class CronJobSchedule(_Schedule):
    """A job started by a crontab."""

    trigger: Cron
    create_job: str | dict[str, Any]


class RecurringJobSchedule(_Schedule):
    """A job started by a recurrence."""

    trigger: Recurrence
    create_job: str | dict[str, Any]


class CronMonitor(_Schedule):
    """A monitor started by a crontab."""

    trigger: Cron
    create_monitor: dict[str, Any]


class RecurringMonitor(_Schedule):
    """A monitor started by a recurrence."""

    trigger: Recurrence
    create_monitor: dict[str, Any]


def check_schedule(document: Document, monitor: bool) -> Iterator[Problem]:
    """Problems of a schedule's trigger. Raises `InvalidInput` when its fields are wrong."""
    raw = document.value
    trigger = raw.get("trigger")
    if not isinstance(trigger, dict) or trigger.get("type") not in ("cron", "recurrence"):
        yield document.problem(("trigger", "type"), "must be 'cron' or 'recurrence'")
        return
    cron = trigger["type"] == "cron"
    when: Cron | Recurrence
    if monitor:
        when = document.parse(CronMonitor).trigger if cron else document.parse(RecurringMonitor).trigger
    else:
        when = (
            document.parse(CronJobSchedule).trigger if cron else document.parse(RecurringJobSchedule).trigger
        )
    if (
        when.start_time
        and when.end_time
        and when.start_time.replace(tzinfo=None) >= when.end_time.replace(tzinfo=None)
    ):
        yield document.problem(("trigger", "end_time"), "must be later than start_time")
    if isinstance(when, Recurrence):
        yield from _recurrence(document, when)


def _recurrence(document: Document, when: Recurrence) -> Iterator[Problem]:
    if when.interval > _FREQUENCY[when.frequency]:
        message = f"every {when.interval} {when.frequency}s is more than a year apart"
        yield document.problem(("trigger", "interval"), message)
    if when.schedule is None:
        return
    loc: Loc = ("trigger", "schedule")
    if when.frequency in ("minute", "hour"):
        yield document.problem(loc, f"a pattern needs frequency day, week or month; it is {when.frequency}")
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    for day in [] if when.schedule.week_days is None else _many(when.schedule.week_days):
        if str(day).lower() not in days:
            yield document.problem((*loc, "week_days"), f"{day!r} is no day; allowed: {', '.join(days)}")
    for day in [] if when.schedule.month_days is None else _many(when.schedule.month_days):
        if not isinstance(day, int) or isinstance(day, bool) or not 1 <= day <= 31:
            yield document.problem((*loc, "month_days"), f"{day!r} is no day of a month; allowed: 1 to 31")
