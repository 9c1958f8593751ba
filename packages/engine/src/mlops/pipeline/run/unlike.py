"""What Azure ML would do for a step and this machine does not: notes that are told at the step."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlops.pipeline.binding import parse_parent
from mlops.pipeline.models import Output
from mlops.pipeline.parts import Pipeline, Step
from mlops.pipeline.run.snapshot import code_files
from mlops.spec import engine

SET_HERE = ("AZUREML_RUN_ID", "AZUREML_ROOT_RUN_ID")
"""Variables of Azure ML that a step finds on this machine too (`process.step_environment`)."""
_VARIABLE = re.compile(r"\b(?:AZUREML|AZURE_ML|AZ_BATCHAI|AZ_BATCH)_[A-Z0-9_]*[A-Z0-9]\b")
_READ = (".py", ".sh", ".bash", ".r", ".ipynb")
_LARGEST = 1_000_000
"""Bytes of a file that is looked through."""


def unlike_azure(pipeline: Pipeline, step: Step) -> list[str]:
    """A sentence for each thing."""
    notes: list[str] = []
    for name in step.component.outputs:
        notes += _of_output(name, _owner(pipeline, step, name))
    if missing := sorted(_asked(step) - _known(step.variables)):
        what = "variables" if len(missing) > 1 else "the variable"
        notes.append(f"it reads {what} {', '.join(missing)}, which Azure ML sets and this machine does not")
    return notes


def _owner(pipeline: Pipeline, step: Step, name: str) -> Output | None:
    """Where an output says where it goes: the pipeline's, when it is bound to one, else the job's own."""
    given = step.node.outputs.get(name)
    bound = parse_parent(given.binding) if given is not None else None
    return pipeline.job.outputs.get(bound.name) if bound is not None else given


def _of_output(name: str, output: Output | None) -> Iterator[str]:
    if output is None:
        return
    if output.path and "://" in output.path:
        yield f"output {name} stays on this machine, on Azure ML it goes to {output.path}"
    if output.name:
        asset = f"{output.name}:{output.version}" if output.version is not None else output.name
        yield f"output {name} is not registered, on Azure ML it becomes the asset {asset}"
    if output.mode == "direct":
        yield f"output {name} is a folder here, on Azure ML mode: direct gives the command an address"


def _known(variables: Mapping[str, object]) -> set[str]:
    return {*SET_HERE, *variables, *os.environ}


def _asked(step: Step) -> set[str]:
    """Names of Azure ML's variables in the command and in the step's own code."""
    found = set(_VARIABLE.findall(step.component.command))
    for file in _sources(step):
        if file.suffix.lower() in _READ and file.stat().st_size <= _LARGEST:
            found |= set(_VARIABLE.findall(file.read_text(encoding="utf-8", errors="replace")))
    return found


def _sources(step: Step) -> Iterator[Path]:
    """Files that go with the step, but for the engine: it asks for nothing that it does not get."""
    own = [place for place in step.includes if engine.FOLDER not in place.as_posix()]
    for place in [*([step.code] if step.code is not None else []), *own]:
        if place.is_dir():
            yield from code_files(place)
        elif place.is_file():
            yield place
