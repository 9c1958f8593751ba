"""Verbs that make files of the fork: new-model."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli._app import JsonOption, app, out, print_json, state, verb


@app.command("new-model", epilog="Example: mlops new-model prices --kind lightgbm --task regression")
@verb
def new_model(
    name: Annotated[str, typer.Argument(help="The model's name: lower-case letters, digits and '-'.")],
    kind: Annotated[
        str,
        typer.Option(
            help="What it is made with: sklearn, lightgbm, xgboost, catboost, torch, text, image, forecast, "
            "multilabel, quantiles, ranking, custom, own-training."
        ),
    ] = "sklearn",
    task: Annotated[
        str | None,
        typer.Option(
            help="What it answers: binary, multiclass or regression. Default: what its kind answers."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Scaffold a use case that runs at once, on real data that a package ships: replace them by yours."""
    from mlops.lifecycle.desired import environments as environment
    from mlops.scaffold.kinds import missing
    from mlops.scaffold.new_model import IMAGE
    from mlops.scaffold.new_model import new_model as scaffold

    written = scaffold(state.root, state.settings, name, task, kind)
    if as_json:
        print_json(written)
        return
    for path in written:
        out().print(f"  {path}")
    if environment.PROJECT in written and IMAGE not in written and (state.root / IMAGE).is_file():
        out().print(f"{IMAGE} lacks its library yet: uv lock && python container/build.py requirements")
    if absent := missing(kind):
        out().print(f"Its library is not installed: uv sync --group {' --group '.join(absent)}")
    out().print(
        f"Next: mlops train --model {name}, then put your data into src/{name.replace('-', '_')}/data.py"
    )
