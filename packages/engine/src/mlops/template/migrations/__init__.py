"""Changes of files that the fork owns, which no merge may make: one module a change.

A module is called `v<major>_<minor>_<patch>_<what>.py`, after the version of the template that needs the new
form, and has

    WHAT: str                        a sentence for the pull request
    def migrate(root: Path) -> bool  does it; False when there was nothing to do

It runs on the merged files of a fork that comes from an older version, in the order of versions and names. It
must be idempotent, must keep comments (`mlops.template.migrations.edit`), and must leave alone what it does
not know.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import InvalidInput

_NAME = re.compile(r"v(\d+)_(\d+)_(\d+)_\w+")


@dataclass(frozen=True)
class Migration:
    """One change; `version` is the first that needs it."""

    version: tuple[int, ...]
    name: str
    what: str
    run: Callable[[Path], bool]


def migrations() -> list[Migration]:
    """All that this version of the template knows, in order."""
    known = []
    for info in pkgutil.iter_modules(__path__):
        named = _NAME.fullmatch(info.name)
        if named is None:
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        version = tuple(int(part) for part in named.groups())
        known.append(Migration(version, info.name, module.WHAT, module.migrate))
    return sorted(known, key=lambda m: (m.version, m.name))


def migrate(root: Path, since: str) -> list[str]:
    """Bring the fork's files in `root` from version `since` to this one; sentences of what was done."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", since):
        raise InvalidInput(f"{since!r} is no version such as 0.1.0")
    start = tuple(int(part) for part in since.split("."))
    return [m.what for m in migrations() if m.version > start and m.run(root)]
