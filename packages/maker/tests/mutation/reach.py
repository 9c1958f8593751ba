"""Which lines each test runs, and how long it takes: known until the test or a source changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(".cache") / "mutants"
_FORM = 2
"""Of the file; another one is read as nothing."""


@dataclass
class Reached:
    """One test."""

    seconds: float
    lines: dict[str, str]
    """Of every file that decides: bit n of the hexadecimal number is line n."""

    def runs(self, path: str, lines: Iterable[int]) -> bool:
        found = self._of(path)
        return any(found >> line & 1 for line in lines)

    def count(self, path: str) -> int:
        """How many lines of the file it runs: the fewer, the more it is about one of them."""
        return self._of(path).bit_count()

    def _of(self, path: str) -> int:
        return int(self.lines.get(path, "0"), 16)


def bits(lines: Iterable[int]) -> str:
    """Numbers of lines as a hexadecimal number."""
    return f"{sum(1 << line for line in lines):x}"


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
            if raw.get("form") != _FORM:
                return self
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
        raw = {
            "form": _FORM,
            "sources": self._common,
            "imported": self.imported,
            "lazily": self.lazily,
            "found": found,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(raw), "utf-8")


def _digest(files: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for file in files:
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:20]


class Watch:
    """A tracer that notes which lines of some files are run."""

    def __init__(self, files: Iterable[str]) -> None:
        self.lines: set[tuple[str, int]] = set()
        self._notes = {file: self._note(file) for file in files}

    def __call__(self, frame: Any, event: str, _: object) -> Callable[..., Any] | None:
        return self._notes.get(frame.f_code.co_filename) if event == "call" else None

    def _note(self, file: str) -> Callable[..., Any]:
        def note(frame: Any, event: str, _: object) -> Callable[..., Any]:
            if event == "line":
                self.lines.add((file, frame.f_lineno))
            return note

        return note
