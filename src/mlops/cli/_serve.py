"""Verbs from a file to an endpoint: diff, apply, status, score, endpoints, stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mlops.cli._app import (
    EnvArgument,
    JsonOption,
    ModelOption,
    app,
    changes_pending,
    out,
    print_json,
    state,
    verb,
)
from mlops.errors import InvalidInput

EnvOption = Annotated[str, typer.Option("--env", "-e", help="An environment of environments/policy.yaml.")]


@app.command(epilog="Example: mlops diff prod")
@verb
def diff(env: EnvArgument, model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Show what `apply` would do; exit 0 when there is nothing, 2 when there are changes."""
    from mlops.lifecycle.apply import diff as plan_of

    name, _ = state.model(model)
    plan = plan_of(state.root, state.target, state.environment(env), name)
    if as_json:
        print_json(
            {
                "environment": env,
                "model": name,
                "direction": plan.direction,
                "served": plan.served,
                "steps": plan.lines(),
                "refusal": plan.refusal,
                "gates": [g.model_dump(mode="json") for g in plan.gates],
            }
        )
    elif plan.empty:
        out().print(f"{name} in {env}: nothing to do, release {plan.served} is served as the file says")
    else:
        out().print(f"{name} in {env}: release {plan.served or 'none'} is served; to do what the file says:")
        for number, line in enumerate(plan.lines(), 1):
            out().print(f"  {number}. {line}")
        if plan.refusal:
            out().print(f"[yellow]apply would refuse:[/] {plan.refusal}")
    if not plan.empty:
        changes_pending()


@app.command(epilog="Example: mlops apply staging")
@verb
def apply(
    env: EnvArgument,
    model: ModelOption = None,
    clear_hold: Annotated[
        str, typer.Option(help="Why a release that failed its analysis may be tried again.", metavar="REASON")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Make what is served what the committed file says. Safe to run again after any interruption."""
    from mlops.cli import _progress
    from mlops.lifecycle.apply import apply as carry_out
    from mlops.lifecycle.lineage import actor

    name, _ = state.model(model)
    env = state.environment(env)
    with _progress.live(quiet=as_json) as progress:
        outcome = carry_out(
            state.root,
            state.target,
            env,
            name,
            actor=actor(state.root),
            clear_hold=clear_hold,
            progress=progress.rollout,
        )
    if as_json:
        print_json(vars(outcome))
    elif outcome.changed:
        out().print(f"{name} in {env} serves release [bold]{outcome.release}[/] at {outcome.url}")
    else:
        out().print(f"{name} in {env}: nothing to do, release {outcome.release} is served at {outcome.url}")


@app.command(epilog="Example: mlops score --env prod --input rows.json")
@verb
def score(
    env: EnvOption,
    source: Annotated[
        Path, typer.Option("--input", "-i", help="JSON as POST /score takes it, or a CSV file with a header.")
    ],
    deployment: Annotated[str | None, typer.Option(help="Ask one deployment by name.")] = None,
    model: ModelOption = None,
) -> None:
    """Ask the endpoint for predictions and print its answer as JSON."""
    name, _ = state.model(model)
    payload = _payload(source)
    print_json(state.target.endpoints.score(state.environment(env), name, payload, deployment))


def _payload(source: Path) -> dict[str, Any]:
    if not source.exists():
        raise InvalidInput(f"{source} does not exist")
    if source.suffix.lower() == ".csv":
        return _csv(source)
    try:
        payload = json.loads(source.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{source} is not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise InvalidInput(f'{source} must hold an object such as {{"input_data": {{…}}}}')
    return payload


def _csv(source: Path) -> dict[str, Any]:
    import pandas as pd

    try:
        frame = pd.read_csv(source)
    except ValueError as error:  # the root of what pandas says of text that is no table
        raise InvalidInput(f"{source} is not CSV with a header: {error}") from None
    rows = json.loads(frame.to_json(orient="split", index=False))
    return {"input_data": {"columns": rows["columns"], "data": rows["data"]}}


@app.command(epilog="Example: mlops endpoints --json")
@verb
def endpoints(as_json: JsonOption = False) -> None:
    """List the endpoints of the target with their deployments and traffic."""
    found = state.target.endpoints.list()
    if as_json:
        print_json(
            [
                {
                    "environment": e.environment,
                    "model": e.model,
                    "url": e.url,
                    "deployments": [vars(d) for d in e.deployments],
                }
                for e in found
            ]
        )
        return
    if not found:
        out().print("no endpoints")
        return
    from rich.table import Table

    table = Table()
    for title in ("environment", "model", "deployment", "release", "traffic", "mirror", "state", "url"):
        table.add_column(title)
    for endpoint in found:
        for d in endpoint.deployments:
            table.add_row(
                endpoint.environment,
                endpoint.model,
                d.name,
                str(d.release),
                f"{d.traffic} %",
                f"{d.mirror} %" if d.mirror else "",
                d.state,
                endpoint.url,
            )
    out().print(table)


@app.command(epilog="Example: mlops stop staging")
@verb
def stop(
    env: Annotated[str | None, typer.Argument(help="An environment; default: all of them.")] = None,
    model: ModelOption = None,
) -> None:
    """Stop serving; `mlops apply` starts again."""
    name = state.model(model)[0] if model else None
    found = [
        e for e in state.target.endpoints.list() if env in (None, e.environment) and name in (None, e.model)
    ]
    for endpoint in found:
        state.target.endpoints.stop(endpoint.environment, endpoint.model)
        out().print(f"stopped {endpoint.model} in {endpoint.environment}")
    if not found:
        out().print("nothing is served there")
