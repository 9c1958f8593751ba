"""Runs of workflows as a person follows them: a line for each command, a spinner for what runs now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from mlops.cli._progress import Progress
    from mlops.forge.pushed.store import Run, Store
    from mlops.forge.pushed.watch import Seen

_BORDERS = "┏┃┡│└├╭╰"
"""How lines of a table begin; the demo shows verdicts itself, and the job's log keeps the table."""


def shown(store: Store, progress: Progress) -> Callable[[Seen], None]:
    """Tells `progress` what is seen."""

    def show(seen: Seen) -> None:
        job, step = seen.job.id if seen.job else "", seen.step
        place = " > ".join(
            filter(None, (f"{seen.run.workflow} {seen.run.number}", job, step.name if step else ""))
        )
        match seen.kind:
            case "run":
                _run(store, seen.run, progress)
            case "waits":
                progress.line(f"  [yellow]⏸[/] {escape(f'{job} waits for {seen.text}')}")
            case "output":
                if step and " " in step.name and not seen.text.startswith(tuple(_BORDERS)):
                    progress.line(f"    [dim]{escape(seen.text.rstrip())}[/]")
            case "step" if step and step.state == "running":
                progress.now(escape(place))
            case "step" if step and (" " in step.name or step.state == "failure"):
                mark = "[green]✓[/]" if step.state == "success" else "[red]✗[/]"
                progress.line(f"  {mark} {escape(step.name)} [dim]{step.seconds or 0:.1f} s[/]")
                progress.now("")

    return show


def _run(store: Store, run: Run, progress: Progress) -> None:
    from mlops.forge.pushed.store import ENDED
    from mlops.forge.pushed.watch import explained

    name = escape(f"{run.workflow}, run {run.number}")
    if run.state not in ENDED:
        progress.line(f"  [bold]▸ {name}[/] [dim]{escape(run.why)}[/]")
        return
    took = (run.ended or 0) - (run.started or run.created)
    colour = {"success": "green", "failure": "red"}.get(run.state, "yellow")
    progress.line(f"  [{colour}]■ {name}: {run.state}[/] [dim]after {took:.1f} s[/]")
    if run.state != "failure":
        return
    failed = explained(store, run)
    for line in ([failed.said] if failed.said else []) + list(failed.lines):
        progress.line(f"    [red]{escape(line)}[/]")
