"""Verbs that only look: check, status, history, pipeline lint."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlops.cli._app import (
    EachModelOption,
    EnvArgument,
    JsonOption,
    ModelOption,
    app,
    err,
    group,
    out,
    print_json,
    state,
    verb,
)
from mlops.cli._models import every
from mlops.errors import IntegrityError, InvalidInput, Unproven

if TYPE_CHECKING:
    from mlops.lifecycle.watch.status import EnvironmentStatus
    from mlops.lint import Options, Verdict

pipeline = group("pipeline", "Pipeline files.")


_SHOWN = 50
"""Rows of a history that a person reads."""
FormatOption = Annotated[
    Literal["text", "json", "sarif", "github"],
    typer.Option("--format", help="Lines, JSON, SARIF, or annotations of a GitHub workflow."),
]


@pipeline.command(epilog="Example: mlops pipeline lint pipelines")
@verb
def lint(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; default: pipelines/ of the repository.")
    ] = None,
    model: EachModelOption = None,
    as_json: JsonOption = False,
    form: FormatOption = "text",
    azure: Annotated[bool, typer.Option(help="Ask azure-ai-ml too, offline, where it is installed.")] = True,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also name every file and what became of it.")
    ] = False,
) -> None:
    """Find what Azure ML would refuse, drop or do otherwise, in files of any kind and place."""
    from mlops.lint import examine, report
    from mlops.spec.engine import export
    from mlops.spec.visible import visible

    repository = state.repository
    if repository is not None:
        export(repository)
    if paths:
        chosen = paths
    else:
        folder = state.root / "pipelines"
        chosen = [folder / state.model(model)[0] if model else folder]
    verdict = examine(chosen, _options(repository, azure=azure))
    if not paths:
        verdict = _with_code(verdict, model)
    if as_json or form == "json":
        print_json(report.as_json(verdict))
    elif form == "sarif":
        print_json(report.as_sarif(verdict))
    else:
        lines = report.as_github(verdict) if form == "github" else report.as_text(verdict, verbose=verbose)
        for line in lines:
            sys.stdout.write(f"{visible(line)}\n")
    if verdict.blocking:
        raise typer.Exit(InvalidInput.exit_code)


def _with_code(verdict: Verdict, model: str | None) -> Verdict:
    """What lies between the files and the code of each model."""
    from dataclasses import replace

    from mlops.lifecycle.desired import dependencies, parameters, rows
    from mlops.lint import Finding, rule_names
    from mlops.lint.finding import ordered

    off = rule_names(state.settings.lint.off)
    findings = list(verdict.findings)
    for name in [model] if model else state.settings.models:
        judged = {
            "missing-package": dependencies.problems(state.root, name),
            "parameter-apart": parameters.problems(state.root, name),
            "split-on-spark": rows.problems(state.root, name),
        }
        for rule, problems in judged.items():
            for problem in problems if rule not in off else ():
                file, _, line = problem.where.partition(":")
                findings.append(Finding(rule, file, int(line or 1), problem.field, problem.message))
    return replace(verdict, findings=tuple(ordered(findings)))


def _options(repository: Path | None, *, azure: bool) -> Options:
    """House rules count in the folders that the repository's mlops.toml names; elsewhere only errors do."""
    from mlops.lint import Options, rule_names
    from mlops.pipeline.read import not_here
    from mlops.spec.vm_sizes import table

    today = datetime.now(UTC).date()
    if repository is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return Options(azure=azure, memory=cache / "mlops-lint", here=not_here, today=today)
    chosen = state.settings.lint
    return Options(
        house=tuple((repository / folder).resolve() for folder in chosen.folders),
        off=rule_names(chosen.off),
        vm_sizes=frozenset(size.lower() for size in chosen.vm_sizes),
        sizes=table(repository),
        today=today,
        azure=azure,
        memory=repository / state.settings.local.state / "lint",
        here=not_here,
    )


