"""Comments that silence a house rule beside a line: `# lint: pin-image - rebuilt every night`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlops.lint.finding import Finding
from mlops.lint.rules import RULES

_COMMENT = re.compile(r"#\s*lint:\s*(?P<ids>[a-z-]+(?:\s*,\s*[a-z-]+)*)(?:\s+(?:-\s*)?(?P<reason>\S.*))?$")
_LEAST = 3
"""Letters of a reason."""


def silenced(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings that no comment silences, and what is wrong with the comments themselves."""
    known: dict[str, dict[int, set[str]]] = {}
    for finding in findings:
        if finding.file not in known:
            known[finding.file], wrong = _comments(finding.file)
            yield from wrong
        if finding.level != "rule" or finding.id not in known[finding.file].get(finding.line, ()):
            yield finding


def _comments(file: str) -> tuple[dict[int, set[str]], list[Finding]]:
    """Which rules are silent at which line: that of the comment, and the next when it stands alone."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}, []
    silent: dict[int, set[str]] = {}
    wrong = []
    for number, line in enumerate(lines, start=1):
        match = _COMMENT.search(line)
        if match is None:
            continue
        ids = {name.strip() for name in match["ids"].split(",")}
        for name in sorted(ids):
            if name not in RULES or RULES[name].level != "rule":
                wrong.append(Finding("silence", file, number, "", f"{name!r} is no house rule"))
        if len(match["reason"] or "") < _LEAST:
            message = "give the reason: # lint: <rule> - <why it is right here>"
            wrong.append(Finding("silence", file, number, "", message))
            continue
        below = number + 1 if line.lstrip().startswith("#") else number
        silent.setdefault(below, set()).update(ids)
    return silent, wrong
