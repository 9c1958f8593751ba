"""Edits of TOML and YAML files that keep comments, order and every other byte."""

from __future__ import annotations

import re
from pathlib import Path


def rename_toml_key(path: Path, table: str, old: str, new: str) -> bool:
    """Rename `old` in every table whose name matches the pattern `table`; False when there is none.

    Raises nothing for a file that does not exist: a fork may have removed it.
    """
    if not path.is_file():
        return False
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    inside = changed = False
    for number, line in enumerate(lines):
        header = re.match(r"\s*\[\[?([^\]]+)\]\]?\s*(#.*)?$", line)
        if header:
            inside = re.fullmatch(table, header.group(1).strip()) is not None
        elif inside and (found := re.match(rf"(\s*){re.escape(old)}(\s*=)", line)):
            lines[number] = f"{found.group(1)}{new}{line[found.start(2) :]}"
            changed = True
    return _written(path, lines, changed)


def rename_yaml_key(path: Path, keys: tuple[str, ...], new: str) -> bool:
    """Rename the last of `keys`, a path of block mappings such as ("strategy", "canary"); False if absent."""
    if not path.is_file():
        return False
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    stack: list[tuple[int, str]] = []
    changed = False
    for number, line in enumerate(lines):
        found = re.match(r"( *)([\w.:/-]+?)(:(?:\s|$))", line)
        if not found:
            continue
        indent = len(found.group(1))
        stack = [entry for entry in stack if entry[0] < indent] + [(indent, found.group(2))]
        if tuple(key for _, key in stack) == keys:
            lines[number] = f"{found.group(1)}{new}{line[found.start(3) :]}"
            changed = True
    return _written(path, lines, changed)


def _written(path: Path, lines: list[str], changed: bool) -> bool:
    if changed:
        path.write_text("".join(lines), encoding="utf-8")
    return changed
