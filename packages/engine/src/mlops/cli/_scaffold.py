"""Verbs that make files of the fork: new-model."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mlops.cli._app import JsonOption, app, out, print_json, state, verb


class TaskName(StrEnum):
    """What a model answers."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


@app.command("new-model", epilog="Example: mlops new-model prices --task regression")
@verb
def new_model(
    name: Annotated[str, typer.Argument(help="The model's name: lower-case letters, digits and '-'.")],
    task: Annotated[TaskName, typer.Option(help="What it answers.")] = TaskName.BINARY,
    as_json: JsonOption = False,
) -> None:
    """Scaffold a use case that runs at once, on real data of scikit-learn: replace them by yours."""
    from mlops.scaffold.new_model import new_model as scaffold

    made = scaffold(state.root, state.settings, name, task.value)
    if as_json:
        print_json(made)
        return
    for path in made:
        out().print(f"  {path}")
    out().print(
        f"Next: mlops train --model {name}, then put your data into src/{name.replace('-', '_')}/data.py"
    )
