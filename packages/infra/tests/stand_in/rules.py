"""What Azure refuses by value, as data and pure functions: each rule names who says so.

The stand-in asks them in every call, fast tests ask them without an engine. A rule answers with sentences;
none means that Azure would go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Refusal:
    """What Azure answers: its code and its words."""

    code: str
    said: str

    def __str__(self) -> str:
        return f"{self.code}: {self.said}"


@dataclass(frozen=True)
class Rule:
    """`source` is the page, the provider's source or the report that the rule was read in."""

    kind: str
    source: str
    judge: Callable[[Inputs, date], Iterator[Refusal]]


def refusals(kind: str, inputs: Inputs, *, today: date) -> list[Refusal]:
    """Everything that Azure has against a resource of `kind` with these values on this day."""
    return [r for rule in RULES if rule.kind == kind for r in rule.judge(inputs, today)]


def _months(one: date, other: date) -> int:
    return (other.year - one.year) * 12 + other.month - one.month


def _budget_month(inputs: Inputs, today: date) -> Iterator[Refusal]:
    period = inputs.get("timePeriod", {})
    try:
        start, end = (date.fromisoformat(str(period[k])[:10]) for k in ("startDate", "endDate"))
    except (KeyError, ValueError):
        yield Refusal("400 BadRequest", f"the time period {period} is no pair of dates")
        return
    if start.day != 1:
        yield Refusal("400 BadRequest", f"the start date {start} must be the first of a month")
    if _months(start, today) > 0:
        yield Refusal(
            "400 BadRequest", f"the start date {start} must be within the current time grain period"
        )
    if _months(today, start) > 12:
        yield Refusal("400 BadRequest", f"the start date {start} is more than twelve months ahead")
    if end <= start:
        yield Refusal("400 BadRequest", f"the end date {end} must be after the start date {start}")


RULES = (
    Rule(
        "consumption:Budget",
        "pulumi_azure_native/consumption/budget.py, time_period; terraform-provider-azurerm#12121",
        _budget_month,
    ),
)
