"""Which packages a repository locks, in every file that does. Pure, but for reading them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mlops.errors import InvalidInput, Problem
from mlops.spec._yaml import Document, read_text

_PINNED = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*===?\s*([^\s;#\\]+)")
_COMMENT = re.compile(r"^\s*(#|$|--hash|-r\b|-c\b|--)")
FILES = "uv.lock, *requirements*.txt and conda*.yml"


class Pin(NamedTuple):
    """A package of an index, at one version."""

    name: str
    version: str


def locks(names: Iterable[str]) -> list[str]:
    """Those of a repository's files that lock packages."""
    return sorted(name for name in names if _reader(PurePosixPath(name).name) is not None)


def pins(root: Path, name: str) -> tuple[list[Pin], list[Problem]]:
    """The packages of a file, and the lines that could be any version, which nobody can judge."""
    read = _reader(PurePosixPath(name).name)
    if read is None:
        raise InvalidInput(f"{name} locks no packages; known: {FILES}")
    locked, problems = set[Pin](), []
    for entry in read(read_text(root / name, name), name):
        if isinstance(entry, Pin):
            locked.add(Pin(normal(entry.name), entry.version))
        else:
            problems.append(entry)
    return sorted(locked), problems


def normal(name: str) -> str:
    """As indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _reader(file: str) -> Any:
    if file == "uv.lock":
        return _lock
    if file.endswith(".txt") and "requirements" in file:
        return _requirements
    if file.startswith("conda") and file.endswith((".yml", ".yaml")):
        return _conda
    return None


def _lock(text: str, name: str) -> Iterator[Pin | Problem]:
    try:
        packages = tomllib.loads(text).get("package", [])
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(Problem(name, f"not valid TOML: {error}")) from None
    for package in packages:
        if "registry" in package.get("source", {}):
            yield Pin(package["name"], package["version"])


def _requirements(text: str, name: str) -> Iterator[Pin | Problem]:
    for number, line in enumerate(text.splitlines(), start=1):
        if pin := _PINNED.match(line):
            yield Pin(*pin.groups())
        elif not _COMMENT.match(line):
            yield _loose(f"{name}:{number}", line.strip())


def _conda(text: str, name: str) -> Iterator[Pin | Problem]:
    """What pip installs. Packages of conda's own channels have no advisories by their names."""
    content = Document(text, name).value
    listed = content.get("dependencies", []) if isinstance(content, dict) else []
    for part in listed if isinstance(listed, list) else []:
        inner = part.get("pip") if isinstance(part, dict) else None
        for line in inner if isinstance(inner, list) else ():
            pinned = _PINNED.match(str(line))
            yield Pin(*pinned.groups()) if pinned else _loose(name, str(line))


def _loose(where: str, line: str) -> Problem:
    return Problem(
        where, f"{line!r} names no one version, so nobody can say what is known against it; pin it"
    )
