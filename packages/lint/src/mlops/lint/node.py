"""A place in a YAML file: its value, its line, and questions that have an answer whatever stands there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.lint.finding import Finding
from mlops.spec._yaml import Document

Loc = tuple[str | int, ...]
MAX_DEPTH = 60


@dataclass(frozen=True)
class At:
    """The value at `loc` of a file. Nothing here raises: a wrong type is an empty answer, and told once."""

    document: Document
    path: Path
    loc: Loc
    value: Any
    there: bool = True

    def __getitem__(self, key: str) -> At:
        if isinstance(self.value, dict) and key in self.value:
            return At(self.document, self.path, (*self.loc, key), self.value[key])
        return At(self.document, self.path, (*self.loc, key), None, there=False)

    def at(self, *keys: str) -> At:
        """Several steps down."""
        place = self
        for key in keys:
            place = place[key]
        return place

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def fields(self) -> Iterator[tuple[str, At]]:
        """The entries of a mapping; none when it is something else."""
        for key, value in self.value.items() if isinstance(self.value, dict) else ():
            yield str(key), At(self.document, self.path, (*self.loc, str(key)), value)

    def elements(self) -> Iterator[At]:
        """The elements of a list; none when it is something else."""
        for index, value in enumerate(self.value) if isinstance(self.value, list) else ():
            yield At(self.document, self.path, (*self.loc, index), value)

    @property
    def text(self) -> str | None:
        """The text, or None."""
        return self.value if isinstance(self.value, str) else None

    @property
    def number(self) -> float | None:
        """The number, also when it is written as text; None for anything else, `true` included."""
        return number_of(self.value)

    @property
    def whole(self) -> int | None:
        """The whole number, or None."""
        number = self.number
        return int(number) if number is not None and number == int(number) else None

    @property
    def word(self) -> str:
        """The text in small letters; empty when there is none."""
        return self.value.strip().lower() if isinstance(self.value, str) else ""

    def names(self) -> list[str]:
        """The keys of a mapping."""
        return [str(key) for key in self.value] if isinstance(self.value, dict) else []

    def says(self, rule: str, message: str) -> Finding:
        """A finding at this place."""
        return Finding(rule, self.document.name, self.document.line(self.loc), dotted(self.loc), message)

    def beside(self, reference: str) -> Path:
        """A path that the file names, relative to it."""
        return Path(os.path.normpath(self.path.parent / reference))


def exists(path: Path) -> bool:
    """Whether there is anything; a name that no file can have is not there."""
    return os.path.exists(path)  # noqa: PTH110 (Path.exists raises for names that are too long)


def is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112


def number_of(value: Any) -> float | None:
    """A finite number, also when it is written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def dotted(loc: Loc) -> str:
    """`jobs.train.inputs.rows` of a place."""
    return ".".join(str(part) for part in loc)


def shown(path: Path) -> str:
    """`path` as findings call it: relative to the working directory when that is shorter."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def texts(place: At) -> Iterator[At]:
    """Every text below a place, each alias once."""
    seen: set[int] = set()
    waiting = [place]
    while waiting:
        waiting_place = waiting.pop()
        if isinstance(waiting_place.value, str):
            yield waiting_place
        elif id(waiting_place.value) not in seen and len(waiting_place.loc) < MAX_DEPTH:
            seen.add(id(waiting_place.value))
            waiting += [inner for _, inner in waiting_place.fields()]
            waiting += list(waiting_place.elements())
