"""The verb profile: what an endpoint takes, and the machines for a wished rate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import EnvArgument, JsonOption, ModelOption, app, err, out, print_json, state, verb

if TYPE_CHECKING:
    from mlops.profile.model import Point, Profile, Wish

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)")


@app.command(epilog="Example: mlops profile staging --rate 500 --p99 50ms")
@verb
def profile(
    env: EnvArgument,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Requests a second to plan for.")] = None,
    p99: Annotated[str | None, typer.Option(help="Latency to keep, such as 50ms; needs --rate.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows a request.")] = 1,
    connections: Annotated[
        str, typer.Option(help="Requests at a time, one measurement each.")
    ] = "1,2,4,8,16,32,64",
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of a measurement.")] = 3.0,
    min_instances: Annotated[int, typer.Option(min=1, max=50, help="Instances at least.")] = 2,
    vcpu_speed: Annotated[
        float, typer.Option(min=0.01, help="Speed of an Azure vCPU relative to a core here.")
    ] = 0.7,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; default: profile/ in the local state.")
    ] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drive an endpoint at rising concurrency; recommend a VM size and instance count for a rate."""
    from mlops.lifecycle.watch.profile import profile as measure_endpoint
    from mlops.profile import report

    name, _ = state.model(model)
    env = state.environment(env)
    wish = _wish(rate, p99, min_instances, vcpu_speed)
    folder = output or state.root / state.settings.local.state / "profile" / env / name

    def keep(measured: Profile) -> None:
        report.write(folder, measured, wish)

    done = measure_endpoint(
        state.target,
        name,
        env,
        rows=rows,
        connections=_numbers(connections),
        seconds=seconds,
        wish=wish,
        root=state.root,
        keep=keep,
        progress=(lambda point: None) if as_json else _show,
    )
    report.write(folder, done.profile, wish, done.recommendation)
    if as_json:
        print_json(
            {
                "profile": done.profile.model_dump(mode="json"),
                "recommendation": done.recommendation.model_dump() if done.recommendation else None,
                "files": sorted(folder.glob("profile.*")),
            }
        )
        return
    from rich.markdown import Markdown

    out().print(Markdown(report.markdown(done.profile, wish, done.recommendation)))
    out().print(f"written to {folder}")


def _wish(rate: float | None, p99: str | None, min_instances: int, vcpu_speed: float) -> Wish | None:
    from mlops.errors import InvalidInput
    from mlops.profile.model import Wish

    if rate is None and p99 is None:
        return None
    if rate is None or p99 is None:
        raise InvalidInput("a recommendation needs both --rate and --p99, for example --rate 500 --p99 50ms")
    match = _DURATION.fullmatch(p99.strip())
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else 0.0
    if seconds <= 0:
        raise InvalidInput(f"--p99 must be a duration such as 50ms or 0.5s; got {p99!r}")
    return Wish(rate=rate, p99=seconds, min_instances=min_instances, vcpu_speed=vcpu_speed)


def _numbers(text: str) -> list[int]:
    from mlops.errors import InvalidInput

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 1024 for part in parts):
        raise InvalidInput(
            f"--connections must be whole numbers from 1 to 1024, such as 1,8,32; got {text!r}"
        )
    return [int(part) for part in parts]


def _show(point: Point) -> None:
    cpu = "" if point.cpu is None else f", {point.cpu:.2f} cores"
    failed = f", [red]{point.failures} failed[/]" if point.failures else ""
    bound = ", [yellow]load generator at its limit[/]" if point.client_bound else ""
    err().print(
        f"  {point.connections:>4} connections: {point.rate:,.0f} requests/s, "
        f"p99 {point.p99 * 1000:.2f} ms{cpu}{failed}{bound}"
    )
