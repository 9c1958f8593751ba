"""When work fires and how long it waits, at the edges: one step inside is right, one step outside is not."""

from __future__ import annotations

import pytest

from mlops.lint.cron import cron_problem
from mlops.lint.monitor import DURATION
from mlops.lint.schedule import check_schedule
from tests.unit.lint.one_edit import at


@pytest.mark.parametrize(
    "expression", ["0 3 * * *", "*/5 * * * *", "0-59/15 0,23 * * 0-6", "59 23 * * SAT", "0 0 * * mon-fri"]
)
def test_crontabs_that_azure_honours(expression):
    assert cron_problem(expression) == ""


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("60 3 * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 3 0 * *", "day of month"),
        ("0 3 32 * *", "day of month"),
        ("0 3 * 0 *", "the month"),
        ("0 3 * 13 *", "the month"),
        ("0 3 * * 7", "day of week"),
        ("0 3 * * fri-mon", "day of week"),
        ("0/0 3 * * *", "minute"),
        ("*-3 3 * * *", "minute"),
        ("0 x * * *", "hour"),
        ("0 3-x * * *", "hour"),
        ("0 3 * *", "five fields"),
        ("0 3 * * * *", "five fields"),
        ("0 3 1 * *", "ignores"),
        ("0 3 * 1 *", "ignores"),
        ("", "five fields"),
    ],
)
def test_crontabs_that_it_refuses_or_ignores(expression, why):
    assert why in cron_problem(expression)


@pytest.mark.parametrize(
    "name", ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
)
def test_months_have_names(name):
    assert cron_problem(f"0 3 * {name},{name.upper()} *", parts=False) == ""
    assert "the month" in cron_problem(f"0 3 * {name}x *", parts=False)
    assert "the hour" in cron_problem(f"0 {name} * * *", parts=False)


@pytest.mark.parametrize("name", ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])
def test_days_have_names(name):
    assert cron_problem(f"0 3 * * {name}-sat") == ""
    assert "day of week" in cron_problem(f"0 3 * * {name}x")


@pytest.mark.parametrize(
    ("expression", "right"),
    [
        ("0,59 0 * * *", True),
        ("0,60 0 * * *", False),
        ("60,0 0 * * *", False),
        ("0-0 0 * * *", True),
        ("1-0 0 * * *", False),
        ("*/1 0 * * *", True),
        ("*/0 0 * * *", False),
        ("0-10/5 0 * * *", True),
        ("-1 0 * * *", False),
        ("0 0 1 1 0", True),
        ("0 0 0 1 0", False),
        ("0 0 1 0 0", False),
        ("0 0 32 1 0", False),
        ("0 0 1 13 0", False),
        ("0 0 1 1 7", False),
        ("0 24 1 1 0", False),
        ("0 0 31 12 6", True),
        ("0 0 * mon *", False),
        ("0 0 * jan-mar *", True),
        ("0 0 * mar-jan *", False),
        ("0 0 * 1-mar *", True),
        ("0 0 * 4-mar *", False),
        ("* * * * *", True),
        ("*/5/5 * * * *", False),
    ],
)
def test_every_part_of_a_crontab(expression, right):
    assert (cron_problem(expression, parts=False) == "") is right


def test_a_compute_instance_honours_every_part():
    assert cron_problem("0 3 1 1 *", parts=False) == ""
    assert cron_problem("0 3 32 1 *", parts=False) != ""


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-01-01", "2026-01-02", []),
        ("2026-01-02", "2026-01-02", ["window trigger.end_time"]),
        ("2026-01-31", "2026-01-02", ["window trigger.end_time"]),
        ("2026-01-01T00:00:00", "2026-01-01", ["window trigger.end_time"]),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01", []),
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:01", []),  # in which zone is the end?
        ("'2026-01-01T00:00:02+01:00'", "'2026-01-01T00:00:01Z'", []),
        ("'2026-01-01T00:00:02+01:00'", "'2025-12-31T23:00:02Z'", ["window trigger.end_time"]),
        ("'2026-01-01'", "2026-02-01", []),
        ("soon", "later", ["window trigger.end_time", "window trigger.start_time"]),
        ("[]", "{}", []),
        ("2026-01-01", "", []),
    ],
)
def test_a_schedule_ends_after_it_starts(start, end, said, tmp_path):
    text = f"trigger: {{type: cron, start_time: {start}, end_time: {end}}}\ncreate_job: azureml:j:1"
    found = check_schedule(at(text, tmp_path))
    assert sorted(f"{f.id} {f.field}" for f in found) == said


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("P7D", True),
        ("P1M", True),
        ("PT12H", True),
        ("P1DT12H30M", True),
        ("P2W", True),
        ("PT0.5S", True),
        ("P", False),
        ("PT", False),
        ("P1DT", False),
        ("7D", False),
        ("P7", False),
        ("p7d", False),
        ("P-7D", False),
        ("7 days", False),
    ],
)
def test_durations(text, right):
    assert (DURATION.fullmatch(text) is not None) is right
