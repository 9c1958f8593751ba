"""What a check says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from mlops.doctor.case import Case

Severity = Literal["ok", "note", "unknown", "warning", "error"]
SEVERITIES: Final[tuple[Severity, ...]] = ("ok", "note", "unknown", "warning", "error")
"""From nothing to do to something that will fail. `unknown`: it could not be judged."""


@dataclass(frozen=True)
class Finding:
    """One sentence about one thing, and the exact command that changes it; empty when there is none.

    `file`: what is wrong is a file in git.
    """

    check: str
    severity: Severity
    sentence: str
    fix: str = ""
    file: bool = False


@dataclass(frozen=True)
class Check:
    """`needs`: `files`, `azure` (a login), or `forge` (a token); the last two wait for a network.

    `run` gives what is wrong, and nothing when all is well; then `well` is the sentence.
    """

    name: str
    needs: Literal["files", "azure", "forge"]
    run: Callable[[Case], Iterable[Finding]]
    well: str


def code(findings: Iterable[Finding], *, offline: bool) -> int:
    """The exit code: 5 a file is wrong, 6 something else is, 4 something could not be judged, else 0."""
    all_findings = list(findings)
    errors = [f for f in all_findings if f.severity == "error"]
    if any(f.file for f in errors):
        return 5
    if errors:
        return 6
    return 4 if not offline and any(f.severity == "unknown" for f in all_findings) else 0
