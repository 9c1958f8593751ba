"""Where in a request the mistake is: from msgspec's sentence to the place and the value that stands there.

Only a refusal comes here; a request that is in order never pays for it.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

SHOWN = 200
"""Characters of a client's own text that an answer repeats."""

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>\$.*)`)?$", re.DOTALL)
_INNER = re.compile(r"(.*?)\[(\d+)\]", re.DOTALL)
_NAMED = re.compile(r"field `(?P<name>.*)`$", re.DOTALL)


def path_of(error: msgspec.ValidationError) -> str:
    """`$[3].name`: the place that msgspec's sentence ends with; `$` when it names none."""
    match = _PLACE.match(str(error))
    return (match["path"] or "$") if match else "$"


def named_in(error: msgspec.ValidationError) -> str | None:
    """The field whose presence or absence msgspec's sentence is about."""
    match = _PLACE.match(str(error))
    named = _NAMED.search(match["what"]) if match else None
    return named["name"] if named else None


def steps_of(path: str, names: tuple[str, ...]) -> list[str | int]:
    """`$[3].name` or `$.name[3]` as steps; the name may hold any character."""
    if match := re.fullmatch(r"\$\[(\d+)\](?:\.(.*))?", path, re.DOTALL):
        row, name = int(match[1]), _column(match[2] or "", names)
        return [row, name] if name in names else [row]
    if match := re.fullmatch(r"\$\.(.*?)(?:\[(\d+)\])?", path, re.DOTALL):
        name, index = match[1], match[2]
        if name not in names and (inner := _INNER.fullmatch(name)) and inner[1] in names:
            return [inner[1], int(inner[2])]
        if name in names:
            return [name] if index is None else [name, int(index)]
    return []


def _column(name: str, names: tuple[str, ...]) -> str:
    """The column of `vector[2]`, a place within a list."""
    inner = _INNER.fullmatch(name)
    return inner[1] if name not in names and inner else name


def cell_at(raw: Raw, steps: list[Any]) -> Any:
    """The value at `steps`, decoding no more than the parts on the way."""
    part: Any = raw
    for step in steps:
        try:
            kind: Any = list[Raw] if isinstance(step, int) else dict[str, Raw]
            part = msgspec.json.decode(part, type=kind)[step]
        except (msgspec.MsgspecError, UnicodeDecodeError, LookupError):
            return None
    return show(part)


def show(raw: Raw) -> Any:
    """A value as Python has it, or the beginning of its text."""
    text = bytes(memoryview(raw)[: SHOWN + 1])
    if len(text) > SHOWN:
        return text[:SHOWN].decode("utf-8", "replace") + "…"
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return text.decode("utf-8", "replace")


def as_json(value: Any) -> str:
    """As the client wrote it, so that "3" and 3 look different."""
    shown = show_value(value)
    return shown if isinstance(value, list | dict) else msgspec.json.encode(shown).decode()


def show_value(value: Any) -> Any:
    """A value that fits into an answer: short, and a text if it was a list or an object."""
    if isinstance(value, list | dict):
        text = msgspec.json.encode(value).decode()
        return text if len(text) <= SHOWN else text[:SHOWN] + "…"
    if isinstance(value, str) and len(value) > SHOWN:
        return value[:SHOWN] + "…"
    return value
