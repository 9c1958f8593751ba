"""`mlops board`: a static site of what is served where, why, and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops.cli._app import JsonOption, app, err, out, print_json, state, verb


@app.command(epilog="Example: mlops board")
@verb
def board(
    folder: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where to; a folder of its own, such as this one beside the pages of `make docs`.",
        ),
    ] = Path("site/board"),
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Only these models; default: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the board: environments, gates, drift, lineage, history and model cards as web pages."""
    from mlops.board import gather, pages, write
    from mlops.forge import open_forge

    names = tuple(state.model(name)[0] for name in model or [])
    files = pages(
        gather(
            state.root,
            state.target,
            state.settings,
            names,
            forge=lambda: open_forge(state.root, state.settings),
        )
    )
    changed = write(folder, files)
    if as_json:
        print_json({"folder": folder, "pages": sorted(files), "changed": list(changed)})
        return
    out().print(f"{len(files)} files are in {folder}, {len(changed)} of them changed", markup=False)
    err().print(f"[dim]open {folder / 'index.html'} in a browser[/]")
