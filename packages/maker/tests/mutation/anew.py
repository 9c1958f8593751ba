"""A run of tests in which one module is imported from another text: constants, classes, defaults."""

from __future__ import annotations

import importlib.abc
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

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
    settings.register_profile("mutants", deadline=None, derandomize=True, database=None)
    settings.load_profile("mutants")  # a busy machine must not look like a test that noticed
    plain = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    return [*plain, "--rootdir", str(root), "-o", "timeout=0"]


def line_of(nodeid: str) -> str:
    return nodeid.replace("\t", " ").replace("\n", " ")


def run_imported_anew(place: Place, tests: Sequence[str], edit: Edit, seconds: Mapping[str, float]) -> int:
    sys.meta_path.insert(0, _Exchanged(place, edit.source))
    paths = [str(place.root / test) for test in tests]
    return int(pytest.main([*options(place.root), *paths], plugins=[_ShortestFirst(seconds)]))


class _ShortestFirst:
    """Most edits are noticed by a short test."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self.seconds = seconds

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self.seconds.get(line_of(item.nodeid), 0.0))


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
