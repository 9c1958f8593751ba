"""What the lint says: one finding a mistake, one verdict a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from mlops.errors import Problem
from mlops.lint.rules import RULES

Level = Literal["error", "rule", "note"]
State = Literal["read", "other", "unread"]


@dataclass(frozen=True)
class Finding:
    """One thing in one place. `id` names it in `mlops.lint.rules`, which says how much it weighs."""

    id: str
    file: str
    line: int
    field: str
    message: str

    @property
    def level(self) -> Level:
        return RULES[self.id].level

    @property
    def problem(self) -> Problem:
        """The finding as the errors of the other verbs show it."""
        return Problem(f"{self.file}:{self.line}", self.message, self.field)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: {self.field}" if self.field else f"{self.file}:{self.line}"
        return f"{self.level} {place}: {self.message} [{self.id}]"


@dataclass(frozen=True)
class FileState:
    """What became of one file: read as `kind`, no Azure ML file, or of a kind that is not read."""

    file: str
    state: State
    kind: str


@dataclass(frozen=True)
class Verdict:
    """Everything that one call found."""

    findings: tuple[Finding, ...] = ()
    files: tuple[FileState, ...] = field(default=())
    azure: str = ""
    """The version of `azure-ai-ml` that judged too; empty when it was not asked."""

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """What makes a check fail: errors, and the house rules that are on."""
        return tuple(f for f in self.findings if f.level != "note")

    def count(self, level: Level) -> int:
        return sum(1 for f in self.findings if f.level == level)

    def files_that_are(self, state: State) -> int:
        return sum(1 for f in self.files if f.state == state)


def ordered(findings: Iterable[Finding]) -> Iterator[Finding]:
    """By file and line, each once: components are used by several jobs, and a folder holds both."""
    yield from sorted(dict.fromkeys(findings), key=lambda f: (f.file, f.line, f.id, f.field, f.message))
