"""A run beside others, as a table: what `mlops train` ends with, and what `mlops compare` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from mlops.cli._app import out
from mlops.cli._tables import difference, grid, months, value
from mlops.cli._tables import show as show_table

if TYPE_CHECKING:
    from mlops.lifecycle.train.compare import Comparison, MetricRow
    from mlops.lifecycle.train.runs import Made

_MARKS = {"better": "[green]▲[/]", "worse": "[red]▼[/]", "same": " ", "unknown": " "}
_LINES = 200
"""Of a code diff; what is longer is named file by file."""
_FILES = 12


def show(made: Made, against: Mapping[str, Comparison]) -> None:
    """`made` beside the others, by metric; then what changed."""
    titles = [f"against {title}" for title in against]
    table = grid("metric", made.name, *titles)
    rows = {title: {row.name: row for row in one.metrics} for title, one in against.items()}
    for name, interval in made.metrics.items():
        cells = [_cell(rows[title].get(name)) for title in against]
        table.add_row(name, value(interval), *cells)
    show_table(out(), table)
    if any(not one.unpaired for one in against.values()):
        out().print("[dim]▲ better, ▼ worse, by more than chance: 95 % of resamples of the same test rows[/]")
    for title, one in against.items():
        if one.unpaired:
            out().print(f"[yellow]not compared with {title}:[/] {escape(one.unpaired)}")


def _cell(row: MetricRow | None) -> str:
    if row is None or row.other is None:
        return ""
    if row.difference is None:
        return f"[dim]{row.other.value:.4f}[/]"
    return f"{difference(row.difference)} {_MARKS[row.verdict]}".rstrip()


def changes(one: Comparison, title: str) -> None:
    """What was changed between two runs, a line each."""
    lines = list(_changes(one))
    if not lines:
        out().print(f"nothing changed since {title}: parameters, data and code are the same")
        return
    out().print(f"[bold]changed since {title}[/]")
    for line in lines:
        out().print(f"  {escape(line)}")


def _changes(one: Comparison) -> Iterator[str]:
    for name, (before, after) in {**one.params, **one.data}.items():
        yield f"{name}: {months(before) or 'none'} -> {months(after) or 'none'}"
    yield from one.code.files[:_FILES]
    if (more := len(one.code.files) - _FILES) > 0:
        yield f"and {more} more files"
    if one.code.unknown:
        yield one.code.unknown


def code(one: Comparison) -> None:
    """The diff itself, when somebody can read it at one go."""
    count = one.code.text.count("\n")
    if 0 < count <= _LINES:
        out().print(escape(one.code.text), highlight=False)
    elif count:
        trees = f"{one.other.tree[:12]} {one.one.tree[:12]}"
        out().print(f"the diff has {count} lines: git diff {trees} -- src pipelines")


def as_json(one: Comparison) -> dict[str, Any]:
    """Plain data."""
    return asdict(one)
