"""The copy of a code folder that a step runs in, as Azure ML would upload it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pathspec import PathSpec, Pattern

from mlops.spec.digest import tree_digest

_NEVER = (".pyc", ".amlignore", ".gitignore")


def code_files(folder: Path) -> list[Path]:
    """Files of a code folder that count, sorted: `.amlignore` decides, or `.gitignore` where there is none.

    Patterns are those of git (`!` takes one back). Byte code and the ignore files themselves never count.
    """
    spec = _ignored(folder)
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [d for d in folders if d != "__pycache__"]
        for name in files:
            file = Path(parent, name)
            if not name.endswith(_NEVER) and not spec.match_file(file.relative_to(folder).as_posix()):
                found.append(file)
    return sorted(found)


def _ignored(folder: Path) -> PathSpec[Pattern]:
    for name in (".amlignore", ".gitignore"):
        file = folder / name
        if file.is_file():
            return PathSpec.from_lines("gitignore", file.read_text(encoding="utf-8").splitlines())
    return PathSpec[Pattern]([])


def code_digest(folder: Path) -> str:
    """Digest of what a snapshot of `folder` would contain; of the one file when it is a file."""
    if folder.is_file():
        return tree_digest(folder.parent, [folder])
    return tree_digest(folder, code_files(folder))


def take_snapshot(folder: Path, to: Path) -> None:
    """Copy the files that count from `folder` to `to`, which must not exist."""
    to.mkdir(parents=True)
    files = [folder] if folder.is_file() else code_files(folder)
    base = folder.parent if folder.is_file() else folder
    for file in files:
        target = to / file.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