@app.command(epilog="Example: mlops check --base origin/main")
@verb
def check(
    base: Annotated[
        str | None, typer.Option(help="Also judge every change since this commit, as a pull request needs.")
    ] = None,
    registry: Annotated[
        bool,
        typer.Option(
            "--registry", help="Also compare each release with what the target's registry recorded."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Validate every file under environments/ and releases/, the gates of models, and every transition."""
    from datetime import UTC, datetime

    from rich.markup import escape

    from mlops.lifecycle.desired.check import check as problems_of
    from mlops.template.divergence import divergences

    target = state.target if registry else None

    def note(text: str) -> None:
        err().print(f"[yellow]note[/] {escape(text)}", highlight=False)

    problems = problems_of(state.root, base, now=datetime.now(UTC), target=target, note=note)
    for diverging in divergences(state.root):
        note(diverging.sentence)
    if as_json:
        print_json([vars(p) for p in problems])
    if any(isinstance(problem, Unproven) for problem in problems):
        raise IntegrityError("\n".join(map(str, problems)))
    if problems:
        raise InvalidInput(problems)
    if not as_json:
        out().print("no problems")


@app.command(epilog="Example: mlops status --json")
@verb
def status(model: EachModelOption = None, as_json: JsonOption = False) -> None:
    """Show what is served where, since when, by which commit, with its metrics."""
    from mlops.lifecycle.watch.status import status as rows_of

    rows = {name: rows_of(state.root, state.target, name) for name in every(model)}
    if as_json:
        print_json([_plain(row) for served in rows.values() for row in served])
        return
    for name, served in rows.items():
        _show(name, served)


def _show(name: str, rows: list[EnvironmentStatus]) -> None:
    from rich.markup import escape

    from mlops.cli._tables import day, grid, show

    out().print(f"[bold]{escape(name)}[/]")
    table = grid("environment", "release", "file says", "health", "since", "commit")
    for row in rows:
        since = day(row.since) if row.since else ""
        served, wanted = (f"{number or '-'}" for number in (row.served, row.wanted))
        table.add_row(row.env, served, wanted, row.health, since, row.commit[:8])
    show(out(), table)
    for row in rows:
        for line in _more(row):
            out().print(f"[dim]{row.env}[/]: {escape(line)}", soft_wrap=True)
    for row in rows:
        for d in row.deployments:
            if d.state != "ready":
                said = f": {d.detail}" if d.detail else ""
                out().print(f"[red]{row.env}[/]: {d.name} (release {d.release}) is {d.state}{escape(said)}")
        if row.failure:
            out().print(f"[red]{row.env}[/]: release {row.wanted} was sent back: {escape(row.failure)}")
        if row.hold:
            out().print(f"[yellow]{row.env}[/] is on hold by {escape(f'{row.hold.by}: {row.hold.reason}')}")


def _more(row: EnvironmentStatus) -> Iterator[str]:
    """What does not fit beside the others: address, shares of the traffic, and metrics with their months."""
    if row.url:
        yield row.url
    if len(row.deployments) > 1:
        yield ", ".join(f"{d.name} (release {d.release}) has {d.traffic} %" for d in row.deployments)
    if row.metrics:
        values = ", ".join(f"{k} {v.value:.4f}" for k, v in list(row.metrics.items())[:3])
        yield values + (f" on {row.tested}" if row.tested else "")


def _plain(row: EnvironmentStatus) -> dict[str, object]:
    return vars(row) | {
        "deployments": [vars(d) for d in row.deployments],
        "metrics": {k: v.model_dump(mode="json") for k, v in row.metrics.items()},
        "hold": row.hold.model_dump(mode="json") if row.hold else None,
    }


@app.command(epilog="Example: mlops history prod")
@verb
def history(
    env: EnvArgument,
    model: ModelOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many; default: 50 as text, all as JSON.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was served when, by which commit, and who approved it."""
    from mlops.lifecycle.desired.history import history as rows_of

    name, _ = state.model(model)
    moves = rows_of(state.root, state.target, state.environment(env), name)
    rows = moves[: limit if limit is not None or as_json else _SHOWN]
    if as_json:
        print_json([{**asdict(row), "approved_by": row.approved_by} for row in rows])
        return
    if not rows:
        out().print(f"nothing was served in {env} yet")
        return
    from rich.markup import escape

    from mlops.cli._tables import day

    out().print(f"[bold]{escape(name)} in {env}[/]")
    for row in rows:
        out().print(f"{day(row.at)}  release {row.release}  {row.outcome}  {row.commit[:8]}")
        for line in dict.fromkeys((row.subject, row.why, row.detail)):
            if line:
                out().print(f"    {escape(line)}")
        asked = f"asked for by {row.author}, " if row.author else ""
        out().print(f"    [dim]{escape(f'{asked}applied by {row.actor}')}[/]")
        for yes in row.approved_by:
            out().print(f"    [dim]approved by {escape(yes)}[/]")
        if not row.approved_by:
            out().print("    [dim]no approval is recorded[/]")
    if older := len(moves) - len(rows):
        out().print(f"{older} older; --limit {len(moves)} shows them")
