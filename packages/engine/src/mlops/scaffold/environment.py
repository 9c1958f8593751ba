"""The environments of a model whose library not every fork installs: the same files with more pins.

Azure ML never changes a registered environment, so what holds more has another name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlops.errors import InvalidInput, Problem

_PROJECT, _LOCK = "pyproject.toml", "uv.lock"
_ANSWERS = ("mlops-training", "mlops-serving", "mlops-batch")
"""Environments in which the model is loaded."""
_NAME = re.compile(r"(?m)^name: (\S+)$")
_PIN = re.compile(r"(?m)^      - (?P<name>[A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==\S+\n")


def pins(root: Path, groups: Sequence[str]) -> dict[str, str]:
    """Version by name of each package that `groups` name, as the lock has it.

    Raises `InvalidInput` for a group or a package that is not there.
    """
    known = tomllib.loads((root / _PROJECT).read_text(encoding="utf-8")).get("dependency-groups", {})
    lock = tomllib.loads((root / _LOCK).read_text(encoding="utf-8"))["package"]
    locked: dict[str, str] = {}
    for package in lock:
        # Where Python decides, the lock has several, in their order; the environments have the oldest Python.
        locked.setdefault(package["name"], str(package.get("version", "")))
    found: dict[str, str] = {}
    for group in groups:
        if group not in known:
            raise InvalidInput(
                Problem(_PROJECT, "has no such group of dependencies; add it", f"dependency-groups.{group}")
            )
        for name in (re.split(r"[\[<>=!~; ]", word)[0] for word in known[group] if isinstance(word, str)):
            if name not in locked:
                raise InvalidInput(Problem(_LOCK, f"has no {name}; run: uv lock"))
            found[name] = locked[name]
    return found


def with_pins(text: str, groups: Sequence[str], more: Mapping[str, str]) -> str:
    """A conda file or the environment that names it, with `more` packages and a name that says so.

    A file that loads no model stays as it is.
    """
    name = _NAME.search(text)
    if not groups or name is None or not loads_the_model(text):
        return text
    missing = [group for group in groups if group not in name.group(1).split("-")]
    if not missing:
        return text
    text = text.replace(name.group(), f"name: {'-'.join([name.group(1), *missing])}", 1)
    return add_pins(text, more)


def loads_the_model(text: str) -> bool:
    """Whether a conda file, or the environment that names it, is one in which the model is loaded."""
    name = _NAME.search(text)
    return name is not None and name.group(1).startswith(_ANSWERS)


def names(text: str) -> list[str]:
    """Packages that a conda file pins."""
    return [found["name"] for found in _PIN.finditer(text)]


def add_pins(text: str, more: Mapping[str, str]) -> str:
    """A conda file with `more` packages, in the order of the alphabet."""
    lines = {found["name"].lower(): found.group() for found in _PIN.finditer(text)}
    if not lines:
        return text
    first = text.index(next(iter(lines.values())))
    lines |= {package: f"      - {package}=={version}\n" for package, version in more.items()}
    return text[:first] + "".join(lines[package] for package in sorted(lines)) + _PIN.sub("", text[first:])
