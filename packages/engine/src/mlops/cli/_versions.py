"""Verbs on registered versions: list, delete."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli._app import JsonOption, ModelOption, group, out, print_json, state, verb

versions = group("versions", "Registered versions.")
_SHOWN = 50
"""Rows that a person reads."""


@versions.command("list", epilog="Example: mlops versions list --tag mlops.gate=pass")
@verb
def list_versions(
    model: ModelOption = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only versions with this tag.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many; default: 50 in a table, all as JSON.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List registered versions, newest first."""
    from mlops.lifecycle.train.versions import find

    name, _ = state.model(model)
    most = limit if limit is not None or as_json else _SHOWN
    # One more than is shown, to know whether there are more.
    rows = find(state.target.registry, name, tag or [], None if most is None else most + 1)
    more, rows = len(rows) > len(rows[:most]), rows[:most]
    if as_json:
        print_json([vars(row) for row in rows])
        return
    if not rows:
        out().print(
            f"no version of {name}" + (" with these tags" if tag else "; train one with: mlops train")
        )
        return
    from mlops.cli._tables import day, grid, months, show

    table = grid("version", "gate", "trained on", "commit", "registered", "live in")
    for row in rows:
        commit = row.commit[:8] + ("+" if row.dirty else "")
        gate = f"{row.gate} *" if row.gate == "pass" and row.blocked else row.gate
        table.add_row(
            str(row.version), gate, months(row.window), commit, day(row.created), ", ".join(row.live)
        )
    show(out(), table)
    if any(row.dirty for row in rows):
        out().print("[dim]+ with changes that were not committed[/]")
    for row in rows:
        if row.gate == "pass" and row.blocked:
            out().print(f"[dim]* version {row.version} was blocked before, by {row.blocked}[/]")
    if more:
        out().print(f"the newest {len(rows)}; there are more: --limit N")


@versions.command("delete", epilog="Example: mlops versions delete 3")
@verb
def delete_version(
    version: Annotated[int, typer.Argument(min=1, help="Registered version.")], model: ModelOption = None
) -> None:
    """Delete a version; refused while an environment serves or names it."""
    from mlops.lifecycle.train.versions import delete

    name, _ = state.model(model)
    delete(state.target.registry, name, version)
    out().print(f"{name} version {version} is deleted")
