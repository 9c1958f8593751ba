"""Verbs on infrastructure: plan, purge, expired. Only `expired` asks Pulumi, for the dates in its state."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from mlops.cli._app import JsonOption, err, group, out, print_json, state, verb
from mlops.errors import InvalidInput

infra = group("infra", "Infrastructure.")

StackOption = Annotated[
    list[str] | None, typer.Option("--stack", "-s", help="shared, dev, staging or prod; default: all.")
]


def _api(name: str = "infra.plan.api") -> ModuleType:
    """A module of the program in the repository at hand; it is no part of the installed package."""
    import importlib

    root = str(state.root)
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"infrastructure needs {error.name!r}; install the group with: uv sync --group infra"
        ) from None


@infra.command(epilog="Example: mlops infra plan --stack prod --against origin/main")
@verb
def plan(
    stack: StackOption = None,
    against: Annotated[str, typer.Option(metavar="COMMIT", help="Show what changes since this commit.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown for a pull request or a job summary.")
    ] = False,
    arm: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write one ARM template a stack to this folder.")
    ] = None,
    properties: Annotated[bool, typer.Option(help="Show the properties of every resource.")] = True,
) -> None:
    """Show what Pulumi would make and judge it by policy; exit 3 on a violation."""
    if as_json and markdown:
        raise InvalidInput("--json and --markdown are two formats; choose one")
    api = _api()
    if not as_json and not markdown:
        err().print("Running the program of the stacks without a cloud, then the policies", style="dim")
    planned = api.plan(state.root, stacks=stack, against=against)
    if arm is not None:
        for path in api.write_arm(planned, arm):
            err().print(f"wrote {path}", style="dim")
    if as_json:
        text = api.render.to_json(planned)
    elif markdown:
        text = api.render.markdown(planned)
    else:
        text = api.render.text(planned, properties=properties)
    out().print(text, markup=False, soft_wrap=True)
    api.enforce(planned)


@infra.command(epilog="Example: mlops infra purge --stack dev")
@verb
def purge(stack: StackOption = None) -> None:
    """List the soft-deleted names that a stack would collide with, and the commands that free them."""
    out().print(_api().purge(state.root, stacks=stack), markup=False, soft_wrap=True)


@infra.command(epilog="Example: mlops infra expired --json")
@verb
def expired(as_json: JsonOption = False) -> None:
    """List the environments whose time to live (`ttl`) has passed since their last update."""
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    found = _api("infra.expired").lifetimes(state.root)
    over = [one for one in found if one.expired(now)]
    if as_json:
        print_json(
            [{"stack": o.stack, "ttl": o.ttl, "updated": o.updated, "expires": o.expires} for o in over]
        )
        return
    for one in over:
        out().print(
            f"{one.stack} expired on {one.expires:%Y-%m-%d %H:%M} UTC ({one.ttl} after its last update)"
        )
    for one in found:
        if one not in over:
            err().print(f"{one.stack} expires on {one.expires:%Y-%m-%d %H:%M} UTC", style="dim")
    if not over:
        err().print("no environment has expired")
