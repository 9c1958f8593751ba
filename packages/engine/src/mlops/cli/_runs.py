"""Verbs on training runs: runs, compare."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import JsonOption, ModelOption, app, out, print_json, state, verb
from mlops.cli._models import named
from mlops.errors import InvalidInput, MlopsError

if TYPE_CHECKING:
    from mlops.lifecycle.train.compare import Comparison
    from mlops.lifecycle.train.runs import Made

BEST = "best"


@app.command(epilog="Example: mlops runs --limit 20; then: mlops runs best --metric brier")
@verb
def runs(
    which: Annotated[
        str,
        typer.Argument(
            help="`best`: only those tested on the same rows as the newest, best first.", metavar="[best]"
        ),
    ] = "",
    model: ModelOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
    metric: Annotated[
        str | None, typer.Option(help="Metric to show; default: that of the champion gate in model.yaml.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List training runs, also those that only tried something: the newest, or the best."""
    from mlops.lifecycle.train import runs as lifecycle
    from mlops.spec.gatepolicy import load_gates

    name, _ = state.model(model)
    if which not in ("", BEST):
        raise InvalidInput(f"mlops runs {which}: write `mlops runs`, or `mlops runs {BEST}`")
    registry = state.target.registry
    if which == BEST:
        every = lifecycle.runs(state.root, registry, name, lifecycle.SEARCHED)
        listed = lifecycle.best(state.root, every, name, metric)[:limit] if every else []
    else:
        listed = lifecycle.runs(state.root, registry, name, limit)
    if as_json:
        print_json([asdict(run) for run in listed])
    elif not listed:
        out().print(f"{name} has no run yet; try something with: mlops train --try{named(name)}")
    else:
        _table(listed, metric or load_gates(state.root, name).champion.metric)
        if which == BEST and len(listed) > 1:
            first, second = (run.run_id[:8] for run in listed[:2])
            out().print(f"what the first does better: mlops compare {first} {second}{named(name)}")


def _table(found: list[Made], metric: str) -> None:
    from mlops.cli._tables import day, grid, months, show, value

    table = grid("run", "started", "version", metric, "tested on", "commit")
    for run in found:
        number = str(run.version) if run.version is not None else "try" if run.tried else ""
        shown = value(run.metrics[metric]) if metric in run.metrics else ""
        commit = run.commit[:8] + ("+" if run.dirty else "")
        table.add_row(run.run_id[:8], day(run.started), number, shown, months(run.test_window), commit)
    show(out(), table)
    if any(run.dirty for run in found):
        out().print("[dim]+ with changes that were not committed[/]")


@app.command(epilog="Example: mlops compare last champion; then: mlops compare 3 a1b2c3d4 --no-code")
@verb
def compare(
    one: Annotated[
        str, typer.Argument(help="A version, the first letters of a run, `last` or `champion`.", metavar="A")
    ],
    other: Annotated[str, typer.Argument(help="What it is compared with.", metavar="[B]")] = "champion",
    model: ModelOption = None,
    with_code: Annotated[
        bool, typer.Option("--code/--no-code", help="Show the differences of the code line by line.")
    ] = True,
    file: Annotated[
        Path | None,
        typer.Option("--out", help="Write a page (.html) with plots of both: intervals and curves."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Two runs beside each other: parameters, metrics on the same rows, data, code, and plots."""
    from mlops.cli import _comparison
    from mlops.lifecycle.train import runs as lifecycle
    from mlops.lifecycle.train.compare import compare as decide

    if file is not None and file.suffix != ".html":
        raise InvalidInput(f"--out {file}: a comparison is written as .html")
    name, _ = state.model(model)
    registry = state.target.registry
    known = lifecycle.runs(state.root, registry, name, lifecycle.SEARCHED)
    first, second = (lifecycle.find(state.root, registry, name, called, known) for called in (one, other))
    comparison = decide(state.root, registry, name, first, second)
    if file is not None:
        _draw(file, name, comparison)
    if as_json:
        print_json(_comparison.as_json(comparison))
        return
    _comparison.show(first, {second.name: comparison})
    _comparison.changes(comparison, second.name)
    if with_code:
        _comparison.code(comparison)
    if file is not None:
        out().print(f"plots of both are in {file}", markup=False)


def _draw(file: Path, model: str, one: Comparison) -> None:
    from mlops.board.beside import page, plots
    from mlops.lifecycle.train.compare import tested
    from mlops.usecase import load_usecase

    usecase = load_usecase(state.settings.model(model)[1].usecase, state.root / "src")
    try:
        made = (one.one, one.other)
        pictures = plots([(run.name, tested(state.target.registry, usecase, run).scores) for run in made])
        why = f"no picture shows answers of the task {usecase.task}"
    except MlopsError as error:
        pictures, why = [], str(error)
    file.write_text(page(state.settings.project.name, one, pictures, why), encoding="utf-8")
