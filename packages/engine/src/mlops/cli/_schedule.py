"""Verbs that need a target with a clock or a cluster: schedule, batch-job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops.cli._app import EnvArgument, JsonOption, ModelOption, app, err, group, out, print_json, state, verb

schedule = group("schedule", "What Azure ML runs by the clock.")


@schedule.command("apply", epilog="Example: mlops schedule apply prod pipelines/MODEL/monitor.yml")
@verb
def apply(
    env: EnvArgument,
    file: Annotated[Path, typer.Argument(help="A schedule or a monitor, as Azure ML takes it.")],
    model: ModelOption = None,
) -> None:
    """Make a schedule, or bring it up to date; a monitor watches what is live."""
    from mlops.lifecycle.apply import schedule as verbs

    name, _ = state.model(model)
    scheduled = verbs.apply(state.root, state.target, state.environment(env), name, file)
    out().print(f"[bold]{scheduled}[/] is scheduled in {env}")


@schedule.command("list", epilog="Example: mlops schedule list prod")
@verb
def list_schedules(env: EnvArgument, as_json: JsonOption = False) -> None:
    """List the schedules of an environment."""
    from mlops.lifecycle.apply import schedule as verbs

    schedules = verbs.names(state.target, state.environment(env))
    if as_json:
        print_json(dict(schedules))
        return
    for name, enabled in sorted(schedules.items()):
        out().print(f"{name}{'' if enabled else ' [dim](disabled)[/]'}")
    if not schedules:
        out().print(f"no schedule in {env}")


@schedule.command("remove", epilog="Example: mlops schedule remove prod MODEL-monitor-prod")
@verb
def remove(env: EnvArgument, name: Annotated[str, typer.Argument(help="As `list` shows it.")]) -> None:
    """Disable and delete a schedule."""
    from mlops.lifecycle.apply import schedule as verbs

    verbs.remove(state.target, state.environment(env), name)
    out().print(f"{name} is removed from {env}")


@app.command("batch-job", epilog="Example: mlops batch-job prod --data azureml:to-score:1")
@verb
def batch_job(
    data: Annotated[str, typer.Option(help="Folder in Azure: azureml:<name>:<version> or a URI.")],
    env: Annotated[
        str | None,
        typer.Argument(help="Score by what is live there; default: the last environment.", metavar="[ENV]"),
    ] = None,
    release: Annotated[int | None, typer.Option(min=1, help="Score by this release instead.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end of the job.")] = False,
    pipeline: Annotated[
        bool, typer.Option("--pipeline", help="Deploy all steps of batch.yml, not its entry script alone.")
    ] = False,
    model: ModelOption = None,
) -> None:
    """Score a folder in Azure on a cluster, through the model's batch endpoint."""
    from mlops.lifecycle.apply.schedule import batch_job as run

    name, _ = state.model(model)
    place = state.environment(env) if env else None
    err().print(f"Scoring {data}")
    job, what = run(
        state.root,
        state.target,
        name,
        data,
        env=place,
        release=release,
        wait=not detach,
        pipeline=pipeline,
    )
    out().print(f"job {job} {'scores' if detach else 'has scored'} {data} by {what}")
