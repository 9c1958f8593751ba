"""Verbs on data assets: push."""

from __future__ import annotations

from mlops.cli._app import JsonOption, ModelOption, err, group, out, print_json, state, verb

data = group("data", "Data assets.")


@data.command(epilog="Example: mlops data push")
@verb
def push(model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Bring the raw data of pipelines/MODEL/data.yml to the target, once for each version."""
    name, _ = state.model(model)
    if not as_json:
        err().print(f"Looking for the data of [bold]{name}[/] on the target {state.target.name}", style="dim")
    pushed = state.target.data.push(name)
    if as_json:
        print_json(vars(pushed))
    elif pushed.new:
        out().print(f"[bold]{pushed.name}[/] version [bold]{pushed.version}[/] is there: {pushed.uri}")
    else:
        out().print(
            f"nothing to do: {pushed.name} version {pushed.version} with this digest is there already"
        )
