"""Azure ML's expressions: `${{parent.…}}` of a pipeline, `${{inputs.…}}` and `$[[…]]` of a command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PARENT = re.compile(
    rf"^\$\{{\{{\s*parent\.(?:inputs\.(?P<input>{_NAME})|outputs\.(?P<output>{_NAME})"
    rf"|jobs\.(?P<job>{_NAME}(?:\.{_NAME})*)\.outputs\.(?P<job_output>{_NAME}))\s*\}}\}}$"
)
HOLE = re.compile(r"\$\{\{\s*(?P<body>[^}]*?)\s*\}\}")
_PORT = re.compile(rf"^(?P<side>inputs|outputs|search_space)\.(?P<name>{_NAME})$")
_OPTIONAL = re.compile(r"\$\[\[(?P<body>.*?)\]\]", re.DOTALL)


@dataclass(frozen=True)
class ParentBinding:
    """`${{parent.inputs.x}}`, `${{parent.outputs.x}}` or `${{parent.jobs.j.outputs.x}}`."""

    kind: Literal["input", "output", "job"]
    name: str
    job: str = ""


def looks_bound(value: object) -> bool:
    """True for text that is meant as an expression, right or wrong."""
    return isinstance(value, str) and "${{" in value


def parse_parent(value: object) -> ParentBinding | None:
    """The binding that `value` is, or None when it is none (or not a well-formed one)."""
    match = _PARENT.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    if match["input"]:
        return ParentBinding("input", match["input"])
    if match["output"]:
        return ParentBinding("output", match["output"])
    return ParentBinding("job", match["job_output"], match["job"])


@dataclass(frozen=True)
class Hole:
    """One `${{side.name}}` of a command. `side` is empty when the expression is not well formed."""

    text: str
    side: str
    name: str
    optional: bool


def holes(command: str) -> list[Hole]:
    """Every expression of a command; `optional` says that it stands inside `$[[…]]`."""
    spans = [m.span() for m in _OPTIONAL.finditer(command)]
    listed = []
    for match in HOLE.finditer(command):
        port = _PORT.match(match["body"])
        inside = any(start <= match.start() < end for start, end in spans)
        listed.append(Hole(match[0], port["side"] if port else "", port["name"] if port else "", inside))
    return listed


def expand(
    command: str,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    search_space: Mapping[str, str] | None = None,
    *,
    paths: Collection[str] = (),
) -> str:
    """The shell command, its holes filled as Azure ML fills them: by plain text, whatever stands around.

    So the shell sees several words, a pattern or a quote in a value. Paths are the exception: on Azure ML
    they never hold a space, here they may, so they are quoted as the place where they stand asks for. `paths`
    are the inputs that are such; outputs always are. Optional blocks whose inputs have no value are left out.

    Raises `KeyError` for a name that has no value outside an optional block (lint finds those first).
    """

    def block(match: re.Match[str]) -> str:
        names = [h.name for h in holes(match["body"]) if h.side == "inputs"]
        return match["body"] if all(n in inputs for n in names) else ""

    wanted = _OPTIONAL.sub(block, command)

    def hole(match: re.Match[str]) -> str:
        port = _PORT.match(match["body"])
        if port is None:
            raise KeyError(match[0])
        sides = {"inputs": inputs, "outputs": outputs, "search_space": search_space or {}}
        value = sides[port["side"]][port["name"]]
        is_path = port["side"] == "outputs" or (port["side"] == "inputs" and port["name"] in paths)
        return _quoted(value, _open_quote(wanted[: match.start()])) if is_path else value

    return HOLE.sub(hole, wanted).strip()


def _open_quote(before: str) -> str:
    """The quote that stands open after `before`, as a shell reads it; empty when none does."""
    quote, escaped = "", False
    for letter in before:
        if escaped:
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif letter in "\"'" and quote in ("", letter):
            quote = "" if quote else letter
    return quote


def _quoted(path: str, quote: str) -> str:
    if quote == "'":
        return path.replace("'", "'\\''")
    if quote == '"':
        return re.sub(r'([\\"$`])', r"\\\1", path)
    return shlex.quote(path)
