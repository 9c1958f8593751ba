"""Verbs from a file to an endpoint: diff, apply, status, score, endpoints, stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops.cli._app import (
    EachModelOption,
    EnvArgument,
    JsonOption,
    ModelOption,
    app,
    changes_pending,
    err,
    group,
    out,
    print_json,
    state,
    verb,
)
from mlops.cli._models import AllOption, chosen, each
from mlops.errors import InvalidInput

if TYPE_CHECKING:
    from mlops.lifecycle.apply.environment import Outcome
    from mlops.lifecycle.decide.plan import Plan
    from mlops.spec.schema import ModelSchema


@app.command(epilog="Example: mlops diff prod")
@verb
def diff(
    env: EnvArgument, model: ModelOption = None, everything: AllOption = False, as_json: JsonOption = False
) -> None:
    """Show what `apply` would do; exit 0 when there is nothing, 2 when there are changes."""
    from mlops.lifecycle.apply.environment import diff as plan_of
    from mlops.lifecycle.desired.provenance import Wanted

    plans: list[Plan] = []
    shown: list[dict[str, Any]] = []

    def one(name: str) -> None:
        plan = plan_of(state.root, state.target, env, name, wanted=wanted)
        plans.append(plan)
        shown.append(_plain(env, name, plan))
        if not as_json:
            _show(env, name, plan)

    env = state.environment(env)
    asked = _asked_for(env, model, everything)
    wanted = Wanted(state.root, env, asked)
    each(asked, one)
    if as_json:
        print_json(shown if everything else shown[0])
    if not all(plan.empty for plan in plans):
        changes_pending()


def _plain(env: str, name: str, plan: Plan) -> dict[str, Any]:
    return {
        "environment": env,
        "model": name,
        "direction": plan.direction,
        "served": plan.served,
        "steps": plan.lines(),
        "refusal": plan.refusal,
        "gates": [g.model_dump(mode="json") for g in plan.gates],
    }


def _show(env: str, name: str, plan: Plan) -> None:
    if plan.empty:
        out().print(f"{name} in {env}: nothing to do, release {plan.served} is served as the file says")
        return
    out().print(f"{name} in {env}: release {plan.served or 'none'} is served; to do what the file says:")
    for number, line in enumerate(plan.lines(), 1):
        out().print(f"  {number}. {line}")
    if plan.refusal:
        out().print(f"[yellow]apply would refuse:[/] {plan.refusal}")


def _asked_for(env: str, model: str | None, everything: bool) -> list[str]:
    """The models to serve: with `--all` those that a file of `env` names, which need not be every one."""
    from mlops.forge.git import Git
    from mlops.spec.files import desired_path

    names = chosen(model, everything)
    if not everything:
        return names
    git = Git(state.root)
    asked = [
        name
        for name in names
        if (state.root / desired_path(env, name)).exists() or git.show("HEAD", desired_path(env, name))
    ]
    if not asked:
        err().print(f"no file in environments/{env} asks for a release yet", style="dim")
    return asked


@app.command(epilog="Example: mlops apply staging; then: mlops apply prod --all")
@verb
def apply(
    env: EnvArgument,
    model: ModelOption = None,
    everything: AllOption = False,
    clear_hold: Annotated[
        str, typer.Option(help="Why a release that failed its analysis may be tried again.", metavar="REASON")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Make what is served what the committed file says. Safe to run again after any interruption."""
    from mlops.cli import _progress
    from mlops.forge import open_forge
    from mlops.forge.approved import approvals
    from mlops.lifecycle.apply.environment import apply as carry_out
    from mlops.lifecycle.train.lineage import actor

    if everything and clear_hold:
        raise InvalidInput("--clear-hold is about one release; name its model with --model instead of --all")
    outcomes: list[Outcome] = []

    def one(name: str) -> None:
        with _progress.live(quiet=as_json) as progress:
            outcome = carry_out(
                state.root,
                state.target,
                env,
                name,
                actor=actor(state.root),
                clear_hold=clear_hold,
                progress=progress.rollout,
                approved=approvals(),
                forge=partial(open_forge, state.root, state.settings),
            )
        outcomes.append(outcome)
        if as_json:
            return
        if outcome.changed:
            out().print(f"{name} in {env} serves release [bold]{outcome.release}[/] at {outcome.url}")
        else:
            out().print(
                f"{name} in {env}: nothing to do, release {outcome.release} is served at {outcome.url}"
            )

    env = state.environment(env)
    try:
        each(_asked_for(env, model, everything), one)
    finally:
        if as_json and (everything or outcomes):
            print_json([vars(o) for o in outcomes] if everything else vars(outcomes[0]))


