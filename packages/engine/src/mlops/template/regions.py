"""Parts of a file that are only there because of the example, between two lines of comment:

    # <example>
    ...
    # </example>

or in one line that ends in `# <example/>` (`<!-- <example/> -->` in a table of Markdown). The marks stay
while the example stays: an update must find the same lines on both sides.
"""

from __future__ import annotations

import re

from mlops.errors import InvalidInput, Problem

_COMMENT = r"[ \t]*(?:#|//|<!--)[ \t]*"
_OPEN = re.compile(rf"^{_COMMENT}<example>", re.MULTILINE)
_ONE = re.compile(r"(?:#|//|<!--)[ \t]*<example/>")
_CLOSE = re.compile(rf"^{_COMMENT}</example>", re.MULTILINE)


def without_example(path: str, text: str) -> str:
    """`text` without the marked parts; raises `InvalidInput` for a mark that has no other half."""
    kept: list[str] = []
    began = 0
    closed = False
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        opens, closes = _OPEN.match(line), _CLOSE.match(line)
        if (opens and began) or (closes and not began):
            raise InvalidInput(Problem(f"{path}:{number}", f"{line.strip()!r} has no other half"))
        if opens:
            began = number
        elif closes:
            began, closed = 0, True
        elif not began and not _ONE.search(line) and not (closed and _doubles(kept, line)):
            kept.append(line)
            closed = False
    if began:
        raise InvalidInput(Problem(f"{path}:{began}", "<example> is never closed"))
    return "".join(kept).rstrip("\n") + "\n"


def _doubles(kept: list[str], line: str) -> bool:
    """Whether a blank line after a part that went would stand beside the one before it."""
    return not line.strip() and (not kept or not kept[-1].strip())
