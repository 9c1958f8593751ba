"""Azure ML's expressions: `${{parent.…}}` of a pipeline, `${{inputs.…}}` and `$[[…]]` of a command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_HOLE = re.compile(r"\$\{\{\s*(?P<body>[^}]*?)\s*\}\}")
_OPTIONAL = re.compile(r"\$\[\[(?P<body>.*?)\]\]", re.DOTALL)
_PARENT = re.compile(
    rf"parent\.(?:inputs\.(?P<input>{_NAME})(?:\.{_NAME})*|outputs\.(?P<output>{_NAME})"
    rf"|jobs\.(?P<job>{_NAME})(?:\.outputs\.(?P<of>{_NAME}))?)"
)
_PORT = re.compile(rf"(?P<side>inputs|outputs|search_space)\.(?P<name>{_NAME})(?:\.{_NAME})*")

Side = Literal["parent.input", "parent.output", "job.output", "job", "inputs", "outputs", "search_space", ""]


@dataclass(frozen=True)
class Hole:
    """One `${{…}}`. `side` is empty when it is none of the forms that Azure ML fills."""

    text: str
    side: Side
    name: str
    job: str = ""
    whole: bool = False
    """The value is this expression and nothing else."""
    optional: bool = False
    """It stands inside `$[[…]]`."""


_ALMOST = re.compile(
    r"(?<![\w.])\$?\{\{?\s*(?:parent\.)?(?:inputs|outputs|jobs|search_space)\.[\w.]+\s*\}?\}?"
)


def broken(text: str) -> Iterator[str]:
    """What is meant as an expression and is none: a brace or the dollar is missing, a bracket stays open."""
    rest = _HOLE.sub(lambda match: " " * len(match[0]), text)
    for match in _ALMOST.finditer(rest):
        # One brace without a dollar is what other programs write.
        if match[0].startswith(("$", "{{")):
            yield match[0].strip()
    if _OPTIONAL.sub("", text).count("$[["):
        yield "$[["


def holes(text: str) -> Iterator[Hole]:
    """Every expression of a text, in order."""
    spans = [match.span() for match in _OPTIONAL.finditer(text)]
    for match in _HOLE.finditer(text):
        whole = match[0] == text.strip()
        optional = any(start <= match.start() < end for start, end in spans)
        side, name, job = _read(match["body"])
        yield Hole(match[0], side, name, job, whole, optional)


def _read(body: str) -> tuple[Side, str, str]:
    parent = _PARENT.fullmatch(body)
    if parent is not None:
        if parent["input"]:
            return "parent.input", parent["input"], ""
        if parent["output"]:
            return "parent.output", parent["output"], ""
        if parent["of"]:
            return "job.output", parent["of"], parent["job"]
        return "job", parent["job"], parent["job"]
    port = _PORT.fullmatch(body)
    if port is not None:
        return port["side"], port["name"], ""  # type: ignore[return-value]
    return "", body, ""
