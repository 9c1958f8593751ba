"""Which functions each test reaches, and how long it takes: known until the test or a source changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Any

FOLDER = Path(".cache") / "mutants"


@dataclass
class Reached:
    """One test."""

    seconds: float
    functions: dict[str, list[str]]
    """Qualified names by file, for every file that decides."""

    def reaches(self, path: str, function: str) -> bool:
        return function in self.functions.get(path, ())


@dataclass
class Reach:
    """What is known of all tests, below `.cache/mutants`."""

    root: Path
    found: dict[str, dict[str, Reached]] = field(default_factory=dict)
    """By a digest of the test's file and all that it may use; then by test."""
    imported: dict[str, list[list[str]]] = field(default_factory=dict)
    """File and name of the functions that an import of these tests calls."""
    lazily: dict[str, list[str]] = field(default_factory=dict)
    """Modules of others that these tests import while they run."""
    _keys: dict[Path, str] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path) -> Reach:
        self = cls(root)
        if self._path.exists():
            raw = json.loads(self._path.read_text("utf-8"))
            self.found = {
                key: {name: Reached(**one) for name, one in tests.items()}
                for key, tests in raw["found"].items()
            }
            self.lazily = raw.get("lazily", {})
            if raw["sources"] == self._common:
                self.imported = raw["imported"]
        return self

    @property
    def _path(self) -> Path:
        return self.root / FOLDER / "reach.json"

    @cached_property
    def _common(self) -> str:
        files = [*self.root.glob("packages/*/src/**/*.py"), *self.root.glob("src/**/*.py")]
        files += self.root.glob("packages/*/tests/worlds/*.py")
        return _digest(sorted(files))

    def key(self, file: Path) -> str:
        """Names what tests of a file depend on: itself, its neighbours that are no tests, and our sources."""
        if file not in self._keys:
            self._keys[file] = f"{self._common}-{self._own(file)}"
        return self._keys[file]

    def _own(self, file: Path) -> str:
        beside = [p for p in file.parent.glob("*.py") if not p.name.startswith("test_")]
        return _digest([file, *sorted(beside)])

    def known(self, file: Path, name: str) -> Reached | None:
        return self.found.get(self.key(file), {}).get(name)

    def put(self, file: Path, name: str, reached: Reached) -> None:
        self.found.setdefault(self.key(file), {})[name] = reached

    def save(self) -> None:
        """Keep what belongs to the sources as they are."""
        kept = {key: tests for key, tests in self.found.items() if key.startswith(self._common)}
        found = {key: {name: vars(one) for name, one in tests.items()} for key, tests in kept.items()}
        raw = {"sources": self._common, "imported": self.imported, "lazily": self.lazily, "found": found}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(raw), "utf-8")


def _digest(files: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for file in files:
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:20]


class Watch:
    """A tracer that notes which functions of some files are called."""

    def __init__(self, tops: dict[str, dict[int, str]]) -> None:
        self.names: set[tuple[str, str]] = set()
        self._tops = tops
        self._known: dict[int, tuple[str, str] | None] = {}
        self._alive: list[CodeType] = []  # an id names a thing only while it lives

    def __call__(self, frame: Any, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        number = id(code)
        if number not in self._known:
            lines = self._tops.get(code.co_filename)
            top = lines.get(code.co_firstlineno, "") if lines is not None else None
            self._known[number] = None if top is None else (code.co_filename, top)
            self._alive.append(code)
        if (name := self._known[number]) is not None:
            self.names.add(name)
