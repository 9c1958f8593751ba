"""The environment files of a model: what they pin, and the same files with more.

Azure ML never changes a registered environment, so what holds more has another name.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.lifecycle.desired import lockfile

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
    lock = lockfile.read(root)["package"]
    locked: dict[str, str] = {}
    for package in lock:
        # Where Python decides, the lock has several, in their order; the environments have the oldest Python.
        locked.setdefault(package["name"], str(package.get("version", "")))
    versions: dict[str, str] = {}
    for group in groups:
        if group not in known:
            raise InvalidInput(
                Problem(PROJECT, "has no such group of dependencies; add it", f"dependency-groups.{group}")
            )
        for name in (re.split(r"[\[<>=!~; ]", word)[0] for word in known[group] if isinstance(word, str)):
            if name not in locked:
                raise InvalidInput(Problem(_LOCK, f"has no {name}; run: uv lock"))
            versions[name] = locked[name]
    return versions


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


def named(text: str, model: str) -> str:
    """The same file, with the model in its environment's name."""
    name = _NAME.search(text)
    if name is None or name.group(1).endswith(f"-{model}"):
        return text
    return text.replace(name.group(), f"name: {name.group(1)}-{model}", 1)


def plain(text: str, root: Path, model: str, optional: Sequence[str]) -> str:
    """A conda file of `model`, or the environment that names it, as it was before the model's own packages
    and those of the `optional` groups came in: what another model starts from."""
    name, known = _NAME.search(text), (*_ANSWERS, *_WATCHES)
    if name is None or not name.group(1).startswith(known):
        return text
    groups = tomllib.loads((root / PROJECT).read_text(encoding="utf-8")).get("dependency-groups", {})
    own = name.group(1).removesuffix(f"-{model}")
    base = next(word for word in known if own.startswith(word))
    taken = [group for group in optional if group in own.removeprefix(base).split("-")]
    text = text.replace(name.group(), f"name: {base}", 1)
    more = [group for group in [model, *taken] if group in groups]
    gone = {package.lower() for package in pins(root, more)} - _everywhere(root)
    return _PIN.sub(lambda found: "" if found["name"].lower() in gone else found.group(), text)


def _everywhere(root: Path) -> set[str]:
    """Packages that the engine brings into every environment."""
    lock = lockfile.read(root)["package"]
    packages = set()
    for package in (p for p in lock if str(p["name"]).startswith("gitops-ml-")):
        for lines in (package.get("dependencies", []), *package.get("optional-dependencies", {}).values()):
            packages |= {str(line["name"]).lower() for line in lines}
    return packages


def loads_the_model(text: str) -> bool:
    """Whether a conda file, or the environment that names it, is one in which the model is loaded."""
    name = _NAME.search(text)
    return name is not None and name.group(1).startswith(_ANSWERS)


def names(text: str) -> list[str]:
    """Packages that a conda file pins."""
    return [pin["name"] for pin in _PIN.finditer(text)]


def add_pins(text: str, more: Mapping[str, str]) -> str:
    """A conda file with `more` packages, in the order of the alphabet."""
    lines = {pin["name"].lower(): pin.group() for pin in _PIN.finditer(text)}
    if not lines:
        return text
    first = text.index(next(iter(lines.values())))
    lines |= {package: f"      - {package}=={version}\n" for package, version in more.items()}
    return text[:first] + "".join(lines[package] for package in sorted(lines)) + _PIN.sub("", text[first:])


def install(root: Path, groups: Sequence[str], *, image: bool = True) -> list[str]:
    """Let the image and the set-up have `groups` too; the files that changed.

    The lock names the groups that are installed, so it changes with its project, and needs no index for that.
    """
    project, lock = root / PROJECT, root / _LOCK
    text = project.read_text(encoding="utf-8")
    new = with_groups(text, groups, image=image)
    if new == text:
        return []
    project.write_text(new, encoding="utf-8")
    if not lock.is_file():
        return [PROJECT]
    installed = sorted(tomllib.loads(new).get("tool", {}).get("uv", {}).get("default-groups", []))
    line = f"default-groups = [{', '.join(json.dumps(group) for group in installed)}]"
    before = lock.read_text(encoding="utf-8")
    after = re.sub(r"(?m)^default-groups = \[[^\]]*\]$", lambda _: line, before, count=1)
    lock.write_text(after, encoding="utf-8")
    return [PROJECT, *([_LOCK] if after != before else [])]


def with_groups(text: str, groups: Sequence[str], *, image: bool = True) -> str:
    """`pyproject.toml` whose image and whose set-up have `groups` too; every other byte stays."""
    for key in ("image", "default-groups") if image else ("default-groups",):
        match = re.search(rf"(?m)^{key} = \[(?P<names>[^\]]*)\]", text)
        missing = [g for g in groups if match is not None and f'"{g}"' not in match["names"]]
        if match is None or not missing:
            continue
        more = ", ".join(f'"{group}"' for group in missing)
        names = match["names"].rstrip()
        end = match.start("names") + len(names)
        # A list of lines, or a comment at the end that is about its own line: then on a line of its own.
        alone = names.endswith(",") or "#" in names.rpartition("\n")[2]
        more = f"\n    {more}," if alone else f", {more}"
        text = text[:end] + more + text[end:]
    return text


def only_groups(text: str, optional: Iterable[str], used: Sequence[str]) -> str:
    """`pyproject.toml` that installs of the `optional` groups those that are `used`."""
    match = re.search(r"(?m)^default-groups = \[(?P<names>[^\]]*)\]", text)
    if match is None:
        return text
    names = match["names"]
    for group in sorted(set(optional) - set(used)):
        names = re.sub(rf'\s*"{re.escape(group)}",?', "", names)
    return text[: match.start("names")] + names + text[match.end("names") :]


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
