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
    model: ModelOption = None,
    window: Annotated[
        str | None,
        typer.Option(help="What is delivered, for example 2013-07; data without a clock have none."),
    ] = None,
    max_rejected: Annotated[
        float, typer.Option(min=0, max=1, help="Share of rows that may break a rule; more is refused.")
    ] = 0.1,
    as_json: JsonOption = False,
) -> None:
    """Make the next version of the data asset from a delivery of raw data; what is wrong is set aside."""
    from mlops.lifecycle.train.ingest import ingest as take
    from mlops.lifecycle.train.lineage import actor
    from mlops.spec.window import Window

    name, _ = state.model(model)
    try:
        chosen = None if window is None else Window.parse(window)
    except ValueError as error:
        raise InvalidInput(f"--window: {error}; got {window!r}") from None
    delivered = take(
        state.root, state.target, name, source, chosen, actor=actor(state.root), max_rejected=max_rejected
    )
    if as_json:
        print_json(vars(delivered))
        return
    if not delivered.new:
        out().print(f"nothing to do: {delivered.name}:{delivered.version} came of this delivery")
        return
    out().print(
        f"[bold]{delivered.name}:{delivered.version}[/] has {delivered.accepted} new "
        f"rows{f' of {delivered.window}' if delivered.window else ''}; "
        f"{delivered.rejected_rows} rows and {delivered.rejected_files} files were set aside"
    )
    if delivered.quarantine:
        out().print(f"  the reasons are in {delivered.quarantine}/quarantine.json")
    out().print(f"  mlops train{named(name)} --set raw=azureml:{delivered.name}:{delivered.version}")
