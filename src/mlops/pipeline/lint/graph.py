"""What a pipeline's wiring gets wrong: bindings, cycles, types, values, inputs and outputs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from mlops.errors import Problem
from mlops.pipeline.binding import looks_bound, parse_parent
from mlops.pipeline.models import DATA_TYPES, Port, Value
from mlops.pipeline.read import Pipeline, Step
from mlops.pipeline.types import fits, mismatch

Loc = tuple[str | int, ...]


def check_graph(pipeline: Pipeline) -> Iterator[Problem]:
    """Every problem of the wiring, in the order of the file."""
    yield from _pipeline_inputs(pipeline)
    for step in pipeline.steps.values():
        yield from _step_inputs(pipeline, step)
        yield from _step_outputs(pipeline, step)
    yield from _pipeline_outputs(pipeline)
    yield from _cycle(pipeline)


def unknown(name: str, kind: str, names: Iterable[str]) -> str:
    """The sentence for a name that is not among `names`."""
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"there is no {kind} {name!r}; there is: {', '.join(known) or 'none'}{hint}"


def check_data_path(pipeline: Pipeline, loc: Loc, value: Value) -> Iterator[Problem]:
    """A data input's path is a pinned asset, a URI, or something that exists here."""
    path = value.path
    if path is None or looks_bound(path) or "://" in path:
        return
    if path.startswith("azureml:"):
        name, _, version = path.removeprefix("azureml:").partition(":")
        if not version or "@" in name:
            message = f"{path!r} names no version; pin one (azureml:<name>:<version>)"
            yield pipeline.document.problem((*loc, "path"), message)
    elif not (pipeline.path.parent / path).exists():
        yield pipeline.document.problem((*loc, "path"), f"{path!r} does not exist beside the file")


def _pipeline_inputs(pipeline: Pipeline) -> Iterator[Problem]:
    used = {
        bound.name
        for node in pipeline.job.jobs.values()
        for value in node.inputs.values()
        if (bound := parse_parent(value.given)) is not None and bound.kind == "input"
    }
    for name, value in pipeline.job.inputs.items():
        yield from check_data_path(pipeline, ("inputs", name), value)
        if name not in used:
            yield pipeline.document.problem(("inputs", name), "no job uses this input")


def _step_inputs(pipeline: Pipeline, step: Step) -> Iterator[Problem]:
    ports = step.component.inputs
    for name, value in step.node.inputs.items():
        loc: Loc = ("jobs", step.name, "inputs", name)
        if name not in ports:
            yield pipeline.document.problem(
                loc, unknown(name, f"input of component {step.component.name}", ports)
            )
            continue
        for message in _value(pipeline, step, value, ports[name]):
            yield pipeline.document.problem(loc, message)
        yield from check_data_path(pipeline, loc, value)
    for name, port in ports.items():
        if name not in step.node.inputs and port.default is None and not port.optional:
            message = (
                f"the required input {name!r} ({port.type}) of component {step.component.name} is not given"
            )
            yield pipeline.document.problem(("jobs", step.name, "inputs"), message)


def _value(pipeline: Pipeline, step: Step, value: Value, port: Port) -> Iterator[str]:
    given = value.given
    if given is None:
        yield "has no value; give a literal, a path or a binding"
        return
    if not looks_bound(given):
        if why := mismatch(given, port):
            yield why
        return
    bound = parse_parent(given)
    if bound is None or bound.kind == "output":
        yield (
            f"{given!r} is no binding of an input; allowed: ${{{{parent.inputs.<name>}}}}, "
            f"${{{{parent.jobs.<job>.outputs.<name>}}}}"
        )
    elif bound.kind == "input":
        source = pipeline.job.inputs.get(bound.name)
        if source is None:
            yield unknown(bound.name, "input of the pipeline", pipeline.job.inputs)
        else:
            yield from _parent_value(step, bound.name, source, port)
    elif bound.job not in pipeline.job.jobs:
        yield unknown(bound.job, "job", pipeline.job.jobs)
    elif (producer := pipeline.steps.get(bound.job)) is not None:
        output = producer.component.outputs.get(bound.name)
        if output is None:
            yield unknown(bound.name, f"output of job {bound.job!r}", producer.component.outputs)
        elif step.node.component is None and value.type is None:
            return  # a command written in place takes what it is given
        elif not fits(output.type or "uri_folder", port):
            yield f"{bound.job}.{bound.name} is {output.type}, but this input needs {port.type}"


def _parent_value(step: Step, name: str, source: Value, port: Port) -> Iterator[str]:
    if source.type is not None:
        if step.node.component is not None and not fits(source.type, port):
            yield f"the pipeline's input {name!r} is {source.type}, but this input needs {port.type}"
        return
    if source.given is None or source.is_path:
        return
    if port.type in DATA_TYPES:
        literal = f"the literal {source.given!r}"
        yield f"the pipeline's input {name!r} is {literal}, but this input needs {port.type}"
    elif why := mismatch(source.given, port):
        yield f"the pipeline's input {name!r} does not fit: {why}"


def _step_outputs(pipeline: Pipeline, step: Step) -> Iterator[Problem]:
    for name, output in step.node.outputs.items():
        loc: Loc = ("jobs", step.name, "outputs", name)
        declared = step.component.outputs.get(name)
        if declared is None:
            message = unknown(name, f"output of component {step.component.name}", step.component.outputs)
            yield pipeline.document.problem(loc, message)
            continue
        if not looks_bound(output.binding):
            continue
        bound = parse_parent(output.binding)
        if bound is None or bound.kind != "output":
            message = (
                f"{output.binding!r} is no binding of an output; allowed: ${{{{parent.outputs.<name>}}}}"
            )
            yield pipeline.document.problem(loc, message)
        elif (target := pipeline.job.outputs.get(bound.name)) is None:
            yield pipeline.document.problem(
                loc, unknown(bound.name, "output of the pipeline", pipeline.job.outputs)
            )
        elif target.type is not None and declared.type is not None and target.type != declared.type:
            message = f"is {declared.type}, but the pipeline's output {bound.name!r} is {target.type}"
            yield pipeline.document.problem(loc, message)


def _pipeline_outputs(pipeline: Pipeline) -> Iterator[Problem]:
    writers: dict[str, list[str]] = {}
    for job, node in pipeline.job.jobs.items():
        for output in node.outputs.values():
            bound = parse_parent(output.binding)
            if bound is not None and bound.kind == "output":
                writers.setdefault(bound.name, []).append(job)
    for name in pipeline.job.outputs:
        given = writers.get(name, [])
        if not given:
            message = f"no job writes this output; bind one to ${{{{parent.outputs.{name}}}}}"
            yield pipeline.document.problem(("outputs", name), message)
        elif len(given) > 1:
            yield pipeline.document.problem(
                ("outputs", name), f"several jobs write this output: {', '.join(given)}"
            )


def _cycle(pipeline: Pipeline) -> Iterator[Problem]:
    graph = {
        job: {
            bound.job
            for value in node.inputs.values()
            if (bound := parse_parent(value.given)) is not None and bound.kind == "job"
        }
        for job, node in pipeline.job.jobs.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        path = error.args[1]
        message = f"the jobs wait for one another: {' -> '.join(path)}; remove one of these bindings"
        yield pipeline.document.problem(("jobs", path[0]), message)
