"""Verbs from a commit to a release: train, gate, register, versions, release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mlops.cli._app import JsonOption, ModelOption, app, err, out, print_json, state, verb
from mlops.errors import Blocked, InvalidInput

if TYPE_CHECKING:
    from mlops.spec.schema import Task

VersionArgument = Annotated[
    int | None, typer.Argument(min=1, help="Registered version; default: the newest.", metavar="[VERSION]")
]


def _inputs(pairs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidInput(f"--set {pair!r} is not of the form name=value")
        found[name] = value
    return found


def _windows(**given: str | None) -> dict[str, str]:
    """Those that were given; a typing error shall not cost the start of a training run."""
    from mlops.spec.window import Window

    found: dict[str, str] = {}
    for name, text in given.items():
        if text is None:
            continue
        try:
            found[name] = str(Window.parse(text))
        except ValueError as error:
            raise InvalidInput(f"--{name.replace('_', '-')}: {error}; got {text!r}") from None
    return found


@app.command(epilog="Example: mlops train --window 2013-01..2013-04 --test-window 2013-05")
@verb
def train(
    model: ModelOption = None,
    window: Annotated[
        str | None, typer.Option(help="Months to learn from, for example 2013-01..2013-03.")
    ] = None,
    test_window: Annotated[str | None, typer.Option(help="Later months to test on.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other pipeline input.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the training pipeline; unchanged steps are reused."""
    from mlops.cli import _progress
    from mlops.lifecycle.train import train as run

    name, _ = state.model(model)
    inputs = _inputs(settings or [])
    inputs |= _windows(window=window, test_window=test_window)
    if not as_json:
        err().print(f"Training [bold]{name}[/] on the target {state.target.name}")
    with _progress.live(quiet=as_json) as progress:
        trained = run(state.root, state.target, name, inputs, progress.step)
    if as_json:
        print_json(
            {
                "model": trained.model,
                "version": trained.version,
                "digest": trained.digest,
                "run_id": trained.run_id,
                "new": trained.new,
                "reused_steps": trained.reused,
            }
        )
        return
    if trained.new:
        out().print(
            f"[bold]{name}[/] version [bold]{trained.version}[/] is registered (run {trained.run_id[:8]})"
        )
    else:
        out().print(f"nothing changed: this is [bold]{name}[/] version [bold]{trained.version}[/]")


@app.command(epilog="Example: mlops gate 7 --markdown gate.md")
@verb
def gate(
    version: VersionArgument = None,
    model: ModelOption = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the verdict as Markdown to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a version with its limits and with the champion on the same rows; exit 3 when blocked."""
    from mlops.lifecycle import report
    from mlops.lifecycle.evidence import gate as judge

    name, _ = state.model(model)
    verdict = judge(state.target, state.root, name, version)
    if markdown:
        markdown.write_text(report.markdown(verdict), encoding="utf-8")
    if as_json:
        print_json(verdict.model_dump(mode="json") | {"passed": verdict.passed})
    else:
        out().print(report.table(verdict))
    if not verdict.passed:
        raise Blocked(report.headline(verdict))


@app.command(epilog="Example: mlops release 7")
@verb
def release(
    version: VersionArgument = None,
    model: ModelOption = None,
    propose: Annotated[
        bool, typer.Option("--propose", help="Open a pull request instead of changing the work tree only.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the release file of a version that passed, and ask for it in the first environment."""
    from mlops.lifecycle.release import propose_release
    from mlops.lifecycle.release import release as write

    name, _ = state.model(model)
    made = write(state.root, state.target, name, version)
    request = None
    if propose:
        from mlops.forge import open_forge

        forge = open_forge(state.root, state.settings)
        request = propose_release(state.root, forge, made)
    if as_json:
        print_json(
            {
                "model": name,
                "release": made.release.version,
                "environment": made.environment,
                "replaces": made.replaces,
                "written": list(made.written),
                "pull_request": request.url if request else None,
            }
        )
        return
    if request:
        out().print(f"pull request {request.number} ({request.state}): {request.title}, {request.url}")
    elif made.written:
        out().print(f"release {made.release.version} of {name} is written; commit it to have it served:")
        out().print(
            f"  git add {' '.join(made.written)} && git commit -m 'Release {name} {made.release.version}'"
        )
    else:
        out().print(f"nothing to do: release {made.release.version} of {name} is already in the files")


@app.command(epilog="Example: mlops register ./trained-elsewhere --task binary --classes no,yes")
@verb
def register(
    path: Annotated[Path, typer.Argument(help="An MLflow model folder with a signature.")],
    model: ModelOption = None,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass or regression; when the folder does not say it.")
    ] = None,
    classes: Annotated[str, typer.Option(help="Class labels in the order of the probabilities.")] = "",
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Accept a model that runs its own code when it is loaded.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Register a model that was trained elsewhere; it goes through the same gates."""
    from mlops.lifecycle.register import register_external

    name, _ = state.model(model)
    if task not in (None, "binary", "multiclass", "regression"):
        raise InvalidInput(f"--task must be binary, multiclass or regression; got {task!r}")
    labels = [label for label in classes.split(",") if label]
    made = register_external(
        state.root,
        state.target.registry,
        path,
        name,
        task=cast("Task | None", task),
        classes=labels,
        allow_pickle=allow_pickle,
    )
    if as_json:
        print_json(vars(made))
    else:
        out().print(f"[bold]{name}[/] version [bold]{made.version}[/] is registered")


versions = typer.Typer(no_args_is_help=True, help="Registered versions.")
app.add_typer(versions, name="versions")


@versions.command("list", epilog="Example: mlops versions list --tag mlops.gate=pass")
@verb
def list_versions(
    model: ModelOption = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only versions with this tag.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List registered versions, newest first."""
    from mlops.lifecycle.versions import find

    name, _ = state.model(model)
    rows = find(state.target.registry, name, tag or [])
    if as_json:
        print_json([vars(row) for row in rows])
        return
    if not rows:
        out().print(
            f"no version of {name}" + (" with these tags" if tag else "; train one with: mlops train")
        )
        return
    from rich.table import Table

    table = Table()
    for title in ("version", "live in", "gate", "trained on", "commit", "digest", "registered"):
        table.add_column(title)
    for row in rows:
        digest = row.digest.removeprefix("sha256:")[:12]
        when = f"{row.created:%Y-%m-%d %H:%M}"
        table.add_row(
            str(row.version), ", ".join(row.live), row.gate, row.window, row.commit[:8], digest, when
        )
    out().print(table)


@versions.command("delete", epilog="Example: mlops versions delete 3")
@verb
def delete_version(
    version: Annotated[int, typer.Argument(min=1, help="Registered version.")], model: ModelOption = None
) -> None:
    """Delete a version; refused while an environment serves or names it."""
    from mlops.lifecycle.versions import delete

    name, _ = state.model(model)
    delete(state.target.registry, name, version)
    out().print(f"{name} version {version} is deleted")
