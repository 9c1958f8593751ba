"""The figures of the last runs, as `docs/mutants.md` has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.mutation.edits import Edit
from tests.mutation.reasons import Reason
from tests.mutation.trial import SURVIVED

INTRODUCTION = """\
# Mutation testing: wrong edits that the tests must notice

`make mutants` makes one wrong edit after the other in the modules that decide, and runs the nearest fast
tests. An edit that no test notices is a hole, or harmless for the reason that stands below. The run writes
this page; how it works and what it leaves out: [decision 19](decisions/0019-mutants.md).

Not tried is what no run has reached yet, what no short test noticed in a first run (`--longest`), and what
survived before a test was changed. It counts as not noticed until it is tried: hence "at least".
"""


@dataclass(frozen=True)
class Judged:
    """One module."""

    module: str
    results: Sequence[tuple[Edit, str | None]]
    """Each edit and what became of it; None: not tried yet."""
    reasons: Sequence[Reason]

    @property
    def tried(self) -> int:
        return sum(result is not None for _, result in self.results)

    @property
    def survivors(self) -> list[Edit]:
        return [edit for edit, result in self.results if result == SURVIVED]

    def reason(self, edit: Edit) -> Reason | None:
        return next((r for r in self.reasons if r.covers(self.module, edit)), None)

    @property
    def open(self) -> list[Edit]:
        return [edit for edit in self.survivors if self.reason(edit) is None]


@dataclass(frozen=True)
class Part:
    """What the page has of one module."""

    module: str
    figures: tuple[int, ...]
    """Edits, not tried, noticed, harmless, open."""
    survivors: str
    """The list of them; empty where there are none."""


def part(judged: Judged) -> Part:
    """One module as this machine knows it."""
    survivors = judged.survivors
    figures = (
        len(judged.results), len(judged.results) - judged.tried, judged.tried - len(survivors),
        len(survivors) - len(judged.open), len(judged.open),
    )  # fmt: skip
    lines = [line for edit in survivors for line in (*shown(judged, edit), "")]
    return Part(judged.module, figures, "\n".join(lines).rstrip())


def read(text: str) -> dict[str, Part]:
    """The parts of a page, by module: a run on another machine wrote them."""
    sections = dict(re.findall(r"(?ms)^## (\S+)\n\n(.*?)\s*(?=^## |\Z)", text))
    rows = re.findall(r"(?m)^\| `(\S+)` \|" + r" (\d+) \|" * 5, text)
    return {name: Part(name, tuple(map(int, rest)), sections.get(name, "")) for name, *rest in rows}


def better(here: Part, before: Part | None) -> Part:
    """The part that knows more of the same edits."""
    known = before is not None and before.figures[0] == here.figures[0]
    return before if before is not None and known and before.figures[1] < here.figures[1] else here


def page(parts: Sequence[Part]) -> str:
    """The page, with every survivor."""
    lines = [INTRODUCTION, *_table(parts), ""]
    for one in parts:
        if one.survivors:
            lines += [f"## {one.module}", "", one.survivors, ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(parts: Sequence[Part]) -> list[str]:
    rows = [
        "| module | edits | not tried | noticed | harmless | open | noticed of those that change behaviour |"
    ]
    rows.append("|---|---:|---:|---:|---:|---:|---:|")
    rows += [_row(f"`{one.module}`", one.figures) for one in parts]
    total = [sum(column) for column in zip(*(one.figures for one in parts), strict=True)]
    return [*rows, _row("**all**", total)]


def _row(name: str, figures: Sequence[int]) -> str:
    untried, gone, left = figures[1], figures[2], figures[4]
    known = f"{100 * gone / (gone + left + untried):.1f} %" if gone + left else "-"
    share = f"at least {known}" if untried and gone + left else known
    return f"| {name} | " + " | ".join(str(f) for f in figures) + f" | {share} |"


def shown(judged: Judged, edit: Edit) -> list[str]:
    """A survivor as a list item."""
    reason = judged.reason(edit)
    diff = [f"  {line}" for line in edit.diff.splitlines()]
    why = reason.why if reason else "**open**"
    return [f"- `{edit.function}`: {why}", "", "  ```diff", *diff, "  ```"]
