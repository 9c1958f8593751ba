"""The verb batch: predictions for a folder of files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import JsonOption, ModelOption, app, err, out, print_json, state, verb

if TYPE_CHECKING:
    from mlops.lifecycle.apply.batch import BatchOutcome
    from mlops.serving.batch.batch_file import FileResult


@app.command(epilog="Example: mlops batch prod --input data/july --output predictions/july")
@verb
def batch(
    source: Annotated[Path, typer.Option("--input", "-i", help="Folder of Parquet or CSV files.")],
    destination: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for predictions; run again to resume.")
    ],
    env: Annotated[
        str | None,
        typer.Argument(help="Score by what is live there; default: the last environment.", metavar="[ENV]"),
    ] = None,
    release: Annotated[int | None, typer.Option(min=1, help="Score by this release instead.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Model calls at a time; default: the CPUs of this machine.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Input column to copy beside the predictions; repeatable.")
    ] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a folder of files. A bad file is quarantined with its reason and ends the command with code 5,
    after all others are scored."""
    from mlops.lifecycle.apply.batch import batch as score_all

    name, _ = state.model(model)
    with _shown(quiet=as_json) as progress:
        outcome = score_all(
            state.root,
            state.target,
            name,
            source,
            destination,
            env=state.environment(env) if env else None,
            release=release,
            signing=state.settings.signing,
            keep=keep or (),
            workers=workers,
            progress=progress,
        )
    _say(outcome, destination, as_json)


@contextmanager
def _shown(quiet: bool) -> Iterator[Callable[[FileResult, int, int], None]]:
    """A bar with files and rows where somebody watches; elsewhere only the files that are refused."""
    from rich.markup import escape

    def refusal(result: FileResult) -> None:
        if result.state == "quarantined":
            err().print(f"  [red]✗[/] {escape(result.source)}: {escape(result.reason)}")

    if quiet or not sys.stderr.isatty():
        yield lambda result, done, total: None if quiet else refusal(result)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("files"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=err(), transient=True) as bar:
        task = bar.add_task("", total=None, rows=0)
        rows = 0

        def advance(result: FileResult, done: int, total: int) -> None:
            nonlocal rows
            rows += result.rows
            refusal(result)
            bar.update(task, completed=done, total=total, rows=rows)

        yield advance


def _say(outcome: BatchOutcome, destination: Path, as_json: bool) -> None:
    from mlops.errors import InvalidInput, Problem

    chosen, report = outcome.chosen, outcome.report
    if as_json:
        print_json(
            {
                "model": chosen.model,
                "version": chosen.version,
                "digest": chosen.digest,
                "rows": report.rows,
                "skipped": report.skipped,
                "files": [vars(file) for file in report.files],
            }
        )
    else:
        files = f"{len(report.files) - len(report.quarantined)} files"
        skipped = f", {report.skipped} of them by an earlier run" if report.skipped else ""
        out().print(
            f"{report.rows:,} rows of {files} scored by [bold]{chosen.model} {chosen.version}[/] "
            f"({chosen.why}){skipped}; predictions are in {destination}"
        )
    if report.quarantined:
        raise InvalidInput([Problem(file.source, file.reason, "") for file in report.quarantined])
