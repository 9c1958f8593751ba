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
_NEVER_FOLDERS = ("__pycache__", ".mlops")
"""Byte code, and what runs here leave behind: `code: .` would else copy every run into the next one."""


def code_files(folder: Path) -> list[Path]:
    """Files of a code folder that count, sorted: `.amlignore` decides, or `.gitignore` where there is none.

    Patterns are those of git (`!` takes one back). Byte code and the ignore files themselves never count.
    """
    return _kept(folder, [(folder, ignored(folder))])


Rules = Sequence[tuple[Path, PathSpec[Pattern]]]
"""Patterns with the folder that their paths begin at."""


def _kept(folder: Path, rules: Rules, *, nested: bool = False) -> list[Path]:
    """Files that no rule leaves out, sorted. `nested`: ignore files of the folders below count too."""
    kept: list[Path] = []
    below: dict[Path, Rules] = {folder: rules}
    for parent, folders, files in os.walk(folder):
        here = below[Path(parent)]
        folders[:] = [d for d in folders if d not in _NEVER_FOLDERS]
        for name in folders:
            inner = Path(parent, name)
            below[inner] = [*here, (inner, ignored(inner))] if nested else here
        kept += [Path(parent, name) for name in files if not _left_out(Path(parent, name), here)]
    return sorted(kept)


def _left_out(file: Path, rules: Rules) -> bool:
    if file.name.endswith(_NEVER):
        return True
    return any(spec.match_file(file.relative_to(base).as_posix()) for base, spec in rules)


def ignored(folder: Path) -> PathSpec[Pattern]:
    """What the ignore file of a folder leaves out."""
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

    An include keeps its own name; `x.zip` that is a folder `x` is packed. As on Azure ML, the ignore file of
    the code counts for includes as if they lay in it, and so do ignore files inside of what is copied. Raises
    `InvalidInput` for an include that is not there, or whose name the code has already.
    """
    to.mkdir(parents=True)
    own = ignored(folder) if folder is not None and folder.is_dir() else PathSpec[Pattern]([])
    if folder is not None:
        _copy_files(folder, to, [(folder, own)], nested=bool(includes))
    for include in includes:
        rules = [(include.parent, own)]
        target = to / include.name
        if target.exists():
            raise InvalidInput(
                f"additional_includes: {include} would replace {include.name} of the code; rename one of them"
            )
        if include.is_file():
            if not _left_out(include, rules):
                shutil.copy2(include, target)
        elif include.is_dir():
            _copy_files(include, target, [*rules, (include, ignored(include))], nested=True)
        elif include.suffix == ".zip" and (packed := include.with_suffix("")).is_dir():
            _pack(packed, target, [*rules, (packed, ignored(packed))])
        else:
            raise InvalidInput(f"additional_includes: {include} does not exist")


def _copy_files(folder: Path, to: Path, rules: Rules, *, nested: bool) -> None:
    base = folder.parent if folder.is_file() else folder
    for file in [folder] if folder.is_file() else _kept(folder, rules, nested=nested):
        target = to / file.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)


def _pack(folder: Path, to: Path, rules: Rules) -> None:
    """The folder itself is the first part of every name. The same content makes the same bytes."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in _kept(folder, rules):
            archive.writestr(zipfile.ZipInfo(file.relative_to(folder.parent).as_posix()), file.read_bytes())
