"""Parts of a file that are only there because of the example, between two lines of comment:

    # <example>
    ...
    # </example>

The marks stay while the example stays: an update must find the same lines on both sides.
"""

from __future__ import annotations

import re

from mlops.errors import InvalidInput, Problem

_COMMENT = r"[ \t]*(?:#|//|<!--)[ \t]*"
_OPEN = re.compile(rf"^{_COMMENT}<example>", re.MULTILINE)
_CLOSE = re.compile(rf"^{_COMMENT}</example>", re.MULTILINE)


def without_example(path: str, text: str) -> str:
    """`text` without the marked parts; raises `InvalidInput` for a mark that has no other half."""
    kept: list[str] = []
    began = 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        opens, closes = _OPEN.match(line), _CLOSE.match(line)
        if (opens and began) or (closes and not began):
            raise InvalidInput(Problem(f"{path}:{number}", f"{line.strip()!r} has no other half"))
        if opens:
            began = number
        elif closes:
            began = 0
        elif not began:
            kept.append(line)
    if began:
        raise InvalidInput(Problem(f"{path}:{began}", "<example> is never closed"))
    return "".join(kept)
