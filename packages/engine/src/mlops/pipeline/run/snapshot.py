"""The copy of a step's code, with what its component includes, as Azure ML would upload it."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from pathspec import PathSpec, Pattern

from mlops.errors import InvalidInput
from mlops.spec.digest import file_digest, tree_digest

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


def input_digest(path: Path) -> str:
    """Digest of a file or folder of the user's that a step reads; links are followed, as an upload does."""
    if path.is_file():
        return file_digest(path)
    files = [Path(parent, name) for parent, _, names in os.walk(path, followlinks=True) for name in names]
    return tree_digest(path, files)


def take_snapshot(folder: Path | None, to: Path, includes: Sequence[Path] = ()) -> None:
    """Copy the files that count from `folder` to `to`, which must not exist, and `includes` beside them.

    An include keeps its own name; `x.zip` that is a folder `x` is packed. Raises `InvalidInput` for one that
    is not there, or whose name the code has already.
    """
    to.mkdir(parents=True)
    if folder is not None:
        _copy_files(folder, to)
    for include in includes:
        target = to / include.name
        if target.exists():
            raise InvalidInput(
                f"additional_includes: {include} would replace {include.name} of the code; rename one of them"
            )
        if include.is_file():
            shutil.copy2(include, target)
        elif include.is_dir():
            target.mkdir()
            _copy_files(include, target)
        elif include.suffix == ".zip" and include.with_suffix("").is_dir():
            _pack(include.with_suffix(""), target)
        else:
            raise InvalidInput(f"additional_includes: {include} does not exist")


def _copy_files(folder: Path, to: Path) -> None:
    base = folder.parent if folder.is_file() else folder
    for file in [folder] if folder.is_file() else code_files(folder):
        target = to / file.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)


def _pack(folder: Path, to: Path) -> None:
    """The same content makes the same bytes, whenever it is packed."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in code_files(folder):
            archive.writestr(zipfile.ZipInfo(file.relative_to(folder).as_posix()), file.read_bytes())
