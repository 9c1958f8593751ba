"""A row of the threat model that names a test which does not exist promises what nobody holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_pages import ROOT

PAGE = ROOT / "docs" / "threat-model.md"
_DEFINED = re.compile(r"^ *def (test_\w+)", re.MULTILINE)
_ROW = re.compile(r"^\| .*\| `(test_\w+)` \|$", re.MULTILINE)


def defined(folder: Path) -> set[str]:
    """By the tests of the repository and of each package."""
    places = [folder / "tests", *folder.glob("packages/*/tests")]
    files = [path for place in places for path in place.rglob("test_*.py")]
    return {name for path in files for name in _DEFINED.findall(path.read_text("utf-8"))}


TABLES = ("Threats", "Held by a test")


def held(text: str, title: str) -> list[str]:
    """The test that each row of a table names; raises `ValueError` for a row without one."""
    table = text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    named = _ROW.findall(table)
    if len(named) != len(rows):
        raise ValueError(f"{len(rows) - len(named)} rows name no test")
    return named


@pytest.mark.parametrize("title", TABLES)
def test_each_row_names_a_test_that_exists(title: str) -> None:
    named = held(PAGE.read_text(encoding="utf-8"), title)
    assert len(named) >= 16
    assert sorted(set(named) - defined(ROOT)) == []


def test_a_row_without_a_test_and_a_test_that_is_gone_are_found() -> None:
    gone = "_".join(("test", "that", "was", "never", "written"))
    page = f"## Held by a test\n\n| a | b |\n|---|---|\n| x | `{gone}` |\n"
    (name,) = held(page, TABLES[1])
    assert name not in defined(ROOT)
    try:
        held(page.replace("`", ""), TABLES[1])
    except ValueError as error:
        assert "1 rows" in str(error)
    else:
        raise AssertionError("a row without a test was not found")
