"""`mlops tune`: look for better hyper-parameters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import JsonOption, ModelOption, app, err, out, print_json, state, verb

if TYPE_CHECKING:
    from mlops.targets.base import TrialResult

_MARKS = {"finished": "[green]✓[/]", "stopped": "[yellow]↓[/]", "failed": "[red]✗[/]"}


@app.command(epilog="Example: mlops tune --trials 20 --workers 2 --write")
@verb
def tune(
    model: ModelOption = None,
    trials: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many; default: limits of sweep.yml.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many at the same time; default: sweep.yml.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An input of sweep.yml.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Make the best trial the defaults of training.yml.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the sweep of the model; run again after an interruption, it goes on."""
    from mlops.cli._train import pairs
    from mlops.lifecycle.train import tune as sweep
    from mlops.spec.files import sweep_path, training_path

    name, _ = state.model(model)
    if not as_json:
        err().print(f"Running [bold]{sweep_path(name)}[/] on the target {state.target.name}")
    tuned = sweep.tune(
        state.root,
        state.target,
        name,
        pairs(settings or []),
        trials=trials,
        workers=workers,
        progress=_quiet if as_json else _Lines().show,
    )
    changed = sweep.write(state.root, tuned) if write else False
    if as_json:
        print_json(
            {
                "model": name,
                "run_id": tuned.result.run_id,
                "metric": tuned.result.metric,
                "best": tuned.best.value,
                "best_run_id": tuned.best.run_id,
                "parameters": dict(tuned.parameters),
                "trials": [vars(t) for t in tuned.result.trials],
                "written": changed,
            }
        )
        return
    from rich.table import Table

    table = Table(title=f"trial {tuned.best.number}: {tuned.result.metric} {tuned.best.value:.5f}")
    for title in ("parameter", "best trial", "training.yml"):
        table.add_column(title)
    for key, value in tuned.parameters.items():
        table.add_row(key, str(value), str(tuned.defaults[key]))
    out().print(table)
    place = training_path(name)
    if changed:
        out().print(f"{place} has these values now; commit it, and they go through training and its gates")
    elif write:
        out().print(f"nothing to do: {place} has these values already")
    else:
        out().print(f"take them over into {place}: mlops tune --write")


def _quiet(_: TrialResult) -> None:
    return


class _Lines:
    """A line for every trial that has ended."""

    def __init__(self) -> None:
        self._began: dict[int, float] = {}

    def show(self, trial: TrialResult) -> None:
        from rich.markup import escape

        if trial.state == "running":
            self._began[trial.number] = time.monotonic()
            return
        took = time.monotonic() - self._began.get(trial.number, time.monotonic())
        value = f"{trial.value:.5f}" if trial.value is not None else "       "
        detail = escape(trial.detail.splitlines()[0]) if trial.detail else ""
        mark = _MARKS.get(trial.state, " ")
        err().print(f"  {mark} trial {trial.number:<4} {value} [dim]{took:5.1f} s  {detail}[/]")
