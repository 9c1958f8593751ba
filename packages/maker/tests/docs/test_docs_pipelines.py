"""docs/pipelines.md promises what runs here as on Azure ML: each promise has a test, each test a promise."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "pipelines.md"
TESTS = ROOT / "tests" / "processes" / "pipeline" / "test_as_on_azure.py"


def test_each_row_names_tests_that_exist_and_no_test_is_left_out() -> None:
    named = re.findall(r"\btest_\w+(?=[, ])", " ".join(re.findall(r"<!--(.*?)-->", PAGE.read_text("utf-8"))))
    there = re.findall(r"^def (test_\w+)", TESTS.read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(there)
