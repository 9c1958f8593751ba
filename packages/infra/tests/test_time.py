"""Nothing in a stack file goes stale: what depends on the day is computed once, when it is made, and then
kept.

With a month in the stack files no first `up` got past the budget once that month was over.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from graphs import ENVIRONMENTS, ROOT, exports, plan
from mlops.infra import clock
from mlops.infra.plan.capture import capture
from mlops.infra.plan.diff import changes
from stand_in.rules import refusals

FROM = date(2026, 11, 29)
MONTHS = [(2026 + (10 + n) // 12, (10 + n) % 12 + 1) for n in range(37)]


@pytest.fixture(autouse=True)
def _clock_runs_again() -> Iterator[None]:
    yield
    clock.pin(clock.NO_DAY)


def _period(day: date, wanted: date | None = None) -> dict[str, str]:
    clock.pin(day)
    start, end = clock.budget_period(wanted)
    return {"startDate": start, "endDate": end}


@pytest.mark.parametrize("wanted", [None, date(2026, 1, 1), date(2027, 6, 1), date(2031, 1, 1)])
@pytest.mark.parametrize(("year", "month"), MONTHS)
@pytest.mark.parametrize("day", [1, 28])
def test_azure_takes_the_budget_in_every_month_whatever_the_file_says(
    year: int, month: int, day: int, wanted: date | None
) -> None:
    today = date(year, month, day)
    period = _period(today, wanted)
    assert refusals("consumption:Budget", {"timePeriod": period}, today=today) == []


def test_the_stand_in_refuses_a_month_that_has_passed() -> None:
    period = {"startDate": "2026-10-01T00:00:00Z", "endDate": "2036-10-01T00:00:00Z"}
    (refusal,) = refusals("consumption:Budget", {"timePeriod": period}, today=FROM)
    assert refusal.code == "400 BadRequest"


@pytest.mark.parametrize(
    ("wanted", "start"),
    [
        (None, "2026-11-01"),
        (date(2026, 1, 1), "2026-11-01"),
        (date(2026, 11, 1), "2026-11-01"),
        (date(2026, 12, 1), "2026-12-01"),
        (date(2027, 11, 1), "2027-11-01"),
        (date(2027, 12, 1), "2026-11-01"),
    ],
    ids=["none", "passed", "this one", "the next", "in a year", "too far ahead"],
)
def test_a_month_to_come_counts_and_every_other_is_this_one(wanted: date | None, start: str) -> None:
    assert _period(FROM, wanted)["startDate"] == f"{start}T00:00:00Z"


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_a_budget_that_exists_keeps_its_month(stack: str) -> None:
    (budget,) = plan(stack).of("consumption:Budget")
    assert budget.options["ignore_changes"] == ["eTag", "timePeriod"]
    assert "replace_on_changes" not in budget.options


def test_a_budget_that_is_replaced_gets_a_month_of_its_own() -> None:
    """The engine copies ignored values of the old state into a replacement, and the old month is refused."""
    names = {
        plan("dev", **edit).of("consumption:Budget")[0].name for edit in ({}, {"location": "northeurope"})
    }
    assert len(names) == 2, "another group, another budget: a logical name of its own"


def test_the_budget_of_an_older_program_is_the_same_one() -> None:
    (budget,) = plan("dev").of("consumption:Budget")
    assert budget.options["aliases"] == ["budget"]


def test_a_plan_is_the_same_on_every_day() -> None:
    (budget,) = plan("dev").of("consumption:Budget")
    assert budget.inputs["timePeriod"] == {"startDate": clock.FIRST_MONTH, "endDate": clock.LAST_MONTH}


def test_no_stack_differs_between_two_days_but_in_what_it_ignores() -> None:
    def on(day: date) -> Any:
        return capture(ROOT, "dev", {"organization/mlops/shared": exports("shared")}, day=day)

    assert changes(on(date(2026, 11, 29)), on(date(2029, 3, 1))) == []


def test_no_file_of_a_stack_names_a_month() -> None:
    for path in (ROOT / "environments").glob("Pulumi.*.yaml"):
        assert "start:" not in path.read_text(encoding="utf-8"), path.name


def test_a_pinned_day_stays_and_no_day_is_none() -> None:
    clock.pin(FROM)
    assert clock.today() == FROM
    clock.pin(clock.NO_DAY)
    assert clock.today() is None
