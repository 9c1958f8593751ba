"""Verbs of the local forge: a bare repository on this machine that runs the workflows as GitHub would."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import JsonOption, group, out, print_json, state, verb
from mlops.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from mlops.forge.pushed.store import Run, Store

forge = group("forge", "The local forge: git push runs the workflows here.")

RunArgument = Annotated[int, typer.Argument(min=1, help="As in `mlops forge runs`.", metavar="RUN")]
WorkflowArgument = Annotated[str, typer.Argument(help="A workflow's file name, such as release.")]


def _store() -> Store:
    from mlops.forge.git import Git
    from mlops.forge.local import LocalForge
    from mlops.forge.pushed.store import Store

    if state.settings.forge.kind != "local":
        raise InvalidInput(
            f"the forge of mlops.toml is {state.settings.forge.kind}; its own pages show its runs"
        )
    store = Store(LocalForge.of(Git(state.root)).git.root)
    store.settings()
    return store


@forge.command(epilog="Example: mlops forge init ../origin.git --off ci")
@verb
def init(
    bare: Annotated[Path, typer.Argument(help="Folder of the bare repository; made when it is not there.")],
    off: Annotated[list[str] | None, typer.Option(help="A workflow that a push does not start.")] = None,
) -> None:
    """Make a bare repository a forge, and the remote `origin` of this one if it has none."""
    from mlops.forge.git import Git
    from mlops.forge.pushed.install import install

    git = Git(state.root)
    if not (bare / "objects").is_dir():
        branch = git.run("symbolic-ref", "--short", "HEAD")
        git.run("init", "--quiet", "--bare", "--initial-branch", branch, str(bare.resolve()))
    reasons = dict.fromkeys(off or [], "asked for by mlops forge init")
    install(bare, state.root, state.root / state.settings.local.state, off=reasons)
    if "origin" not in git.run("remote").split():
        git.run("remote", "add", "origin", str(bare.resolve()))
    elif Path(origin := git.run("remote", "get-url", "origin")).resolve() != bare.resolve():
        out().print(f"{bare} runs .github/workflows on every push, but origin is {origin}; to push to it:")
        out().print(f"git remote set-url origin {bare.resolve()}", soft_wrap=True)
        return
    out().print(f"{bare} runs .github/workflows on every push; next: git push --set-upstream origin HEAD")


@forge.command("runs", epilog="Example: mlops forge runs --json")
@verb
def list_runs(as_json: JsonOption = False) -> None:
    """List the runs of workflows, newest first."""
    from dataclasses import asdict

    from rich.markup import escape

    from mlops.cli._tables import grid, show

    runs = _store().runs()[::-1]
    if as_json:
        print_json([asdict(run) for run in runs])
        return
    table = grid("run", "workflow", "state", "commit", "took", "because")
    table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
    for run in runs:
        took = f"{run.ended - (run.started or run.created):.0f} s" if run.ended else ""
        table.add_row(str(run.number), run.workflow, run.state, run.sha[:8], took, escape(run.why))
    if runs:
        show(out(), table)
    else:
        out().print("no workflow has run yet")


def _heading(text: str) -> None:
    out().print(f"── {text} {'─' * (76 - len(text))}", style="bold", markup=False)


@forge.command(epilog="Example: mlops forge log 3")
@verb
def log(number: RunArgument) -> None:
    """Show what the jobs of a run said, and its summary: what failed, and what to run locally."""
    store = _store()
    run = store.get(number)
    folder = store.run_folder(number)
    for path in sorted(folder.glob("*.log")):
        if path.name != "worker.log":
            _heading(path.stem)
            out().print(path.read_text(encoding="utf-8").strip(), markup=False)
    summary = folder / "summary.md"
    if summary.is_file():
        _heading("summary")
        out().print(summary.read_text(encoding="utf-8").strip(), markup=False)
    _heading("outcome")
    _outcome(run)


@forge.command(epilog="Example: mlops forge watch 3")
@verb
def watch(number: RunArgument) -> None:
    """Follow a run, and those that it starts, to their end, or until one waits for an approval."""
    from mlops.forge.pushed.watch import follow, printer, unanswered

    def say(lines: Iterable[str]) -> None:
        for line in lines:
            out().print(line, markup=False)

    store = _store()
    store.get(number)
    say(unanswered(store, follow(store, [number], printer(store, say))))


@forge.command(epilog="Example: mlops forge approve 4 --by bea")
@verb
def approve(
    number: RunArgument,
    environment: Annotated[str, typer.Option(help="Optional when one is waited for.")] = "",
    by: Annotated[str, typer.Option(help="Who approves; default: git's user.name.")] = "",
    comment: Annotated[str, typer.Option(help="Why; history and board show it.")] = "",
) -> None:
    """Let a run's jobs into a protected environment."""
    from mlops.lifecycle.train.lineage import actor

    store = _store()
    store.get(number)
    chosen = environment or store.asked(number)
    if not chosen:
        raise NotFound(f"run {number} waits for no approval")
    store.approve(number, chosen, by or actor(state.root), comment)
    out().print(f"run {number} may enter {chosen}")


