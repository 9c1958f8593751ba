"""Pages as Markdown parsers see them: blocks with the notes above them, code in prose, links, anchors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[4]
_PARSER = MarkdownIt("commonmark").enable("table")
FRONT = ("README.md", "packages/maker/tests/README.md")
"""Pages without notes: they show what there is, and each line stands for itself."""
_NOTE = re.compile(r"<!-- (needs|run): (.+?) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block. `notes` are the comments right above it: `{"needs": "azure"}`."""

    page: str
    line: int
    language: str
    text: str
    notes: tuple[tuple[str, str], ...]

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    def note(self, kind: str) -> str | None:
        return dict(self.notes).get(kind)


@dataclass(frozen=True)
class Link:
    page: str
    line: int
    target: str


def pages() -> list[str]:
    """Every page that people read, relative to the repository."""
    found = [ROOT / "README.md", ROOT / "packages/maker/tests/README.md", *(ROOT / "docs").rglob("*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, text: str | None = None) -> list[Block]:
    """All fenced blocks of a page, in order, also those inside lists."""
    found: list[Block] = []
    notes: list[tuple[str, str]] = []
    for token in _PARSER.parse(text if text is not None else read(page)):
        if token.type == "html_block":
            notes += _NOTE.findall(token.content)
        elif token.type == "fence":
            line = (token.map or [0])[0] + 1
            if page in FRONT and not notes:
                notes = [("run", "example")]
            found.append(Block(page, line, token.info.strip(), token.content, tuple(notes)))
            notes = []
        elif token.nesting == 0:
            notes = []
    return found


def code_spans(page: str) -> Iterator[tuple[int, str]]:
    """`code` in prose and tables, with its line."""
    for token, line in _inline(read(page)):
        if token.type == "code_inline":
            yield line, token.content


def links(page: str, text: str | None = None) -> Iterator[Link]:
    """Targets of links and images."""
    for token, line in _inline(text if text is not None else read(page)):
        target = token.attrGet("href") or token.attrGet("src")
        if target:
            yield Link(page, line, str(target))


def anchors(text: str) -> set[str]:
    """What GitHub lets one link to: its headings, numbered when one comes twice."""
    found: set[str] = set()
    tokens = _PARSER.parse(text)
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        words = "".join(t.content for t in inline.children or [] if t.type in ("text", "code_inline"))
        base = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        slug, number = base, 0
        while slug in found:
            number += 1
            slug = f"{base}-{number}"
        found.add(slug)
    return found


def _inline(text: str) -> Iterator[tuple[Token, int]]:
    for token in _PARSER.parse(text):
        if token.type == "inline":
            for child in token.children or []:
                yield child, (token.map or [0])[0] + 1
