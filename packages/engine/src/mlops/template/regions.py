"""Parts of a file of the skeleton that a fork does without, between two lines of comment:

    # <home>
    ...
    # </home>

or in one line that ends in `# <home/>`. `home` is what only the template's own repository has; `example` in
its place is what goes with the example, and the name of a forge is what only that forge reads.
"""

from __future__ import annotations

import re

from mlops.errors import InvalidInput, Problem

HOME, EXAMPLE = "home", "example"
_COMMENT = r"[ \t]*(?:#|//|<!--)[ \t]*"


def without(path: str, text: str, mark: str) -> str:
    """`text` without the parts marked so; raises `InvalidInput` for a mark that has no other half."""
    opening, closing = re.compile(rf"^{_COMMENT}<{mark}>"), re.compile(rf"^{_COMMENT}</{mark}>")
    single = re.compile(rf"(?:#|//|<!--)[ \t]*<{mark}/>")
    kept: list[str] = []
    began = 0
    closed = False
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        opens, closes = opening.match(line), closing.match(line)
        if (opens and began) or (closes and not began):
            raise InvalidInput(Problem(f"{path}:{number}", f"{line.strip()!r} has no other half"))
        if opens:
            began = number
        elif closes:
            began, closed = 0, True
        elif not began and not single.search(line) and not (closed and _doubles(kept, line)):
            kept.append(line)
            closed = False
    if began:
        raise InvalidInput(Problem(f"{path}:{began}", f"<{mark}> is never closed"))
    return "".join(kept).rstrip("\n") + "\n"


def unmarked(text: str, mark: str) -> str:
    """`text` with the parts and without their marks: for whom they are meant."""
    text = re.sub(rf"(?m)^{_COMMENT}</?{mark}>.*\n", "", text)
    return re.sub(rf"[ \t]*(?:#|//)[ \t]*<{mark}/>|[ \t]*<!--[ \t]*<{mark}/>[ \t]*-->", "", text)


def _doubles(kept: list[str], line: str) -> bool:
    """Whether a blank line after a part that went would stand beside the one before it."""
    return not line.strip() and (not kept or not kept[-1].strip())
