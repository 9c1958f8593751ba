"""`mlops audit`: what is known against the packages that this repository locks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mlops.cli._app import JsonOption, app, err, out, print_json, state, verb
from mlops.errors import Blocked


@app.command(epilog="Example: mlops audit --database all.zip")
@verb
def audit(
    database: Annotated[
        Path | None,
        typer.Option(help="A dump of OSV's advisories (all.zip of PyPI), for a place without a network."),
    ] = None,
    max_age: Annotated[
        float, typer.Option(help="Days that the dump may be old.", min=0.0, metavar="DAYS")
    ] = 14.0,
    if_reachable: Annotated[
        bool, typer.Option("--if-reachable", help="End well, with a warning, where OSV cannot be asked.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge every package that uv.lock, a requirements file or a conda file locks, by what is known today.

    Exit code 3: something is known, and mlops.toml does not accept it ([[audit.accepted]]); 6: nobody could
    be asked.
    """
    from rich.markup import escape

    from mlops.audit.database import Database
    from mlops.audit.run import audit as judge
    from mlops.forge.git import Git

    now = datetime.now(UTC)
    known = None
    if database is None and (written := state.settings.audit.database):
        database = state.root / written
    if database is not None:
        known = Database.read(database)
        known.fresh(now, max_age)
    names = Git(state.root).files("HEAD")
    verdict = judge(
        state.root, names, state.settings.audit.accepted, now.date(), known, if_reachable=if_reachable
    )
    if as_json:
        print_json({**vars(verdict), "findings": [vars(f) for f in verdict.findings],
                    "problems": [vars(p) for p in verdict.problems]})  # fmt: skip
    else:
        for one in verdict.findings:
            sign = f"[dim]accepted ({escape(one.accepted)})[/]" if one.accepted else "[red]known[/]"
            out().print(f"{sign} {escape(one.sentence)}", soft_wrap=True)
        for problem in verdict.problems:
            out().print(f"[red]error[/] {escape(str(problem))}", soft_wrap=True)
        asked = f"the advisories of {known.date:%Y-%m-%d}" if known else "OSV"
        if verdict.unasked:
            err().print(
                f"[yellow]warning[/] no package was judged: {escape(verdict.unasked)}", soft_wrap=True
            )
            asked = "nobody"
        err().print(
            f"{verdict.packages} packages of {len(verdict.files)} files, judged by {asked}", style="dim"
        )
    if verdict.stops:
        raise Blocked(
            "raise the versions (uv lock --upgrade-package NAME), or accept with a reason and an end: "
            "[[audit.accepted]] of mlops.toml"
        )
