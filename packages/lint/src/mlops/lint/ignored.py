"""Whether what is not there comes later: git ignores it, a submodule brings it, a script makes it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pathspec

from mlops.lint.node import exists, is_file

_SCRIPTS = (".py", ".sh", ".ps1", ".ipynb", ".md", ".txt")
_LONGEST = 400_000
"""Characters of a script that are looked at."""
_TELLING = re.compile(r"[-_.]")
"""A name with one of these is not said by chance."""
_SHORT = 6


def comes_later(path: Path, named: str, file: Path) -> str:
    """Why the absent `path`, which `file` calls `named`, may come later; empty when nothing says so."""
    if git_ignores(path):
        return "git ignores it"
    if _in_submodule(path):
        return "it belongs to a submodule of git"
    maker = _maker(named, file)
    return f"{maker} speaks of it" if maker else ""


def command_gives(field: str, file: Path) -> str:
    """The script or page beside `file` that gives it a field by `--set field=…`; empty when none does."""
    given = re.compile(
        rf"(?<![\w.-]){re.escape(file.name)}(?![\w.-]).*--set\s.*(?<![\w.]){re.escape(field)}(?:\.[\w.]+)?="
    )
    for script in _scripts(file):
        lines = re.sub(r"[\\`]\s*\n", " ", _read(script)).splitlines()
        if any(given.search(line) for line in lines):
            return script.name
    return ""


def git_ignores(path: Path) -> bool:
    """Whether a `.gitignore` of the repository around `path` names it."""
    for folder, relative in _around(path):
        spec = _spec(folder / ".gitignore")
        if spec is not None and (spec.match_file(relative) or spec.match_file(f"{relative}/")):
            return True
    return False


def _around(path: Path) -> list[tuple[Path, str]]:
    """The folders around a path, up to the repository's, and how each calls it."""
    resolved = Path(os.path.abspath(path))  # noqa: PTH100 (resolve() raises for names that no file can have)
    folders = []
    for folder in resolved.parents:
        folders.append((folder, resolved.relative_to(folder).as_posix()))
        if exists(folder / ".git"):
            break
    return folders


def _in_submodule(path: Path) -> bool:
    for folder, relative in _around(path):
        text = _read(folder / ".gitmodules")
        for place in re.findall(r"^\s*path\s*=\s*(.+?)\s*$", text, re.MULTILINE):
            if relative == place or relative.startswith(f"{place}/"):
                return True
    return False


def _maker(named: str, file: Path) -> str:
    """The script or page beside `file` that speaks of the path; empty when none does."""
    text = named.removeprefix("file:").removeprefix("./").rstrip("/")
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    if not parts:
        return ""
    telling = {part for part in (parts[0], parts[-1]) if len(part) >= _SHORT and _TELLING.search(part)}
    names = {"/".join(parts), *telling} if len(parts) > 1 else telling
    if not names:
        # `data` may be any word: only as a path.
        pattern = rf"(?:\./{re.escape(text)}|['\"]{re.escape(text)}['\"]|\b{re.escape(text)}/)"
    else:
        words = "|".join(re.escape(name) for name in sorted(names))
        pattern = rf"(?<![\w-])(?:{words})(?![\w-])"
    spoken = re.compile(pattern)
    return next((script.name for script in _scripts(file) if spoken.search(_read(script))), "")


def _scripts(file: Path) -> list[Path]:
    """Scripts and pages beside a file."""
    try:
        beside = sorted(file.parent.iterdir())
    except OSError:
        return []
    return [path for path in beside if path.name.lower().endswith(_SCRIPTS) and is_file(path)]


def _read(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(_LONGEST)
    except OSError:
        return ""


def _spec(file: Path) -> pathspec.PathSpec[pathspec.Pattern] | None:
    text = _read(file)
    return pathspec.PathSpec.from_lines("gitignore", text.splitlines()) if text else None
