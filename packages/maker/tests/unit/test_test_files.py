"""Test files without packages around them share one name space: of two of one name, pytest collects neither
together, and `make test` stops before its first test."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_every_test_file_has_a_name_of_its_own() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "packages").glob("*/tests/**/test_*.py")):
        if not (path.parent / "__init__.py").is_file():
            places[path.name].append(path.relative_to(ROOT).as_posix())
    assert len(places) > 100
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
