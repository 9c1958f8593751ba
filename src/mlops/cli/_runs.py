"""Verbs on training runs: runs, runs best, compare."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import JsonOption, ModelOption, app, group, out, print_json, state, verb

if TYPE_CHECKING:
    from mlops.lifecycle.runs import Made

runs = group("runs", "Training runs, registered or only tried.", bare=True)

LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of the newest runs.")]
MetricOption = Annotated[
    str | None, typer.Option(help="Metric to show; default: that of the champion gate in model.yaml.")
]


@runs.callback(epilog="Example: mlops runs --limit 20; then: mlops runs best")
@verb
def list_runs(
    context: typer.Context,
    model: ModelOption = None,
    limit: LimitOption = 20,
    metric: MetricOption = None,
    as_json: JsonOption = False,
) -> None:
    """List training runs, newest first, also those that only tried something."""
    if context.invoked_subcommand is not None:
        return
    from mlops.lifecycle import runs as lifecycle
    from mlops.spec.gatepolicy import load_gates

    name, _ = state.model(model)
    found = lifecycle.runs(state.root, state.target.registry, name, limit)
    if as_json:
        print_json([asdict(made) for made in found])
        return
    if not found:
        out().print(f"{name} has no run yet; try something with: mlops train --try")
        return
    _table(found, metric or load_gates(state.root, name).champion.metric)


@runs.command(epilog="Example: mlops runs best --metric brier")
@verb
def best(
    model: ModelOption = None,
    limit: LimitOption = 10,
    metric: MetricOption = None,
    as_json: JsonOption = False,
) -> None:
    """The best runs by one metric, among those that were tested on the same rows as the newest."""
    from mlops.lifecycle import runs as lifecycle
    from mlops.spec.gatepolicy import load_gates

    name, _ = state.model(model)
    every = lifecycle.runs(state.root, state.target.registry, name, lifecycle.SEARCHED)
    found = lifecycle.best(state.root, every, name, metric)[:limit]
    if as_json:
        print_json([asdict(made) for made in found])
        return
    _table(found, metric or load_gates(state.root, name).champion.metric)
    if len(found) > 1:
        out().print(f"what the first does better: mlops compare {found[0].run_id[:8]} {found[1].run_id[:8]}")


def _table(found: list[Made], metric: str) -> None:
    from mlops.cli._tables import day, grid, months, value

    table = grid("run", "started", "version", metric, "tested on", "commit")
    for made in found:
        number = str(made.version) if made.version is not None else "try" if made.tried else ""
        shown = value(made.metrics[metric]) if metric in made.metrics else ""
        commit = made.commit[:8] + ("+" if made.dirty else "")
        table.add_row(made.run_id[:8], day(made.started), number, shown, months(made.test_window), commit)
    out().print(table)
    if any(made.dirty for made in found):
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
    as_json: JsonOption = False,
) -> None:
    """Two runs beside each other: parameters, metrics on the same rows, data and code."""
    from mlops.cli import _comparison
    from mlops.lifecycle import runs as lifecycle
    from mlops.lifecycle.compare import compare as decide

    name, _ = state.model(model)
    registry = state.target.registry
    known = lifecycle.runs(state.root, registry, name, lifecycle.SEARCHED)
    first, second = (lifecycle.find(state.root, registry, name, called, known) for called in (one, other))
    found = decide(state.root, registry, name, first, second)
    if as_json:
        print_json(_comparison.as_json(found))
        return
    _comparison.show(first, {second.name: found})
    _comparison.changes(found, second.name)
    if with_code:
        _comparison.code(found)
