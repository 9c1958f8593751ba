"""`mlops pipeline run`: any job of Azure ML, on the target."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import JsonOption, err, out, print_json, state, verb
from mlops.cli._repository import pipeline
from mlops.errors import InvalidInput

if TYPE_CHECKING:
    from mlops.targets.base import JobResult, Jobs


@pipeline.command(
    epilog="Example: mlops pipeline run pipelines/flights/training.yml --only prep --input "
    "window=2013-01..2013-02"
)
@verb
def run(
    file: Annotated[Path, typer.Argument(help="A pipeline, or a command, sweep or Spark job.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME=VALUE",
            help="An input of the job, or JOB.NAME of one of its jobs; repeatable.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="JOB", help="Run this job anew, and what it reads; repeatable."),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="JOB", help="Run this job anew and all that comes after it."),
    ] = None,
    environment: Annotated[
        bool, typer.Option("--environment", help="Run each job in an environment made of its conda file.")
    ] = False,
    stand_ins: Annotated[
        list[str] | None,
        typer.Option("--stand-in", metavar="JOB=FILE", help="A component that replaces a job; repeatable."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="local, azure, databricks, or one of mlops.toml; default: as there."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run any job file here, or on Azure ML as it is. Nothing is registered unless a job does it."""
    from mlops.cli import _progress
    from mlops.cli._train import pairs
    from mlops.lifecycle.train.job import run_job
    from mlops.pipeline import Selection

    if target is not None:
        state.choose(target)
    replaced = {name: Path(text) for name, text in pairs(stand_ins or [], "--stand-in").items()}
    for name, path in replaced.items():
        if not path.is_file():
            raise InvalidInput(f"--stand-in {name}={path}: there is no such file")
    selection = Selection(tuple(only or ()), tuple(start or ()), environment=environment, stand_ins=replaced)
    if not file.is_file():
        raise InvalidInput(f"{file} does not exist; name the file of a pipeline or of a job")
    place, jobs, root = _place()
    if not as_json:
        err().print(f"Running [bold]{file}[/] on the target {place}")
        if place == "local" and not environment:
            note = "every job runs in this virtual environment; --environment makes those of the file"
            err().print(f"    [yellow]{note}[/]")
    with _progress.live(quiet=as_json) as progress:
        given = pairs(inputs or [], "--input")
        result = run_job(root, jobs, file, inputs=given, selection=selection, progress=progress.step)
    _say(result, as_json)


def _place() -> tuple[str, Jobs, Path]:
    """The target's name, its jobs, and the folder that a run belongs to.

    A run here needs no settings: nothing is registered. Without them its state is in the working folder.
    """
    if (root := state.repository) is not None:
        return state.target.name, state.target.jobs, root
    from mlops.spec.settings import FILE
    from mlops.targets.local import local_jobs

    here = (state.start or Path.cwd()).resolve()
    wanted = state.chosen_target or os.environ.get("MLOPS_TARGET") or "local"
    if wanted != "local":
        raise InvalidInput(
            f"the target {wanted} is what {FILE} says it is, and there is none in {here} or above; run in a "
            "repository made from the template, or on this machine: --target local"
        )
    return wanted, local_jobs(here), here


def _say(result: JobResult, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "run_id": result.run_id,
                "url": result.url or None,
                "steps": [vars(step) for step in result.steps],
                "outputs": {name: str(path) for name, path in result.outputs.items()},
            }
        )
        return
    out().print(f"run [bold]{result.run_id}[/] has finished {result.url}".rstrip())
    for name, path in result.outputs.items():
        out().print(f"  {name}: {path}")
