"""Edits of `environments/<env>/<model>.yaml`: only the fields that a move changes, every other byte stays.

A person owns these files: their comments, order and strategy survive, so that the diff a reviewer sees is
the decision and nothing else. PyYAML gives the place of each field; only that span of text is replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from mlops.errors import InvalidInput, Problem
from mlops.spec import writing
from mlops.spec._yaml import Document
from mlops.spec.desired import Bypass, DesiredState, Hold


class _Keep(Enum):
    KEEP = "keep"


KEEP: Final = _Keep.KEEP
"""Leave the field of the file as it is."""

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON writes as it is and YAML reads as something else."""

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
        text = _NEW.format(release=release, replaces=_scalar(replaces))
    before = Document(text, name).parse(DesiredState)
    if any(getattr(event, "anchor", None) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
        raise InvalidInput(Problem(name, "cannot be edited in place: write values out, without & and *"))
    wanted: dict[str, Any] = {"release": release, "replaces": replaces}
    if hold is not KEEP:
        wanted["hold"] = _plain(hold)
    wanted["bypass"] = _plain(bypass)
    for key, value in wanted.items():
        text = _set(text, name, key, value)
    after = Document(text, name).parse(DesiredState)
    asked: dict[str, Any] = {"release": release, "replaces": replaces, "bypass": bypass}
    asked["hold"] = before.hold if hold is KEEP else hold
    if after != before.model_copy(update=asked):
        raise InvalidInput(
            Problem(
                name,
                "cannot be edited in place; write one field a line, `field: value`",
            )
        )
    return text


def _plain(value: Hold | Bypass | None) -> dict[str, Any] | None:
    return None if value is None else value.model_dump(mode="json")


def _set(text: str, name: str, key: str, value: Any) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise InvalidInput(Problem(f"{name}:1", "write one field a line, without braces around them all"))
    found = next((pair for pair in root.value if pair[0].value == key), None)
    rendered = _inline(value)
    if found is None:
        if value is None:
            return text
        return f"{text.rstrip()}\n{key}: {rendered}\n"
    node = found[1]
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        if node.start_mark.index == node.end_mark.index:
            rendered = f" {rendered}"
        return text[: node.start_mark.index] + rendered + text[node.end_mark.index :]
    # A block mapping ends where the next field starts; keep what stands between (comments, blank lines).
    block = text[found[0].end_mark.index : node.end_mark.index]
    kept = re.search(r"(?:\n[ \t]*(?:#[^\n]*)?)*\n?\Z", block)
    tail = block[kept.start() :] if kept else "\n"
    return text[: found[0].end_mark.index] + f": {rendered}{tail}" + text[node.end_mark.index :]


def _inline(value: Mapping[str, Any] | int | None) -> str:
    """A value on one line: `7`, `null` or `{reason: "…", by: "…"}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_scalar(v)}" for k, v in value.items()) + "}"
    return _scalar(value)


def _scalar(value: Any) -> str:
    # JSON is YAML, and quoting every text leaves nothing to YAML's guesses (no, 1e3, 12:30).
    return _UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(value, ensure_ascii=False))
