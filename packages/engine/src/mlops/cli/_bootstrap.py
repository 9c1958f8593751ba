"""`mlops bootstrap azure`: from "logged in" to "push works"."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops.cli._app import JsonOption, changes_pending, err, group, out, print_json, state, verb
from mlops.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops.bootstrap.steps import Look, Planned, Step
    from mlops.spec.forges import Hosted

bootstrap = group("bootstrap", "Set up what Pulumi and the workflows need first.")

_COLOURS = {"create": "green", "change": "yellow", "keep": "dim", "refuse": "red", "remove": "red"}


@bootstrap.command(epilog="Example: mlops bootstrap azure --forge github --dry-run")
@verb
def azure(
    forge: Annotated[
        str, typer.Option(help="github or azure-devops; default: [forge] of mlops.toml.", metavar="FORGE")
    ] = "",
    stack: Annotated[
        list[str] | None,
        typer.Option("--stack", "-s", help="dev, staging or prod; default: all. shared comes along."),
    ] = None,
    reviewer: Annotated[
        list[str] | None,
        typer.Option(help="Who approves changes of production: a login, owner/team, or an id; default: you."),
    ] = None,
    protect: Annotated[bool, typer.Option("--protect", help="Also rules for the default branch.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the plan; exit 2 when something would change.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Remove what bootstrap made, and nothing else.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make Pulumi's state and key, each environment with its identities, and the forge's environments.

    Shows a plan first. Run it again after an error: it goes on where it stopped.
    """
    from mlops.bootstrap import azure as setting_up
    from mlops.bootstrap import steps as engine

    wanted = setting_up.Wanted(_kind(forge), tuple(stack or ()), tuple(reviewer or ()), protect)
    if undo:
        everything = setting_up.steps_for(state.root, state.settings, wanted.ever)
        _undo(everything, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    steps = setting_up.steps_for(state.root, state.settings, wanted)
    planned = engine.plan(steps)
    _show(planned, as_json=as_json)
    engine.enforce(planned)
    pending = sum(p.pending for p in planned)
    if not pending:
        err().print("nothing to do")
        return
    if dry_run:
        changes_pending()
    _ask(f"Do these {pending} steps?", yes=yes)
    engine.carry_out(steps, _tell)
    err().print(
        "\nDone. The stack files and mlops.toml have changed; the first push trains:\n"
        "  git add environments mlops.toml pipelines && git commit -m 'Set up Azure' && git push"
    )


def _kind(forge: str) -> Hosted:
    from mlops.spec.forges import HOSTED

    chosen = forge or state.settings.forge.kind
    if (known := HOSTED.get(chosen)) is None:
        raise InvalidInput(f"--forge must be one of {', '.join(HOSTED)}; got {chosen!r}")
    return known.name


def _show(planned: Sequence[Planned], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {"key": p.step.key, "action": p.look.action, "title": p.step.title, "why": p.look.why}
                for p in planned
            ]
        )
        return
    for p in planned:
        _line(p.look.action, p.step.title, p.look.why)


def _line(action: str, title: str, why: str) -> None:
    from rich.markup import escape

    detail = f" [dim]({escape(why)})[/]" if why else ""
    out().print(f"[{_COLOURS[action]}]{action:7}[/] {escape(title)}{detail}", soft_wrap=True)


def _tell(step: Step, look: Look) -> None:
    if look.action != "keep":
        err().print(f"{look.action} {step.title}", style="dim", markup=False)


def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("nobody can answer here; look at the plan, then say --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(130)


def _undo(steps: Sequence[Step], *, dry_run: bool, yes: bool, as_json: bool) -> None:
    from mlops.bootstrap import steps as engine

    removed = engine.removals(steps)
    rows: list[dict[str, Any]] = [
        {"key": step.key, "action": "undo", "title": said} for step, said in removed
    ]
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            _line("remove", row["title"], "")
    if not removed:
        err().print("there is nothing that bootstrap made")
        return
    if dry_run:
        changes_pending()
    _ask(f"Do these {len(removed)} steps?", yes=yes)
    engine.undo(removed, lambda step, said: err().print(said, style="dim", markup=False))
    err().print("\nDone. What the files say is in git: git diff environments mlops.toml")
