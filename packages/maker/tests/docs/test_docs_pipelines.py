"""docs/pipelines.md promises what runs here as on Azure ML; each promise is the mark of a test.
A promise that no test keeps is worse than none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlops.reference.here import PAGE, page, rows

ROOT = Path(__file__).parents[4]
WHOLE = sorted((ROOT / "packages/engine/tests/processes/pipeline").glob("test_*as_on_azure.py"))


def test_the_page_is_what_the_tests_prove() -> None:
    assert (ROOT / PAGE).read_text("utf-8") == page(ROOT), "run: make reference"


def test_no_test_of_the_promises_is_without_a_row() -> None:
    named = {name for row in rows(ROOT) for name in row.tests}
    there = {
        f"{path.name}::{n}"
        for path in WHOLE
        for n in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert len(there) > 30
    assert there - named == set()


def test_a_row_that_nobody_describes_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "packages/engine/tests/processes/pipeline"
    folder.mkdir(parents=True)
    (folder / "test_a.py").write_text("@shows('code', here='kept')\ndef test_b(): ...\n")
    with pytest.raises(ValueError, match="no test says what both sides do with: code"):
        rows(tmp_path)
