"""Wheels of the engine, built from the template's own packages: for a fork that nobody gave a source."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from mlops.errors import TargetError
from mlops.template import uv
from mlops.template.sources import PREFIX, Wheels, folder_of

_ENGINE = f"{PREFIX}engine"
_SECONDS = 300


def build(template: Path, source: Wheels) -> None:
    """Build what a fork depends on, from the template in `template`, into its folder of wheels.

    Raises `TargetError` where that cannot be done here.
    """
    into = template / source.folder
    for name in needed(template):
        words = ("build", "--quiet", "--wheel", "--out-dir", str(into), folder_of(name))
        code, said = uv.run(template, *words, seconds=_SECONDS)
        if code:
            raise TargetError(
                f"the wheel of {name} cannot be built here ({said}); put the wheels of the engine into "
                f"{source.folder}/, or say --engine git+URL of the template or index+URL of a package index"
            )
    (into / ".gitignore").unlink(missing_ok=True)


def needed(template: Path) -> list[str]:
    """The engine and the packages of the template that it depends on."""
    found: list[str] = []
    waiting = [_ENGINE]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.append(name)
        path = template / folder_of(name) / "pyproject.toml"
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        more = project.get("optional-dependencies", {}).values()
        for line in [*project.get("dependencies", []), *(line for lines in more for line in lines)]:
            if line.startswith(PREFIX):
                waiting.append(re.split(r"[^a-z0-9-]", line)[0])
    return sorted(found)
