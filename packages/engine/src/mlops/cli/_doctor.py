"""`mlops doctor`: what stands in the way, each with the command that fixes it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from mlops.cli._app import JsonOption, app, err, out, print_json, state, verb

_SIGNS = {"ok": "[green]ok[/]     ", "note": "[dim]note[/]   ", "unknown": "[dim]?[/]      ",
          "warning": "[yellow]warning[/]", "error": "[red]error[/]  "}  # fmt: skip


@app.command(epilog="Example: mlops doctor --offline")
@verb
def doctor(
    stack: Annotated[
        list[str] | None, typer.Option("--stack", "-s", help="dev, staging or prod; default: all.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Only what can be known without a network.")
    ] = False,
    security: Annotated[
        bool, typer.Option("--security", help="What is off as an attacker would look for it, instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find what stands in the way: tools, files, login, quota, names, roles, trust, the forge, locks.

    Exit code 5: a file in git is wrong; 6: something else is; 4: something could not be judged.
    """
    from rich.markup import escape

    from mlops.doctor.case import Case
    from mlops.doctor.finding import code
    from mlops.doctor.run import CHECKS, diagnose
    from mlops.doctor.security import CHECKS as OF_SECURITY

    target = state.chosen_target or os.environ.get("MLOPS_TARGET", "")
    case = Case(state.root, target, tuple(stack or ()))
    findings = diagnose(case, offline=offline, checks=OF_SECURITY if security else CHECKS)
    if as_json:
        print_json([vars(f) for f in findings])
    else:
        for f in findings:
            out().print(f"{_SIGNS[f.severity]} {f.check}: {escape(f.sentence)}", soft_wrap=True)
            if f.fix and f.severity != "ok":
                out().print(f"        [dim]fix:[/] {escape(f.fix)}", soft_wrap=True)
    ended = code(findings, offline=offline)
    if not as_json:
        count = {s: sum(f.severity == s for f in findings) for s in ("error", "warning", "unknown")}
        err().print(
            f"{count['error']} errors, {count['warning']} warnings, {count['unknown']} not checked",
            style="dim",
        )
    if ended:
        raise typer.Exit(ended)
