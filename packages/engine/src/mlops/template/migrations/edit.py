"""Edits of TOML and YAML files that keep comments, order and every other byte."""

from __future__ import annotations

import re
from pathlib import Path

from mlops.spec import writing
from mlops.spec._edit import Editor


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
        elif inside and (match := re.match(rf"(\s*){re.escape(old)}(\s*=)", line)):
            lines[number] = f"{match.group(1)}{new}{line[match.start(2) :]}"
            changed = True
    return _written(path, "".join(lines), changed)


def rename_yaml_key(path: Path, keys: tuple[str, ...], new: str) -> bool:
    """Rename the last of `keys`, a path of fields such as ("strategy", "canary"); False if absent."""
    if not path.is_file():
        return False
    before = path.read_text(encoding="utf-8")
    editor = Editor(before, str(path))
    editor.rename(keys, new)
    return _written(path, editor.text, editor.text != before)


def _written(path: Path, text: str, changed: bool) -> bool:
    if changed:
        writing.write(path, text)
    return changed
