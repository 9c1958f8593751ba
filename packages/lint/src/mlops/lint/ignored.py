"""Whether git ignores a path: what is not there may then be made later, by a step or by a person."""

from __future__ import annotations

import os
from pathlib import Path

import pathspec

from mlops.lint.node import exists


def git_ignores(path: Path) -> bool:
    """Whether a `.gitignore` of the repository around `path` names it."""
    resolved = Path(os.path.abspath(path))  # noqa: PTH100 (resolve() raises for names that no file can have)
    for folder in resolved.parents:
        relative = resolved.relative_to(folder).as_posix()
        spec = _spec(folder / ".gitignore")
        if spec is not None and (spec.match_file(relative) or spec.match_file(f"{relative}/")):
            return True
        if exists(folder / ".git"):
            break
    return False


def _spec(file: Path) -> pathspec.PathSpec[pathspec.Pattern] | None:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return pathspec.PathSpec.from_lines("gitwildmatch", lines)
