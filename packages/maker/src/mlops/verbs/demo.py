"""`mlops demo`: the whole lifecycle on real data in a clone, with what happened told at the end."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import app, err, out, state, verb

PANEL = "The example"

if TYPE_CHECKING:
    from mlops.demo.sandbox import Sandbox
    from mlops.spec.gates import GateReport
    from mlops.targets.base import Target


@app.command(epilog="Example: mlops demo; then: mlops -C .mlops/demo/flights status")
@verb
def demo(
    clean: Annotated[
        bool, typer.Option("--clean", help="Stop its endpoints and remove all it made.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again from an empty state.")] = False,
    drift: Annotated[
        bool, typer.Option("--drift", help="Go on: months pass, a breach, a retrained model, what it brings.")
    ] = False,
) -> None:
    """Run the whole lifecycle on real data, in a clone below .mlops/demo."""
    from mlops.demo.sandbox import Sandbox

    sandbox = Sandbox(state.root)
    if clean:
        _clean(sandbox)
        out().print("the demo is removed")
        return
    began = time.monotonic()
    if fresh or (sandbox.folder.exists() and not sandbox.matches()):
        _clean(sandbox)
    new = not sandbox.folder.exists()
    if new:
        if sandbox.uncommitted():
            err().print(
                "[yellow]your uncommitted changes are not part of the demo[/]: it clones the last commit"
            )
        sandbox.create()
    target = _target(sandbox)
    _tell(sandbox, target, new, drift)
    _end(sandbox, target, time.monotonic() - began)


def _target(sandbox: Sandbox) -> Target:
    from mlops.spec.settings import load_settings
    from mlops.targets import open_target

    return open_target("local", sandbox.work, load_settings(sandbox.work))


def _clean(sandbox: Sandbox) -> None:
    if not sandbox.folder.exists():
        return
    sandbox.quiet()
    if (sandbox.work / "mlops.toml").is_file():
        target = _target(sandbox)
        for endpoint in target.endpoints.list():
            target.endpoints.stop(endpoint.environment, endpoint.model)
    sandbox.remove()


def _tell(sandbox: Sandbox, target: Target, new: bool, drift: bool) -> None:
    from rich.markup import escape

    from mlops.cli import _progress, _watch
    from mlops.demo import gain
    from mlops.demo.story import Show, Story

    def chapter(_: str, title: str) -> None:
        err().print()
        err().rule(f"[bold]{escape(title)}", align="left")

    def say(line: str) -> None:
        style = "bold cyan" if line.startswith("$ ") else "red" if line.startswith("exit ") else "dim"
        err().print(f"[{style}]{escape(line)}[/]")

    with _progress.live() as progress:
        seen = _watch.shown(sandbox.store, progress)
        show = Show(chapter, seen, progress.step, progress.rollout, _gates, say)
        story = Story(sandbox, target, show)
        story.tell()
        if drift:
            gain.tell(sandbox, target, show)
        elif not new:
            story.again()


def _gates(report: GateReport) -> None:
    from rich.markup import escape

    from mlops.lifecycle.decide.report import headline

    colour = "green" if report.passed else "red"
    err().print(f"  [{colour}]{escape(headline(report))}[/]")
    told = report.blocking or [g for g in report.gates if g.name.startswith("champion") and report.champion]
    for gate in told:
        err().print(f"  [dim]{escape(f'{gate.name}: {gate.observed}; {gate.limit}')}[/]")


def _end(sandbox: Sandbox, target: Target, seconds: float) -> None:
    from rich.markup import escape
    from rich.table import Table

    from mlops.demo.story import MODEL
    from mlops.demo.timeline import timeline
    from mlops.lifecycle.decide import report
    from mlops.lifecycle.train.evidence import stored_report
    from mlops.spec.files import load_policy

    order = load_policy(sandbox.work).order
    out().print()
    table = Table(title="What happened", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for title in ("time", "what", "commit"):
        table.add_column(title)
    for moment in timeline(target, order, MODEL):
        table.add_row(
            f"{moment.at.astimezone():%H:%M:%S}", escape(moment.text), f"[dim]{moment.commit[:8]}[/]"
        )
    out().print(table)
    out().print()
    compared = [v for v in target.registry.versions(MODEL) if v.version == 2]
    for version in compared:
        out().print(report.table(stored_report(target.registry, version)))
    out().print()
    _ask(sandbox, target, order[-1])
    here = _shown(sandbox.work)
    out().print(f"\n[bold]Done in {seconds:.0f} s.[/] Look further:")
    for command, what in (
        (f"mlops -C {here} status", "what is served where, and since when"),
        (f"mlops -C {here} history prod", "what was served before, and who approved"),
        (f"mlops -C {here} forge runs", "what git push ran; forge log N says what happened in one"),
        (f"mlops -C {here} ui", "runs, metrics, plots and models in MLflow"),
        (f"git -C {here} log --oneline --graph", "every decision is a commit"),
        ("make clean", "stop the endpoints and remove all of it"),
    ):
        out().print(f"  [cyan]{escape(command):<48}[/] {what}")
    if shutil.which("mlops") is None:
        out().print("  (mlops is in .venv/bin; source .venv/bin/activate puts it on your path)")


def _shown(path: Path) -> Path:
    """As a person would write it from the folder they are in."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _ask(sandbox: Sandbox, target: Target, env: str) -> None:
    """Three real flights to the endpoint of `env`, by curl where there is one."""
    import json
    import os

    from mlops.demo.story import MODEL, flights_to_score

    observed = target.endpoints.state(env, MODEL)
    payload = flights_to_score(target, env)
    request, header = sandbox.folder / "request.json", sandbox.folder / "key.txt"
    request.write_text(json.dumps(payload), encoding="utf-8")
    with os.fdopen(os.open(header, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(
            f"Authorization: Bearer {target.endpoints.key(env, MODEL)}\nContent-Type: application/json\n"
        )
    command = [
        "curl",
        "--silent",
        "--header",
        f"@{_shown(header)}",
        "--data",
        f"@{_shown(request)}",
        observed.url,
    ]
    out().print(f"[bold cyan]$ {' '.join(command)}[/]")
    if shutil.which("curl"):
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    else:
        answer = json.dumps(target.endpoints.score(env, MODEL, payload))
    out().print(answer, markup=False)
    rows = payload["input_data"]
    for row, chance in zip(rows["data"], json.loads(answer).get("predictions", []), strict=False):
        facts = dict(zip(rows["columns"], row, strict=True))
        flight = f"{facts['carrier']} {facts['origin']} to {facts['dest']}"
        out().print(f"  {flight}: {chance:.0%} likely to arrive late")
