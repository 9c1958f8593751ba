"""GitHub's filter patterns for branches, tags and paths. Pure.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence


def accepts(patterns: Sequence[str], text: str) -> bool:
    """Whether the last pattern that matches is not one of those with `!`."""
    answer = False
    for pattern in patterns:
        if pattern.startswith("!"):
            answer = answer and not _regex(pattern[1:]).fullmatch(text)
        elif not answer:
            answer = bool(_regex(pattern).fullmatch(text))
    return answer


def first(patterns: Sequence[str], texts: Iterable[str]) -> str | None:
    """The first of `texts` that the patterns accept."""
    return next((text for text in texts if accepts(patterns, text)), None)


@functools.cache
def _regex(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/"):
            parts.append("(?:.*/)?")
            at += 3
        elif rest.startswith("**"):
            parts.append(".*")
            at += 2
        elif rest[0] == "*":
            parts.append("[^/]*")
            at += 1
        elif rest[0] in "?+":
            # Zero or one, one or more, of what stands before: as in a regular expression, not as in a shell.
            parts.append(rest[0])
            at += 1
        elif rest[0] == "[" and "]" in rest:
            end = rest.index("]")
            parts.append(f"[{re.escape(rest[1:end]).replace(chr(92) + '-', '-')}]")
            at += end + 1
        else:
            escaped = rest[0] == "\\" and len(rest) > 1
            parts.append(re.escape(rest[1] if escaped else rest[0]))
            at += 2 if escaped else 1
    return re.compile("".join(parts), re.DOTALL)
