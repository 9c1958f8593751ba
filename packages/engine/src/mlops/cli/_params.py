"""Verbs on what a model is made with: params, add."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli._app import JsonOption, ModelOption, app, err, out, print_json, state, verb


def _say(model: str, changed: list[str], as_json: bool, nothing: str) -> None:
    if as_json:
        print_json({"model": model, "written": changed})
        return
    for file in changed:
        out().print(f"written: {file}")
    if not changed:
        out().print(f"nothing to do: {nothing}")


@app.command(epilog="Example: mlops params")
@verb
def params(model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Write the hyper-parameters of model.py into the training component and training.yml."""
    from mlops.lifecycle.desired.parameters import write

    name, _ = state.model(model)
    _say(name, write(state.root, name), as_json, f"the files of {name} follow its model.py")


@app.command(epilog="Example: mlops add holidays; then: mlops add")
@verb
def add(
    packages: Annotated[
        list[str] | None,
        typer.Argument(help="As pip names them, with or without a version.", metavar="[PACKAGE]..."),
    ] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a package on the model's list, lock it, and write the environments; alone, write them again."""
    from mlops.lifecycle.desired.dependencies import add as write

    name, _ = state.model(model)
    if packages and not as_json:
        err().print(f"Locking {', '.join(packages)} for [bold]{name}[/]")
    changed = write(state.root, name, packages or [])
    _say(name, changed, as_json, f"the environments of {name} have what its list names")
