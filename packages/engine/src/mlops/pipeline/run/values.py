"""What the inputs of a pipeline and of its steps stand for in one run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.binding import HOLE, looks_bound, parse_parent
from mlops.pipeline.models import DATA_TYPES, Value
from mlops.pipeline.parts import Pipeline, Step
from mlops.pipeline.run.snapshot import input_digest
from mlops.pipeline.types import literal_text, mismatch
from mlops.spec._yaml import Document

AssetResolver = Callable[[str, str], str]
"""Name and version of a data asset to a local path or a URI."""


FOLDERS = ("uri_folder", "mltable", "mlflow_model")
"""Types whose data are a folder; a model of another type may be a file."""


@dataclass(frozen=True)
class Given:
    """The text that goes into a command, and what it counts as in a step's key."""

    text: str
    identity: str
    is_path: bool = False
    kept: bool = False
    """Another step has made it, and later runs read it again."""


def pipeline_inputs(
    pipeline: Pipeline, overrides: Mapping[str, str], resolve: AssetResolver, *, here: bool = True
) -> dict[str, Given]:
    """Every input of the pipeline that has a value. `here`: steps run on this machine, which mounts nothing.

    Raises `InvalidInput` for an unknown name, a value that a step's input does not admit, a path or an asset
    that is not there.
    """
    problems = []
    own, overrides = _of_steps(pipeline, overrides)
    for (name, key), text in own.items():
        if why := mismatch(text, pipeline.steps[name].component.inputs[key]):
            problems.append(Problem(pipeline.document.name, why, f"{name}.{key}"))
    for step in pipeline.steps.values():
        for key, value in step.node.inputs.items():
            bound = parse_parent(value.given)
            port = step.component.inputs.get(key)
            if bound is None or bound.kind != "input" or port is None or bound.name not in overrides:
                continue
            if why := mismatch(overrides[bound.name], port):
                problems.append(
                    Problem(pipeline.document.name, f"{why} ({step.name}.{key})", f"inputs.{bound.name}")
                )
    if problems:
        raise InvalidInput(problems)
    given = job_inputs(pipeline.document, pipeline.path, pipeline.job.inputs, overrides, resolve, here=here)
    for (name, key), text in own.items():
        step = pipeline.steps[name]
        port, given_there = step.component.inputs[key], step.node.inputs.get(key)
        given[f"{name}.{key}"] = _given(
            step.owner.document,
            (*step.owner.loc, "inputs", key),
            text,
            is_data=port.type in DATA_TYPES,
            base=Path.cwd(),
            mounted=not here or ((given_there and given_there.mode) or port.mode) == "direct",
            resolve=resolve,
            kind=port.type,
        )
    return given


def _of_steps(
    pipeline: Pipeline, overrides: Mapping[str, str]
) -> tuple[dict[tuple[str, str], str], dict[str, str]]:
    """Values for inputs of steps, `JOB.NAME`, and the others, which are the pipeline's own."""
    own, rest = {}, {}
    for name, text in overrides.items():
        job, _, key = name.rpartition(".")
        if job in pipeline.steps and key in pipeline.steps[job].component.inputs:
            own[job, key] = text
        else:
            rest[name] = text
    return own, rest


def job_inputs(
    document: Document,
    path: Path,
    declared: Mapping[str, Value],
    overrides: Mapping[str, str],
    resolve: AssetResolver,
    *,
    here: bool = True,
) -> dict[str, Given]:
    """Every declared input of a job (the file `path`) that has a value.

    Raises `InvalidInput` for an override of an unknown name, an input without a value, a path or an asset
    that is not there, and data that lie elsewhere when the job runs `here`.
    """
    problems = [
        Problem(
            document.name,
            f"the {document.value.get('type', 'job')} has no input {name!r}; it has: {', '.join(declared)}",
        )
        for name in overrides
        if name not in declared
    ]
    values = {}
    for name, value in declared.items():
        given = overrides.get(name, value.given)
        if given is None:
            problems.append(document.problem(("inputs", name), "has no value; give one when you run it"))
            continue
        # An override comes from a command line: relative to where the user stands, not to the file.
        base = Path.cwd() if name in overrides else path.parent
        values[name] = _given(
            document,
            ("inputs", name),
            given,
            is_data=value.is_data,
            base=base,
            mounted=not here or value.mode == "direct",
            resolve=resolve,
            kind=value.type,
        )
    if problems:
        raise InvalidInput(problems)
    return values


