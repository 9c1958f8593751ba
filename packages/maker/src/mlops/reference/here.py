"""The table of docs/pipelines.md: what runs here as on Azure ML, row by row what a test proves.

A row is a mark on a test (`@shows(part, azure=…, here=…)`), so none can outlive its test.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

from mlops.reference.lint import between
from mlops.reference.markdown import table

PAGE = "docs/pipelines.md"
TESTS = "packages/engine/tests/processes/pipeline"
MARK = "shows"


@dataclass
class Row:
    """A part of a file, what both sides do with it, and the tests that say so."""

    part: str
    azure: str = ""
    here: str = ""
    tests: list[str] = field(default_factory=list)


def rows(root: Path) -> list[Row]:
    """In the order of the tests. Raises `ValueError` for a row that no test describes."""
    by_part: dict[str, Row] = {}
    for path in sorted((root / TESTS).glob("test_*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for test in (item for item in body if isinstance(item, ast.FunctionDef)):
            for mark in test.decorator_list:
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == MARK:
                    part = ast.literal_eval(mark.args[0])
                    row = by_part.setdefault(part, Row(part))
                    said = {str(word.arg): ast.literal_eval(word.value) for word in mark.keywords}
                    row.azure, row.here = said.get("azure", row.azure), said.get("here", row.here)
                    row.tests.append(f"{path.name}::{test.name}")
    if bare := [row.part for row in by_part.values() if not row.azure or not row.here]:
        raise ValueError(f"no test says what both sides do with: {', '.join(bare)}")
    return list(by_part.values())


def page(root: Path) -> str:
    """docs/pipelines.md with the rows as the tests have them; empty where there is no page."""
    path = root / PAGE
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = [[row.part, row.azure, row.here] for row in rows(root)]
    return between(text, "rows", table(["of a file", "on Azure ML", "here"], lines))
