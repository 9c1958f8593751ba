"""Verbs that propose a change of what is served: promote, rollback, pr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import EnvArgument, JsonOption, ModelOption, app, group, out, print_json, state, verb
from mlops.errors import InvalidInput

if TYPE_CHECKING:
    from mlops.forge.base import Forge
    from mlops.lifecycle.propose.promote import Promotion


def _forge() -> Forge:
    from mlops.forge import open_forge

    return open_forge(state.root, state.settings)


@app.command(epilog="Example: mlops promote prod")
@verb
def promote(
    env: EnvArgument,
    model: ModelOption = None,
    release: Annotated[
        int | None, typer.Option(min=1, help="Release; default: what the environment before serves.")
    ] = None,
    bypass: Annotated[
        str, typer.Option(metavar="GATES", help="Hotfix: skip these rules, for example order,soak.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why the rules are skipped; goes into the file.")] = "",
    approver: Annotated[str, typer.Option(help="Who answers for skipping them.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Open the one-line pull request that brings a release into ENV, if policy allows it."""
    from datetime import UTC, datetime

    from pydantic import ValidationError

    from mlops.lifecycle.propose.promote import promote as propose
    from mlops.lifecycle.train.lineage import actor
    from mlops.spec.desired import Bypass

    name, _ = state.model(model)
    excused = None
    if bypass or reason or approver:
        try:
            excused = Bypass(
                gates=[g.strip() for g in bypass.split(",") if g.strip()], reason=reason, approver=approver
            )
        except ValidationError as error:
            wrong = "; ".join(f"--{e['loc'][0]}: {e['msg']}" for e in error.errors())
            raise InvalidInput(f"a hotfix needs --bypass, --reason and --approver ({wrong})") from None
    proposed = propose(
        state.root,
        state.target,
        _forge(),
        state.environment(env),
        name,
        actor=actor(state.root),
        now=datetime.now(UTC),
        release=release,
        bypass=excused,
    )
    _show(proposed, as_json)


@app.command(epilog='Example: mlops rollback prod --reason "predictions look wrong since noon"')
@verb
def rollback(
    env: EnvArgument,
    reason: Annotated[str, typer.Option(help="Why; it becomes the hold that keeps automation off.")],
    model: ModelOption = None,
    to: Annotated[
        int | None, typer.Option(min=1, help="A release verified here; default: the one before.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Open the pull request that undoes the last promotion and puts ENV on hold."""
    from datetime import UTC, datetime

    from mlops.lifecycle.propose.promote import rollback as propose
    from mlops.lifecycle.train.lineage import actor

    name, _ = state.model(model)
    proposed = propose(
        state.root,
        state.target,
        _forge(),
        state.environment(env),
        name,
        actor=actor(state.root),
        now=datetime.now(UTC),
        reason=reason,
        to=to,
    )
    _show(proposed, as_json)


def _show(made: Promotion, as_json: bool) -> None:
    request = made.pull_request
    if as_json:
        print_json(
            {
                "environment": made.env,
                "model": made.model,
                "release": made.release,
                "replaces": made.replaces,
                "rules": [rule.model_dump(mode="json") for rule in made.rules],
                "pull_request": vars(request) if request else None,
            }
        )
    elif request is None:
        out().print(f"nothing to do: the file of {made.env} already asks for release {made.release}")
    else:
        out().print(f"pull request {request.number} ({request.state}): [bold]{request.title}[/]")
        out().print(f"  {request.url}")


requests = group("pr", "Pull requests of the lifecycle.")


@requests.command("list", epilog="Example: mlops pr list --json")
@verb
def list_requests(as_json: JsonOption = False) -> None:
    """List open pull requests."""
    from rich.markup import escape

    opened = _forge().list_open()
    if as_json:
        print_json([vars(request) for request in opened])
        return
    for request in opened:
        out().print(f"{request.number:>4}  {escape(request.title)}", soft_wrap=True)
        # An address that a line break cuts cannot be clicked or copied.
        out().print(f"      [dim]{escape(f'{request.branch}  {request.url}'.strip())}[/]", soft_wrap=True)
    if not opened:
        out().print("no open pull request")


@requests.command("merge", epilog="Example: mlops pr merge 3 --approver ann")
@verb
def merge_request(
    number: Annotated[int, typer.Argument(min=1, help="As in `mlops pr list`.")],
    approver: Annotated[str, typer.Option(help="Who approves; goes into the merge commit.")] = "",
) -> None:
    """Merge one; the forge's own rules apply."""
    forge = _forge()
    commit = forge.merge(number, approver)
    if not forge.runs_workflows:
        out().print(f"merged as {commit[:8]}; then: git pull, and mlops apply ENV")
    elif state.settings.forge.kind == "local":
        out().print(f"merged as {commit[:8]}; what it starts: mlops forge runs")
    else:
        out().print(f"merged as {commit[:8]}; the forge's workflows go on from here")
