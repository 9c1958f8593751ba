"""Edits of `environments/<env>/<model>.yaml`: only the fields that a move changes, every other byte stays.

A person owns these files: their comments, order and strategy survive, so that the diff a reviewer sees is
the decision and nothing else.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Final, Literal

from mlops.spec import writing
from mlops.spec._edit import Editor
from mlops.spec._yaml import Document
from mlops.spec.desired import Bypass, DesiredState, Hold


class _Keep(Enum):
    KEEP = "keep"


KEEP: Final = _Keep.KEEP
"""Leave the field of the file as it is."""

_NEW = """\
# yaml-language-server: $schema=../../docs/schemas/desired.json
# What is served here. Change `release` by a pull request; review is the approval.
release: {release}
replaces: {replaces}
strategy: {{canary: [10, 50, 100], analysis: 60s, max_error_rate: 0.01, max_latency_p99_ratio: 1.5}}
hold: null
"""


def write_desired(
    path: Path,
    release: int,
    replaces: int | None,
    hold: Hold | Literal[_Keep.KEEP] | None = KEEP,
    bypass: Bypass | None = None,
) -> bool:
    """Make the file at `path` ask for `release` in place of `replaces`; whether its bytes changed.

    `hold` is kept as it is by default, set when given, cleared by None. `bypass` answers for one move,
    so that the one of the move before is removed. A missing file is created with the default strategy.
    Raises `InvalidInput` when what is there, or what would be there, is not a valid desired state.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else None
    text = desired_text(before, str(path), release=release, replaces=replaces, hold=hold, bypass=bypass)
    if text == before:
        return False
    writing.write(path, text)
    return True


def desired_text(
    text: str | None,
    name: str,
    *,
    release: int,
    replaces: int | None,
    hold: Hold | Literal[_Keep.KEEP] | None = KEEP,
    bypass: Bypass | None = None,
) -> str:
    """The file's new text; pure. `text` is the present one or None, `name` is how errors call the file."""
    if text is None:
        text = _NEW.format(release=release, replaces="null" if replaces is None else replaces)
    Document(text, name).parse(DesiredState)
    editor = Editor(text, name)
    editor.put(("release",), release)
    editor.put(("replaces",), replaces)
    if hold is not KEEP:
        _put(editor, "hold", hold)
    _put(editor, "bypass", bypass)
    Document(editor.text, name).parse(DesiredState)
    return editor.text


def _put(editor: Editor, key: str, value: Hold | Bypass | None) -> None:
    # A field that is not there says null already.
    if value is not None or editor.get((key,)) is not None:
        editor.put((key,), None if value is None else value.model_dump(mode="json"))
