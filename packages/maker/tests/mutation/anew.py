"""A run of tests in which one module is imported from another text: constants, classes, defaults."""

from __future__ import annotations

import importlib.abc
import importlib.util
import mmap
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.mutation.edits import Edit


@dataclass(frozen=True)
class Place:
    """A module of the repository."""

    root: Path
    path: str

    @property
    def file(self) -> Path:
        return self.root / self.path

    @property
    def module(self) -> str:
        inside = re.sub(r"^(packages/[^/]+/)?src/", "", self.path)
        return inside.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def options(root: Path) -> list[str]:
    slow = [HealthCheck.too_slow]
    settings.register_profile(
        "mutants", deadline=None, derandomize=True, database=None, suppress_health_check=slow
    )
    # A busy machine must not look like a test that noticed; pytest loads it after the one of all tests.
    plain = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", "--hypothesis-profile", "mutants"]
    return [*plain, "--rootdir", str(root), "-o", "timeout=0"]


def line_of(nodeid: str) -> str:
    return nodeid.replace("\t", " ").replace("\n", " ")


_FEW = 2
"""Test files of the first look: most edits are noticed by what noticed the last ones."""


def run_imported_anew(
    place: Place,
    tests: Sequence[str],
    edit: Edit,
    likely: Sequence[str],
    noticed: Noticed,
) -> int:
    """Files that noticed the last edits, then those that run the module, then all the others; the exit code
    of the first look that fails. To collect a folder takes longer than most edits live."""
    sys.meta_path.insert(0, _Exchanged(place, edit.source))
    files = [str(f.relative_to(place.root)) for t in tests for f in _files(place.root / t)]
    last = [f for f in dict.fromkeys(name.partition("::")[0] for name in noticed.names) if f in files]
    order = list(dict.fromkeys([*last[:_FEW], *(f for f in likely if f in files), *files]))
    looks = [order[:_FEW], order[_FEW : 3 * _FEW], order[3 * _FEW :]]
    # That plugin collects all garbage at the end, which takes longer than most runs.
    plain = [*options(place.root), "-p", "no:unraisableexception"]
    for look in looks:
        paths = [str(place.root / file) for file in look]
        code = int(pytest.main([*plain, *paths], plugins=[_Likeliest(noticed)])) if paths else 0
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return code
    return 0


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("test_*.py")) if path.is_dir() else [path]


class Noticed:
    """Which tests noticed earlier edits, the last one first. A fork leaves the name of its own there."""

    _LONGEST = 4000

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self.names: list[str] = []
        self.seconds = seconds
        self._last = mmap.mmap(-1, self._LONGEST)

    def leave(self, name: str) -> None:
        """In a fork."""
        self._last.seek(0)
        self._last.write(name.encode()[: self._LONGEST].ljust(self._LONGEST, b"\0"))

    def learn(self) -> None:
        """In the parent, when the fork has ended."""
        name = self._last[:].rstrip(b"\0").decode(errors="replace")
        if name:
            self.names = [name, *(n for n in self.names if n != name)]
        self.leave("")


class _Likeliest:
    """What noticed another edit first, then the shortest: most edits are noticed by one of these."""

    def __init__(self, noticed: Noticed) -> None:
        self.noticed = noticed
        self.place = {name: number for number, name in enumerate(noticed.names)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        names = {item: line_of(item.nodeid) for item in items}
        last = len(self.place)
        items.sort(key=lambda i: (self.place.get(names[i], last), self.noticed.seconds.get(names[i], 0.0)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.noticed.leave(line_of(report.nodeid))


class _Exchanged(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Loads one module from another text."""

    def __init__(self, place: Place, source: str) -> None:
        self.place, self.source = place, source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.place.module:
            return None
        package = self.place.file.name == "__init__.py"
        inner = [str(self.place.file.parent)] if package else None
        return importlib.util.spec_from_file_location(
            fullname, self.place.file, loader=self, submodule_search_locations=inner
        )

    def get_data(self, path: str) -> bytes:
        if path.endswith(".pyc"):
            raise OSError(path)
        return self.source.encode()

    def get_filename(self, fullname: str) -> str:
        return str(self.place.file)
