"""Progress that a person can follow: one line a step, on standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mlops.cli._app import err

if TYPE_CHECKING:
    from mlops.pipeline import StepEvent

MARKS = {
    "finished": "[green]✓[/]",
    "reused": "[cyan]=[/]",
    "failed": "[red]✗[/]",
    "skipped": "[dim]-[/]",
}


@contextlib.contextmanager
def steps(quiet: bool = False) -> Iterator[Callable[[StepEvent], None]]:
    """A callback that shows pipeline steps as they run; plain lines when nobody is watching."""
    if quiet:
        yield lambda _: None
        return
    console = err()
    live = sys.stderr.isatty()
    running: list[str] = []
    status = console.status("starting", spinner="dots") if live else contextlib.nullcontext()
    with status as spinner:

        def show(event: StepEvent) -> None:
            if event.state == "running":
                running.append(event.step)
            else:
                if event.step in running:
                    running.remove(event.step)
                took = f"{event.seconds:5.1f} s" if event.seconds is not None else " " * 7
                word = {"finished": "", "reused": "unchanged, reused"}.get(event.state, event.state)
                console.print(f"  {MARKS[event.state]} {event.step:<10} [dim]{took}  {word}[/]")
            if spinner is not None:
                spinner.update(", ".join(running) or "finishing")

        yield show
