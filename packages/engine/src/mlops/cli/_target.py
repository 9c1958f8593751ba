"""Verbs about one target's own ways: target databricks bundle."""

from __future__ import annotations

import typer

from mlops.cli._app import JsonOption, group, out, print_json, state, verb
from mlops.cli._help import Group

target = group("target", "What one target has of its own.")
databricks = typer.Typer(cls=Group, no_args_is_help=True, help="Databricks.")
target.add_typer(databricks, name="databricks")


@databricks.command("bundle", epilog="Example: mlops target databricks bundle")
@verb
def bundle(
    as_json: JsonOption = False,
) -> None:
    """Write databricks.yml: models in Unity Catalog, volume, grants; --json prints it instead."""
    from mlops.targets.databricks.bundle import described, write

    if as_json:
        print_json(described(state.root, state.settings))
        return
    path = write(state.root, state.settings)
    out().print(f"[bold]{path.name}[/] is written; check it with: databricks bundle validate")
