"""`mlops start`: endpoints of this machine come back after a reboot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import EachModelOption, JsonOption, app, out, print_json, state, verb
from mlops.cli._models import every
from mlops.errors import InvalidInput, TargetError

if TYPE_CHECKING:
    from mlops.lifecycle.apply.start import Started

PAUSE = 5.0
"""Seconds between two looks of --stay."""


@app.command(epilog="Example: mlops start")
@verb
def start(
    env: Annotated[str | None, typer.Argument(help="An environment; default: all of them.")] = None,
    model: EachModelOption = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="Do not end, and bring back what goes down; for a service.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring back every endpoint that is down, as it was served; after a reboot, for example."""
    from mlops.lifecycle.apply.start import start as bring_back
    from mlops.spec.files import load_policy

    if stay and as_json:
        raise InvalidInput("--stay goes on for ever and has no JSON; leave one of them out")
    environments = load_policy(state.root).order if env is None else [state.environment(env)]
    places = [(one, name) for one in environments for name in every(model)]
    told: dict[tuple[str, str], Started] = {}

    def look() -> list[Started]:
        started = []
        for one in bring_back(state.target.endpoints, places):
            started.append(one)
            # What stays as it was is said once.
            if not as_json and (told.get((one.env, one.model)) != one or one.outcome == "started"):
                _show(one)
            told[one.env, one.model] = one
        return started

    started = look()
    while stay:
        time.sleep(PAUSE)
        look()
    if as_json:
        print_json([vars(one) for one in started])
    elif not started:
        out().print("nothing was served; `mlops apply` starts what the files ask for")
    down = [f"{one.model} in {one.env}" for one in started if one.outcome == "down"]
    if down:
        raise TargetError(f"still down: {', '.join(down)}")


def _show(one: Started) -> None:
    from rich.markup import escape

    what = f"{one.model} in {one.env}"
    if one.outcome == "down":
        out().print(f"[red]down[/] {what}: {escape(one.why)}")
    else:
        word = "serves" if one.outcome == "up" else "serves again"
        out().print(f"{what} {word} release {one.release or '-'} at {one.url}")
