"""Wheels of the engine, built from the template's own packages: for a fork that nobody gave a source."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

from mlops.errors import TargetError
from mlops.template import uv
from mlops.template.sources import PREFIX, folder_of

PACKAGES = "packages"
"""Where the template has them."""
_ENGINE = f"{PREFIX}engine"
_SECONDS = 300


def build(template: Path, into: Path) -> None:
    """Build what a fork depends on, from the packages of `template`, into the folder `into`.

    With the build backend of this environment where it has one, so that no network is needed. Raises
    `TargetError` where that cannot be done here.
    """
    alone = ("--no-build-isolation", "--python", sys.executable) if find_spec("hatchling") else ()
    for name in needed(template):
        words = ("build", "--quiet", "--wheel", *alone, "--out-dir", str(into), folder_of(name))
        code, said = uv.run(template, *words, seconds=_SECONDS)
        if code:
            raise TargetError(
                f"the wheel of {name} cannot be built here ({said}); put the wheels of the engine into "
                f"{into.name}/, or say --engine git+URL of the template or index+URL of a package index"
            )
    (into / ".gitignore").unlink(missing_ok=True)


def needed(template: Path) -> list[str]:
    """The engine and the packages of the template that it depends on."""
    packages: list[str] = []
    waiting = [_ENGINE]
    while waiting:
        name = waiting.pop()
        if name in packages:
            continue
        packages.append(name)
        path = template / folder_of(name) / "pyproject.toml"
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        more = project.get("optional-dependencies", {}).values()
        for line in [*project.get("dependencies", []), *(line for lines in more for line in lines)]:
            if line.startswith(PREFIX):
                waiting.append(re.split(r"[^a-z0-9-]", line)[0])
    return sorted(packages)
