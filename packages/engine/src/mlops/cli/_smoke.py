"""The verb smoke: what this project assumes of Azure or Databricks, tried once on a real account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import JsonOption, ModelOption, app, err, out, print_json, state, verb

if TYPE_CHECKING:
    from mlops.targets._smoke import Checked

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
    """Try what only a real account can tell, and clean up; exit 6 when something is not as assumed."""
    from mlops.errors import TargetError

    name, _ = state.model(model)
    where, costs, checks, tried = _of_target(state.environment(env) if env else None, name)
    err().print(f"This works in {where}. {costs}")
    if not yes and not typer.confirm("Go on?", err=True):
        raise typer.Exit(1)
    seen = []
    for checked in tried():
        seen.append(checked)
        if not as_json:
            _show(checked, checks[checked.name])
    if as_json:
        print_json([vars(checked) for checked in seen])
    wrong = [checked.name for checked in seen if checked.verdict == "wrong"]
    if wrong:
        page = "docs/azure-smoke.md" if state.target.name == "azure" else "docs/databricks.md"
        raise TargetError(f"not as assumed: {', '.join(wrong)}; {page} says what follows from it")


def _of_target(
    env: str | None, model: str
) -> tuple[str, str, Mapping[str, str], Callable[[], Iterator[Checked]]]:
    """Where the target's trial works, what it costs, what it assumes, and the trial itself."""
    from mlops.errors import InvalidInput, TargetError

    if state.target.name == "databricks":
        from mlops.targets.databricks import smoke as databricks
        from mlops.targets.databricks.connect import Connection as Databricks

        if env:
            raise InvalidInput("--env asks an endpoint for its request id; leave it out on Databricks")
        there = Databricks(state.root, state.settings)
        return databricks.place(there), databricks.COSTS, databricks.CHECKS, lambda: databricks.smoke(there)
    if state.target.name != "azure":
        raise TargetError(
            f"there is nothing to try on the target {state.target.name}; use --target azure or databricks"
        )
    from mlops.targets.azure import smoke as azure
    from mlops.targets.azure.connect import Connection

    connection = Connection(state.root, state.settings)
    place = connection.place(connection.training)
    where = f"the workspace {place.workspace} of {place.resource_group}"
    ask = _asking(env, model) if env else None
    return where, azure.COSTS, azure.CHECKS, lambda: azure.smoke(connection, ask)


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
