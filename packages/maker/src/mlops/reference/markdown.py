"""The little Markdown that the pages need."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

NOTICE = "<!-- Written from the code by `make reference`; a test fails when it is stale. Do not edit. -->"


def page(title: str, *parts: str) -> str:
    """A whole page: the notice, the title, and the parts with an empty line between them."""
    return "\n\n".join([NOTICE, f"# {title}", *(part.strip("\n") for part in parts if part)]) + "\n"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty when there are no rows."""
    lines = [_line([cell(c) for c in row]) for row in rows]
    if not lines:
        return ""
    return "\n".join([_line(titles), "|" + "---|" * len(titles), *lines])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def cell(text: str) -> str:
    """Text that stays in its cell."""
    return " ".join(text.split()).replace("|", "\\|")


def literal(text: str) -> str:
    """Text of the code in which nothing but `code` means something to Markdown, such as `<model>` or a
    star."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([<*])", r"\\\1", p) for p in parts)


def code(text: str) -> str:
    """Text as it is typed."""
    return f"`{text}`"


def prose(text: str) -> str:
    """A docstring as paragraphs."""
    return literal(inspect.cleandoc(text))


def slug(heading: str) -> str:
    """The anchor that GitHub, and the site, give a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.lower())
    return words.replace(" ", "-")


def link(heading: str) -> str:
    """A link to a heading of the same page."""
    return f"[{heading}](#{slug(heading)})"
