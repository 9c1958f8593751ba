"""The verb smoke: what this project assumes of Azure, tried once on a real subscription."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import JsonOption, ModelOption, app, err, out, print_json, state, verb

if TYPE_CHECKING:
    from mlops.targets.azure.smoke import Checked

_COLOURS = {"as assumed": "green", "better": "cyan", "wrong": "bold red"}


@app.command(epilog="Example: mlops smoke --env staging")
@verb
def smoke(
    env: Annotated[
        str | None, typer.Option("--env", "-e", help="Also send one request to what this environment serves.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before something is made.")] = False,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try what only a real subscription can tell, and clean up; exit 6 when something is not as assumed."""
    from mlops.errors import TargetError
    from mlops.targets.azure import smoke as azure
    from mlops.targets.azure.connect import Connection

    if state.target.name != "azure":
        raise TargetError(f"there is nothing to try on the target {state.target.name}; use --target azure")
    name, _ = state.model(model)
    connection = Connection(state.root, state.settings)
    place = connection.place(connection.training)
    err().print(f"This works in the workspace {place.workspace} of {place.resource_group}. {azure.COSTS}")
    if not yes and not typer.confirm("Go on?", err=True):
        raise typer.Exit(1)
    ask = _asking(state.environment(env), name) if env else None
    checks = []
    for checked in azure.smoke(connection, ask):
        checks.append(checked)
        if not as_json:
            _show(checked, azure.CHECKS[checked.name])
    if as_json:
        print_json([vars(checked) for checked in checks])
    wrong = [checked.name for checked in checks if checked.verdict == "wrong"]
    if wrong:
        raise TargetError(
            f"not as assumed: {', '.join(wrong)}; docs/azure-smoke.md says what follows from it"
        )


def _asking(env: str, model: str) -> Callable[[str], str]:
    """One request with the live release's sample; answers the id that came back."""

    def ask(request_id: str) -> str:
        import requests

        from mlops.errors import NotFound, TargetError
        from mlops.lifecycle.apply.smoke import read_sample

        endpoints = state.target.endpoints
        endpoint = endpoints.state(env, model)
        if endpoint.live is None:
            raise NotFound(f"nothing of {model} is live in {env}; `mlops apply {env}` serves it")
        artifact = state.target.registry.fetch(model, endpoint.live.release, endpoint.live.digest)
        headers = {"authorization": f"Bearer {endpoints.key(env, model)}", "x-request-id": request_id}
        try:
            answer = requests.post(endpoint.url, json=read_sample(artifact), headers=headers, timeout=190)
        except requests.RequestException as error:
            raise TargetError(f"the endpoint of {model} in {env} cannot be reached: {error}") from None
        if answer.status_code != requests.codes.ok:
            raise TargetError(f"the endpoint of {model} in {env} answered {answer.status_code}")
        return str(answer.headers.get("x-request-id", ""))

    return ask


def _show(checked: Checked, assumed: str) -> None:
    from rich.markup import escape

    colour = _COLOURS[checked.verdict]
    out().print(f"[{colour}]{checked.verdict:>10}[/]  {escape(checked.name)}: {escape(checked.found)}")
    out().print(f"            [dim]{escape(assumed)}[/]")