@forge.command(epilog="Example: mlops forge review 2 --by bea")
@verb
def review(
    number: Annotated[int, typer.Argument(min=1, help="Of the pull request.", metavar="PULL")],
    by: Annotated[str, typer.Option(help="Who approves; default: git's user.name.")] = "",
) -> None:
    """Approve a pull request as it is now. On this machine a name is what somebody typed."""
    from mlops.forge.git import Git
    from mlops.forge.local import LocalForge
    from mlops.lifecycle.train.lineage import actor

    _store()
    who = by or actor(state.root)
    LocalForge.of(Git(state.root)).approve(number, who)
    out().print(f"{who} approves pull request {number}", markup=False)


@forge.command(epilog="Example: mlops forge cancel 4")
@verb
def cancel(number: RunArgument) -> None:
    """End a run."""
    store = _store()
    if (run := store.get(number)).ended is not None:
        out().print(f"nothing to do: run {number} ended before ({run.state})")
        return
    store.cancel(number, "cancelled by hand")
    out().print(f"run {number} is asked to end")


@forge.command(epilog="Example: mlops forge start train-prices --input window=2013-01..2013-04")
@verb
def start(
    workflow: WorkflowArgument,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=VALUE", help="As the workflow asks for.")
    ] = None,
) -> None:
    """Start a workflow by hand on the default branch."""
    from mlops.forge.pushed.trigger import by_hand
    from mlops.lifecycle.train.lineage import actor

    given = dict(pair.partition("=")[::2] for pair in inputs or [])
    for run in by_hand(_store(), workflow, given, actor(state.root)).runs:
        out().print(f"{run.workflow} is run {run.number}; follow it with: mlops forge watch {run.number}")


@forge.command(epilog="Example: mlops forge off ci")
@verb
def off(workflow: WorkflowArgument) -> None:
    """Do not start a workflow on a push any more."""
    _switch(workflow, False)


@forge.command(epilog="Example: mlops forge on ci")
@verb
def on(workflow: WorkflowArgument) -> None:
    """Start a workflow on a push again."""
    _switch(workflow, True)


def _switch(workflow: str, run: bool) -> None:
    from dataclasses import replace

    store = _store()
    settings = store.settings()
    kept = {name: reason for name, reason in settings.off.items() if name != workflow}
    store.write_settings(
        replace(settings, off=kept if run else {**kept, workflow: "asked for by mlops forge off"})
    )
    out().print(f"a push {'starts' if run else 'does not start'} {workflow}")


def _outcome(run: Run) -> None:
    from mlops.forge.pushed.watch import verdict

    out().print(verdict(run)[0], markup=False)