def step_inputs(
    pipeline: Pipeline,
    step: Step,
    *,
    inputs: Mapping[str, Given],
    outputs: Mapping[tuple[str, str], Given],
    resolve: AssetResolver,
    here: bool = True,
) -> dict[str, Given]:
    """What the inputs of a step are, those left out that are optional and have no value.

    Raises `InvalidInput` for data that are not there, or lie elsewhere when the step runs `here`.
    """
    values = {
        name: step_input(pipeline, step, name, inputs=inputs, outputs=outputs, resolve=resolve, here=here)
        for name in step.component.inputs
    }
    return {name: value for name, value in values.items() if value is not None}


def step_input(
    pipeline: Pipeline,
    step: Step,
    key: str,
    *,
    inputs: Mapping[str, Given],
    outputs: Mapping[tuple[str, str], Given],
    resolve: AssetResolver,
    here: bool = True,
) -> Given | None:
    """What the input `key` of a step is; None for an optional one without a value."""
    if (chosen := inputs.get(f"{step.name}.{key}")) is not None:
        return chosen
    port = step.component.inputs[key]
    value = step.node.inputs.get(key)
    if value is None or value.given is None:
        return None if port.default is None else _literal(port.default)
    bound = parse_parent(value.given)
    if bound is None:
        return _given(
            step.owner.document,
            (*step.owner.loc, "inputs", key),
            _filled(value.given, inputs),
            is_data=value.is_data or port.type in DATA_TYPES,
            base=pipeline.path.parent,
            mounted=not here or (value.mode or port.mode) == "direct",
            resolve=resolve,
            kind=value.type or port.type,
            name=f"{step.name}.{key}",
        )
    if bound.kind == "job":
        return outputs[bound.job, bound.name]
    given = inputs.get(bound.name)
    if given is None and port.default is not None:
        return _literal(port.default)
    return given


def _filled(given: object, inputs: Mapping[str, Given]) -> object:
    """A text with inputs of the pipeline in the middle of it."""
    if not looks_bound(given):
        return given

    def hole(match: re.Match[str]) -> str:
        bound = parse_parent(match[0])
        value = inputs.get(bound.name) if bound is not None and bound.kind == "input" else None
        return match[0] if value is None else value.text

    return HOLE.sub(hole, str(given))


def _literal(value: object) -> Given:
    text = literal_text(value)
    return Given(text, text)


def _given(
    document: Document,
    loc: tuple[str | int, ...],
    given: object,
    *,
    is_data: bool,
    base: Path,
    mounted: bool,
    resolve: AssetResolver,
    kind: str | None,
    name: str = "",
) -> Given:
    """`mounted`: an address is all that is needed, because somebody reads it who can.

    `name`: what it is called when somebody gives another value, where that is not the last part of `loc`.
    """
    called = name or loc[-1]
    text = literal_text(given)
    if not is_data:
        return Given(text, text)
    if text.startswith("azureml:") and not text.startswith("azureml://"):
        asset, mark, version = text.removeprefix("azureml:").partition(":")
        if not mark and mounted:
            return Given(text, text)
        if not mark:
            what = f"{text!r} names no version of a data asset, so nobody can say which rows they are"
            raise InvalidInput(
                document.problem(
                    loc,
                    f"{what}; name one (azureml:NAME:VERSION), or give a copy when you run it here "
                    f"({called}=PATH)",
                )
            )
        text = resolve(asset, version)
        base = Path.cwd()
    text = text.removeprefix("file://")
    if "://" in text:
        if mounted:
            return Given(text, text)
        scheme = text.partition("://")[0]
        raise InvalidInput(
            document.problem(
                loc,
                f"{text!r} lies behind {scheme}://, and nothing is mounted on this machine; download it and "
                f"give the copy when you run it here ({called}=PATH), or run it on Azure ML "
                "(--target azure)",
            )
        )
    path = Path(os.path.expanduser(text))  # noqa: PTH111 (Path.expanduser raises for an unknown user)
    path = path if path.is_absolute() else base / path
    if not path.exists():
        raise InvalidInput(document.problem(loc, f"{text!r} does not exist ({path})"))
    if why := _misfit(path, kind):
        raise InvalidInput(document.problem(loc, f"{text!r} is {why}"))
    path = path.resolve()
    return Given(str(path), input_digest(path), is_path=True)


def _misfit(path: Path, kind: str | None) -> str:
    """What is wrong with data of a type that is a file, or one that is a folder."""
    if kind == "uri_file":
        return "a folder; uri_file needs a file" if path.is_dir() else ""
    if kind in FOLDERS and path.is_file():
        return f"a file; {kind} needs a folder"
    if kind == "mltable" and not (path / "MLTable").is_file():
        return "a folder without a file MLTable, which mltable needs"
    return ""
