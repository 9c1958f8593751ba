"""Progress that a person can follow, on standard error: a line for what is done, a spinner for what runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from mlops.cli._app import err

if TYPE_CHECKING:
    from rich.status import Status

    from mlops.lifecycle.apply.rollout import Event
    from mlops.pipeline import StepEvent

_MARKS = {
    "finished": "[green]✓[/]",
    "reused": "[cyan]=[/]",
    "failed": "[red]✗[/]",
    "skipped": "[dim]-[/]",
}


class Progress:
    """Callbacks for pipelines and rollouts. Without a spinner (nobody is watching) only lines are written."""

    def __init__(self, quiet: bool, spinner: Status | None) -> None:
        self._quiet = quiet
        self._spinner = spinner
        self._running: list[str] = []

    def step(self, event: StepEvent) -> None:
        """One step of a pipeline started or ended."""
        if not event.step:
            self._now(event.note)
            return
        if event.state == "running":
            self._running.append(event.step)
        if event.note:
            self._line(f"    {event.step:<10} [yellow]{escape(event.note)}[/]")
        if event.state != "running":
            if event.step in self._running:
                self._running.remove(event.step)
            took = f"{event.seconds:5.1f} s" if event.seconds is not None else " " * 7
            word = {"finished": "", "reused": "unchanged, reused"}.get(event.state, event.state)
            self._line(f"  {_MARKS[event.state]} {event.step:<10} [dim]{took}  {word}[/]")
        self._now(", ".join(self._running))

    def rollout(self, event: Event) -> None:
        """One thing that an apply does, did or found."""
        text = escape(event.text)
        match event.kind:
            case "step":
                self._now(text)
            case "watch":
                self._now(f"{text}, {event.share or 0:.0%}")
            case "done":
                self._line(f"  [green]✓[/] {text} [dim]{event.seconds or 0.0:.1f} s[/]")
                self._now("")
            case "verdict":
                self._line(f"    [green]{text}[/]")
            case "back":
                self._line(f"  [bold red]↩[/] {text}")
            case "wait":
                self._line(f"    [yellow]{text}[/]")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Room for a table on standard output, without a spinner in it."""
        if self._spinner is not None:
            self._spinner.stop()
        try:
            yield
        finally:
            if self._spinner is not None:
                self._spinner.start()

    def line(self, markup: str) -> None:
        """Something else that happened."""
        self._line(markup)

    def now(self, text: str) -> None:
        """What happens at this moment."""
        self._now(text)

    def _line(self, markup: str) -> None:
        if not self._quiet:
            err().print(markup)

    def _now(self, text: str) -> None:
        if self._spinner is not None:
            self._spinner.update(text or "working")


@contextlib.contextmanager
def live(quiet: bool = False, still: bool = False) -> Iterator[Progress]:
    """A spinner when somebody is watching, lines only when `still`; nothing at all when `quiet`."""
    if quiet or still or not sys.stderr.isatty():
        yield Progress(quiet, None)
        return
    with err().status("working", spinner="dots") as spinner:
        yield Progress(quiet, spinner)