@app.command(epilog="Example: mlops score prod --input rows.json")
@verb
def score(
    env: EnvArgument,
    source: Annotated[
        Path,
        typer.Option(
            "--input",
            "-i",
            help="JSON as POST /score takes it, or rows: CSV, Parquet, JSON Lines, a JSON list.",
        ),
    ],
    deployment: Annotated[str | None, typer.Option(help="Ask one deployment by name.")] = None,
    model: ModelOption = None,
) -> None:
    """Ask the endpoint for predictions and print its answer as JSON."""
    name, _ = state.model(model)
    env = state.environment(env)
    payload = _payload(source, partial(_taken, env, name, deployment))
    print_json(state.target.endpoints.score(env, name, payload, deployment))


def _taken(env: str, model: str, deployment: str | None) -> ModelSchema:
    """What the deployment that answers takes: rows of a file are read by it. Raises `NotFound`."""
    from mlops.errors import NotFound
    from mlops.serving.score.core import read_schema

    deployments = state.target.endpoints.state(env, model).deployments
    asked = [d for d in deployments if deployment in (None, d.name)]
    if not asked:
        named = f" called {deployment}" if deployment else ""
        raise NotFound(f"{model} has no deployment{named} in {env} that could say how to read the file")
    chosen = max(asked, key=lambda d: d.traffic)
    return read_schema(state.target.registry.fetch(model, chosen.release, chosen.digest))


def _payload(source: Path, schema: Callable[[], ModelSchema]) -> dict[str, Any]:
    """The body of a request: JSON as it is, rows of other files by the types of `schema`."""
    if not source.is_file():
        raise InvalidInput(f"{source} {'is no file' if source.exists() else 'does not exist'}")
    if source.suffix.lower() in (".csv", ".jsonl", ".parquet"):
        from mlops.serving.score.rows import body, check_csv

        if source.suffix.lower() == ".csv":
            # Told without asking the endpoint what its columns are.
            check_csv(source)
        return body(schema(), source)
    try:
        payload = json.loads(source.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{source} is not JSON: {error}") from None
    except RecursionError:
        raise InvalidInput(f"{source} is not what POST /score takes: its lists nest too deeply") from None
    if isinstance(payload, list) and all(isinstance(row, dict) for row in payload):
        return {"input_data": payload}
    if not isinstance(payload, dict):
        raise InvalidInput(f'{source} must hold an object such as {{"input_data": {{…}}}}')
    return payload


@app.command(epilog="Example: mlops endpoints --json")
@verb
def endpoints(model: EachModelOption = None, as_json: JsonOption = False) -> None:
    """List the endpoints of the target with their deployments and traffic."""
    name = state.model(model)[0] if model else None
    listed = [e for e in state.target.endpoints.list() if name in (None, e.model)]
    if as_json:
        print_json(
            [
                {
                    "environment": e.environment,
                    "model": e.model,
                    "url": e.url,
                    "deployments": [vars(d) for d in e.deployments],
                }
                for e in listed
            ]
        )
        return
    if not listed:
        out().print("no endpoints")
        return
    from rich.table import Table

    table = Table()
    for title in ("environment", "model", "deployment", "release", "traffic", "mirror", "state", "url"):
        table.add_column(title)
    for endpoint in listed:
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


keys = group("keys", "Keys of endpoints.")


@keys.command(epilog="Example: mlops keys rotate prod")
@verb
def rotate(env: EnvArgument, model: ModelOption = None) -> None:
    """Make a new first key; the one before stays good as the second key until the next rotation."""
    name, _ = state.model(model)
    env = state.environment(env)
    state.target.endpoints.rotate(env, name)
    out().print(
        f"{name} in {env} has a new first key. The one before is its second key now: callers that have it go "
        "on, and must have the new one before this verb runs again"
    )


def _served(env: str | None) -> list[tuple[str, str]]:
    """Environment and model of all endpoints; those of `env` also when the state of one cannot be read."""
    try:
        return [(e.environment, e.model) for e in state.target.endpoints.list()]
    except InvalidInput:
        if env is None:
            raise
        return [(state.environment(env), model) for model in state.settings.models]


@app.command(epilog="Example: mlops stop staging")
@verb
def stop(
    env: Annotated[str | None, typer.Argument(help="An environment; default: all of them.")] = None,
    model: EachModelOption = None,
) -> None:
    """Stop serving; `mlops apply` starts again."""
    name = state.model(model)[0] if model else None
    served = [pair for pair in _served(env) if env in (None, pair[0]) and name in (None, pair[1])]
    for environment, one in served:
        state.target.endpoints.stop(environment, one)
        out().print(f"stopped {one} in {environment}")
    if not served:
        if env is not None:
            state.environment(env)  # one that the policy no longer has can be stopped; a typo is an error
        out().print("nothing is served there")
