"""The environment files of a model: what they pin, and the same files with more.

Azure ML never changes a registered environment, so what holds more has another name.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mlops.errors import InvalidInput, Problem

PROJECT, _LOCK = "pyproject.toml", "uv.lock"
_TRAINS = ("mlops-training",)
_ANSWERS = (*_TRAINS, "mlops-serving", "mlops-batch")
"""Environments in which the model is loaded."""
_WATCHES = ("mlops-monitor",)
_CONTRACT = frozenset({"pillow"})
"""Groups that are needed wherever rows are checked and compared: where a model is monitored too."""
_NAME = re.compile(r"(?m)^name: (\S+)$")
_PIN = re.compile(r"(?m)^      - (?P<name>[A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==\S+\n")


def pins(root: Path, groups: Sequence[str]) -> dict[str, str]:
    """Version by name of each package that `groups` name, as the lock has it.

    Raises `InvalidInput` for a group or a package that is not there.
    """
    known = tomllib.loads((root / PROJECT).read_text(encoding="utf-8")).get("dependency-groups", {})
    lock = tomllib.loads((root / _LOCK).read_text(encoding="utf-8"))["package"]
    locked: dict[str, str] = {}
    for package in lock:
        # Where Python decides, the lock has several, in their order; the environments have the oldest Python.
        locked.setdefault(package["name"], str(package.get("version", "")))
    found: dict[str, str] = {}
    for group in groups:
        if group not in known:
            raise InvalidInput(
                Problem(PROJECT, "has no such group of dependencies; add it", f"dependency-groups.{group}")
            )
        for name in (re.split(r"[\[<>=!~; ]", word)[0] for word in known[group] if isinstance(word, str)):
            if name not in locked:
                raise InvalidInput(Problem(_LOCK, f"has no {name}; run: uv lock"))
            found[name] = locked[name]
    return found


def with_pins(text: str, groups: Sequence[str], more: Mapping[str, str], *, trains_only: bool = False) -> str:
    """A conda file or the environment that names it, with `more` packages and a name that says so.

    A file that loads no model stays as it is, and so does one that trains none with `trains_only`.
    """
    name = _NAME.search(text)
    wanted: tuple[str, ...] = _TRAINS if trains_only else _ANSWERS
    wanted += _WATCHES if _CONTRACT & set(groups) else ()
    if not groups or name is None or not name.group(1).startswith(wanted):
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


def with_groups(text: str, groups: Sequence[str], *, image: bool = True) -> str:
    """`pyproject.toml` whose image and whose set-up have `groups` too; every other byte stays."""
    for key in ("image", "default-groups") if image else ("default-groups",):
        found = re.search(rf"(?m)^{key} = \[(?P<names>[^\]]*)\]", text)
        missing = [g for g in groups if found is not None and f'"{g}"' not in found["names"]]
        if found is None or not missing:
            continue
        more = ", ".join(f'"{group}"' for group in missing)
        names = found["names"].rstrip()
        if "#" in names.rpartition("\n")[2]:
            # Behind a comment, on a line of its own: the comment is about its own line.
            end, more = found.start("names") + len(names), f"\n    {more},"
        else:
            end = found.start("names") + len(names)
            # One line, or lines that end with a comma.
            more = f"\n    {more}," if names.endswith(",") else f", {more}"
        text = text[:end] + more + text[end:]
    return text


def only_groups(text: str, optional: Iterable[str], used: Sequence[str]) -> str:
    """`pyproject.toml` that installs of the `optional` groups those that are `used`."""
    found = re.search(r"(?m)^default-groups = \[(?P<names>[^\]]*)\]", text)
    if found is None:
        return text
    names = found["names"]
    for group in sorted(set(optional) - set(used)):
        names = re.sub(rf'\s*"{re.escape(group)}",?', "", names)
    return text[: found.start("names")] + names + text[found.end("names") :]


def write_image(root: Path) -> bool:
    """Let container/requirements.txt follow; False where the fork has no image."""
    program = root / "container" / "build.py"
    if not program.is_file():
        return False
    done = subprocess.run(
        [sys.executable, str(program), "requirements"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise InvalidInput(Problem(str(program), f"cannot write the image's requirements: {last}"))
    return True
