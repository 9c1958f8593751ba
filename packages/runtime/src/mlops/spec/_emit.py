"""Plain data as YAML that people read and `yamllint --strict` passes: one field a line, small things on one.

The same data gives the same text. Any text survives: what YAML would read as something else is quoted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlops.spec._yaml import is_plain_text

WIDTH = 100
"""Columns, but for a name that is longer; the repository's limit of 130 leaves room for a comment."""

_PLAIN = re.compile(r"[A-Za-z0-9][\w./@+-]*(?:[ :][\w./@+(-][\w./@+()-]*)*", re.ASCII)
"""Text without a character that has a meaning in YAML, wherever it stands."""
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffd-\uffff]")
"""What JSON writes as it is and YAML reads as something else, or not at all."""


def dump(value: Mapping[str, Any]) -> str:
    """A whole file; ends with a line feed."""
    return "".join(f"{line}\n" for line in _mapping(value, 0)) if value else "{}\n"


def field(key: str, value: Any, indent: int, *, flow: bool = False) -> str:
    """`key: value` as it stands in a mapping at `indent`, without the indent before it and the end of line.

    `flow`: inside braces, where nothing may be written a line each.
    """
    name = f"{_key(key)}:"
    return name + behind(value, indent + len(name), indent, flow=flow)


def behind(value: Any, column: int, indent: int, *, flow: bool = False) -> str:
    """What stands behind `key:` that ends at `column`, in a mapping at `indent`."""
    if not isinstance(value, Mapping | list | tuple):
        return f" {scalar(value, column + 1, indent + 2)}"
    line = _flow(value)
    if line is not None and "\n" not in line and (flow or column + 1 + len(line) <= WIDTH):
        return f" {line}"
    lines = _mapping(value, indent + 2) if isinstance(value, Mapping) else _sequence(value, indent + 2)
    return "".join(f"\n{line}" for line in lines)


def scalar(value: Any, column: int = 0, indent: int = 0) -> str:
    """A text, number, boolean or null; a text that does not fit after `column` goes on at `indent`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if column + len(text) <= WIDTH and _PLAIN.fullmatch(text) and is_plain_text(text):
        return text
    return _quoted(text, column, indent)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = repr(value)
    # YAML 1.1 takes 1e-05 for a text.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _quoted(text: str, column: int, indent: int) -> str:
    """In double quotes, on as many lines as it takes. A line ends at a space, or in the middle of a word."""
    words = _UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))
    lines: list[str] = []
    line, room = "", max(WIDTH - column, 20)
    for piece in _pieces(words, max(WIDTH - indent, 20) - 1):
        if not lines and not line and len(piece) > room:  # not even the first piece fits behind the key
            lines.append('"\\')
            piece, room = piece[1:], max(WIDTH - indent, 20)  # noqa: PLW2901
        if line and len(line) + len(piece) > room:
            # A space at the end of a line is the fold itself; without one, a backslash says so.
            single = line.endswith(" ") and not line.endswith("  ") and not piece.startswith(" ")
            lines.append(line[:-1] if single and len(line) > 1 and line != '" ' else f"{line}\\")
            line, room = "", max(WIDTH - indent, 20)
            if piece.startswith(" "):
                piece = f"\\{piece}"  # noqa: PLW2901 - a line's first spaces are its indent
        line += piece
    return f"\n{' ' * indent}".join([*lines, line])


def _pieces(quoted: str, longest: int) -> Iterator[str]:
    """Words with the space after them, and pieces of words that are too long; an escape is not torn."""
    for word in re.findall(r"[^ ]* |[^ ]+", quoted):
        piece = ""
        for atom in re.findall(r"\\(?:u[0-9a-f]{4}|.)|.", word):
            if len(piece) + len(atom) > longest:
                yield piece
                piece = ""
            piece += atom
        yield piece


def _flow(value: Any) -> str | None:
    """On one line, or None for what has no place there."""
    if isinstance(value, Mapping):
        if any(isinstance(v, Mapping | list | tuple) and v for v in value.values()):
            return None
        parts = [f"{scalar(k)}: {_flow(v)}" for k, v in value.items()]
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list | tuple):
        if any(isinstance(v, Mapping | list | tuple) for v in value):
            return None
        return "[" + ", ".join(scalar(v) for v in value) + "]"
    return scalar(value)


def _key(key: str) -> str:
    """On one line: YAML takes a key of more than one for something else."""
    text = str(key)
    if _PLAIN.fullmatch(text) and is_plain_text(text):
        return text
    return _UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))


def _mapping(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, item in value.items():
        yield from f"{' ' * indent}{field(key, item, indent)}".split("\n")


def _sequence(value: Sequence[Any], indent: int) -> Iterator[str]:
    for item in value:
        line = _flow(item)
        if line is not None and "\n" not in line and indent + 2 + len(line) <= WIDTH:
            yield f"{' ' * indent}- {line}"
            continue
        if isinstance(item, Mapping):
            lines = list(_mapping(item, indent + 2))
        elif isinstance(item, list | tuple):
            lines = list(_sequence(item, indent + 2))
        else:
            lines = f"{' ' * (indent + 2)}{scalar(item, indent + 2, indent + 2)}".split("\n")
        yield f"{' ' * indent}- {lines[0][indent + 2 :]}"
        yield from lines[1:]
