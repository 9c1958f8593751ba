"""The verb that brings new raw data in."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli._app import JsonOption, ModelOption, app, out, print_json, state, verb
from mlops.cli._models import named
from mlops.errors import InvalidInput


@app.command(epilog="Example: mlops ingest --source ./delivered/2013-07 --window 2013-07")
@verb
def ingest(
    source: Annotated[
        str, typer.Option(help="A file, a folder, or an https:// address; with / at its end, of a folder.")
    ],
    window: Annotated[str, typer.Option(help="Months that are delivered, for example 2013-07.")],
    model: ModelOption = None,
    max_rejected: Annotated[
        float, typer.Option(min=0, max=1, help="Share of rows that may break a rule; more is refused.")
    ] = 0.1,
    as_json: JsonOption = False,
) -> None:
    """Make the next version of the data asset from a new window of raw data; what is wrong is set aside."""
    from mlops.lifecycle.ingest import ingest as take
    from mlops.lifecycle.lineage import actor
    from mlops.spec.window import Window

    name, _ = state.model(model)
    try:
        months = Window.parse(window)
    except ValueError as error:
        raise InvalidInput(f"--window: {error}; got {window!r}") from None
    made = take(
        state.root, state.target, name, source, months, actor=actor(state.root), max_rejected=max_rejected
    )
    if as_json:
        print_json(vars(made))
        return
    if not made.new:
        out().print(f"nothing to do: {made.name}:{made.version} came of this delivery")
        return
    out().print(
        f"[bold]{made.name}:{made.version}[/] has {made.accepted} new rows of {made.window}; "
        f"{made.rejected_rows} rows and {made.rejected_files} files were set aside"
    )
    if made.quarantine:
        out().print(f"  the reasons are in {made.quarantine}/quarantine.json")
    out().print(f"  mlops train{named(name)} --set raw=azureml:{made.name}:{made.version}")
