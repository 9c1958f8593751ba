"""Verbs on infrastructure: plan, purge, expired. Only `expired` asks Pulumi, for the dates in its state."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from mlops.cli._app import JsonOption, err, group, out, print_json, state, verb
from mlops.errors import Blocked, Inconclusive, InvalidInput, TargetError

infra = group("infra", "Infrastructure.")

StackOption = Annotated[
    list[str] | None, typer.Option("--stack", "-s", help="shared, dev, staging or prod; default: all.")
]


def _api(name: str = "mlops.infra.plan.api") -> ModuleType:
    """A module that needs Pulumi, which only who makes infrastructure installs."""
    import importlib

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
    lifetimes = _api("mlops.infra.expired").lifetimes(state.root)
    over = [one for one in lifetimes if one.expired(now)]
    if as_json:
        print_json(
            [{"stack": o.stack, "ttl": o.ttl, "updated": o.updated, "expires": o.expires} for o in over]
        )
        return
    for one in over:
        out().print(
            f"{one.stack} expired on {one.expires:%Y-%m-%d %H:%M} UTC ({one.ttl} after its last update)"
        )
    for one in lifetimes:
        if one not in over:
            err().print(f"{one.stack} expires on {one.expires:%Y-%m-%d %H:%M} UTC", style="dim")
    if not over:
        err().print("no environment has expired")


@infra.command(epilog="Example: mlops infra outdated --stack prod")
@verb
def outdated(
    stack: Annotated[
        str, typer.Option("--stack", "-s", help="The stack that this commit would be applied to.")
    ],
) -> None:
    """Refuse, with exit code 3, a commit when a newer one has been applied to the stack already."""
    from mlops.infra.outdated import newer_applied

    newer = newer_applied(state.root, stack)
    if newer is not None:
        raise Blocked(
            f"commit {newer[:12]} is newer than this one, and stack {stack} has it already: "
            "applying this one would take its changes back. Start a new run of the branch"
        )
    err().print(f"nothing newer has been applied to stack {stack}")


@infra.command(epilog="Example: mlops infra sizes --renew")
@verb
def sizes(
    renew: Annotated[
        bool,
        typer.Option("--renew", help="Read Microsoft's page again; writes environments/vm_sizes.yaml."),
    ] = False,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="That page as Markdown, where the network is absent.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the VM sizes that the stacks name, and when Azure retires them."""
    from datetime import UTC, datetime

    from mlops.spec import vm_sizes

    today = datetime.now(UTC).date()
    if renew or page:
        _renew(page, today)
        return
    program = _api("mlops.infra.sizes")
    named = program.named(state.root)
    if as_json:
        print_json(
            [
                {"stack": n.stack, "field": n.field, "size": n.size, "ends": n.ends, "gpu": n.gpu}
                for n in named
            ]
        )
        return
    known = vm_sizes.table(state.root)
    for one in named:
        said = vm_sizes.sentence(one.size, today, known) or f"{one.size} is not known to end"
        out().print(f"{one.stack} {one.field}: {said}")
    err().print(f"the table was read on {known.read}", style="dim")


def _renew(page: Path | None, today: date) -> None:
    from mlops.spec import vm_sizes

    try:
        ends = vm_sizes.ends_of_page(_page(page))
    except ValueError as error:
        raise InvalidInput(f"{page or vm_sizes.PAGE} {error}") from None
    text, lacking = vm_sizes.renewed(vm_sizes.table(state.root), ends, today)
    path = state.root / vm_sizes.OWN
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    err().print(f"{vm_sizes.OWN}: {len(ends) - len(lacking)} series have the days of the page")
    if lacking:
        raise Inconclusive(
            f"the page also has {', '.join(lacking)}: "
            f"add a line with the pattern of their sizes to {vm_sizes.OWN}"
        )


def _page(page: Path | None) -> str:
    from urllib.request import urlopen

    from mlops.spec.vm_sizes import PAGE

    try:
        if page:
            return page.read_text(encoding="utf-8")
        with urlopen(PAGE, timeout=30) as answer:  # noqa: S310  a fixed address
            return str(answer.read().decode("utf-8"))
    except OSError as error:
        raise TargetError(f"{page or PAGE} cannot be read: {error}; give it as a file with --page") from None
