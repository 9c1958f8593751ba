"""Tables that fit into 80 columns, and stay whole in a pipe."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mlops.spec.gates import Interval


def grid(*titles: str, right: tuple[str, ...] = ()) -> Table:
    """A table without lines: what lines cost, cells have. Titles in `right` stand over numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True, justify="right" if title in right else "left")
    return table


def show(console: Console, table: Table) -> None:
    """As a table where every cell is whole in it; else a record a row, its titles beside its cells."""
    from rich.console import Group, RenderableType
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    endless, needed = console.options.update(width=100_000), 0
    for column in table.columns:
        sizes = [Measurement.get(console, endless, cell) for cell in (column.header, *column.cells)]
        needed += max(size.maximum if column.no_wrap else size.minimum for size in sizes)
    # The last column's space may be cut: nothing is in it.
    if needed + 2 * (len(table.columns) - 1) <= console.width:
        console.print(table)
        return
    records: list[RenderableType] = []
    titles = [str(column.header) for column in table.columns]
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        record = Table.grid(padding=(0, 2, 0, 0))
        record.add_column(no_wrap=True)
        record.add_column(overflow="fold")
        for title, cell in zip(titles, cells, strict=True):
            if cell != "":
                record.add_row(f"[bold]{title}[/]", cell)
        records += [record, Text()]
    console.print(Group(*records[:-1]))


def day(at: datetime) -> str:
    """A short date that is whole, by the clock of the reader: 2026-11-29 14:05."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def months(window: str) -> str:
    """A window without the year that it says twice: 2013-01..03."""
    first, dots, last = window.partition("..")
    return f"{first}..{last[5:]}" if dots and first[:5] == last[:5] else window


def value(interval: Interval) -> str:
    """0.6712 ± 0.0071: half of the interval's width."""
    return f"{interval.value:.4f} ± {(interval.high - interval.low) / 2:.4f}"


def difference(interval: Interval) -> str:
    """+0.0014 ± 0.0024."""
    return f"{interval.value:+.4f} ± {(interval.high - interval.low) / 2:.4f}"
