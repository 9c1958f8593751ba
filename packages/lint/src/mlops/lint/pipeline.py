"""Wiring of a pipeline job or component: bindings, types, values, cycles, who writes what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from mlops.lint.asset import check_data
from mlops.lint.expression import Hole, broken, holes
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.interface import FLOW, Interface, described, interface_of, kind_of_node, ports, required
from mlops.lint.node import At, texts
from mlops.lint.references import check_path, is_remote
from mlops.lint.shape import unknown
from mlops.lint.values import DATA, PRIMITIVE, check_port_name, fits, mismatch, type_of_port

_JOB = re.compile(r"[a-z_][a-z0-9_]*")
_AROUND = re.compile(r"\$\{\{.*?\}\}")
_BOUND = ("inputs", "outputs", "compute")
_OWN_HOLES = ("command", "args", "append_row_to", "input_data", "component", "trial", "task")
"""Fields of a job whose `${{inputs.…}}` are those of the job itself."""


@dataclass(frozen=True)
class Scope:
    """A pipeline with the ports of its jobs."""

    top: At
    jobs: dict[str, At]
    faces: dict[str, Interface]

    @property
    def inputs(self) -> dict[str, At]:
        return ports(self.top["inputs"])

    @property
    def outputs(self) -> dict[str, At]:
        return ports(self.top["outputs"])


def scope_of(top: At, files: Files) -> Scope:
    """The jobs of a pipeline with their ports."""
    jobs = {name: node for name, node in top["jobs"].fields() if isinstance(node.value, dict)}
    return Scope(top, jobs, {name: interface_of(node, files) for name, node in jobs.items()})


def check_wiring(scope: Scope) -> Iterator[Finding]:
    """Every problem of the wiring."""
    yield from _names(scope)
    for name, node in scope.jobs.items():
        face = scope.faces[name]
        yield from face.findings
        yield from check_given(node, face, scope)
        yield from _holes(node, scope)
        yield from _outputs(node, face, scope)
        yield from _compute(node["compute"], scope)
        yield from _flow(node, scope)
    yield from _compute(scope.top.at("settings", "default_compute"), scope)
    yield from _used(scope)
    yield from _written(scope)
    yield from _cycle(scope)


def _compute(place: At, scope: Scope) -> Iterator[Finding]:
    """A compute is bound to an input that is text."""
    for hole in holes(place.text or ""):
        source = scope.inputs.get(hole.name) if hole.side == "parent.input" else None
        kind = type_of_port(source)
        literal = source.value if source is not None else None
        if kind and kind != "string":
            yield place.says(
                "type-mismatch", f"the pipeline's input {hole.name!r} is {kind}, but a compute is text"
            )
        elif isinstance(literal, int | float):
            yield place.says(
                "type-mismatch", f"the pipeline's input {hole.name!r} is {literal!r}, but a compute is text"
            )


def _names(scope: Scope) -> Iterator[Finding]:
    for name, place in scope.top["jobs"].fields():
        if not _JOB.fullmatch(name):
            message = f"{name!r} must be small letters, digits and '_', not starting with a digit"
            yield place.says("bad-name", message)
    for owner in (scope.top, *scope.jobs.values()):
        for field in ("inputs", "outputs"):
            for name, place in owner[field].fields():
                yield from check_port_name(place, name)


def check_given(node: At, face: Interface, scope: Scope | None) -> Iterator[Finding]:
    """Inputs that a job gives: declared, of the right type, and all that are required."""
    drawn = set(node["search_space"].names())
    for name, value in node["inputs"].fields():
        if face.inputs is not None and name not in face.inputs and kind_of_node(node) not in FLOW:
            yield value.says("unknown-input", unknown(name, f"input of {described(face)}", face.inputs))
            continue
        yield from _value(value, None if face.own else (face.inputs or {}).get(name), scope)
    for name, port in required(face):
        if name not in node["inputs"] and name not in drawn:
            kind = type_of_port(port) or "of any type"
            message = f"the required input {name!r} ({kind}) of {described(face)} is not given"
            yield node["inputs"].says("missing-input", message)


def _value(value: At, port: At | None, scope: Scope | None) -> Iterator[Finding]:
    if isinstance(value.value, dict):
        if "path" in value:
            given, data = value["path"], True
        else:
            given, data = value["value"], False
    else:
        given, data = value, False
    if isinstance(given.value, dict | list) or given.value is None:
        return
    bound = list(holes(given.text or ""))
    if bound and scope is not None:
        if port is not None and bound[0].whole:
            yield from _fit(value, bound[0], port, scope)
        elif (kind := type_of_port(port)) in DATA and not is_remote(_AROUND.sub("", given.text or "")):
            message = f"data ({kind}) are one binding, or a path; a binding inside of a text is neither"
            yield value.says("bad-binding", message)
        return
    if bound:
        return
    if data:
        # Without a type it is that of the component, which may be a file's.
        yield from check_data(value) if "type" in value else check_path(given, what="data")
        if (kind := type_of_port(port)) in PRIMITIVE:
            yield value.says("type-mismatch", f"gives data, but this input needs {kind}")
        return
    if port is not None and (why := mismatch(given.value, port)):
        yield value.says("bad-literal", why)


def _fit(value: At, hole: Hole, port: At, scope: Scope) -> Iterator[Finding]:
    wanted = type_of_port(port)
    if hole.side == "parent.input" and (source := scope.inputs.get(hole.name)) is not None:
        produced = type_of_port(source)
        if produced:
            if not fits(produced, wanted):
                message = f"the pipeline's input {hole.name!r} is {produced}, but this input needs {wanted}"
                yield value.says("type-mismatch", message)
            elif (
                wanted in PRIMITIVE
                and "default" in source
                and (why := mismatch(source["default"].value, port))
            ):
                message = f"the default of the pipeline's input {hole.name!r} does not fit: {why}"
                yield value.says("bad-literal", message)
        elif isinstance(source.value, str | int | float | bool):
            if wanted in DATA:
                message = f"the pipeline's input {hole.name!r} is the literal {source.value!r}"
                yield value.says("type-mismatch", f"{message}, but this input needs {wanted}")
            elif why := mismatch(source.value, port):
                yield value.says("bad-literal", f"the pipeline's input {hole.name!r} does not fit: {why}")
    if hole.side == "job.output" and (face := scope.faces.get(hole.job)) is not None:
        produced = type_of_port((face.outputs or {}).get(hole.name))
        if not fits(produced, wanted):
            message = f"{hole.job}.{hole.name} is {produced}, but this input needs {wanted}"
            yield value.says("type-mismatch", message)


def takers(scope: Scope, name: str) -> Iterator[At]:
    """The declared inputs of jobs that an input of the pipeline is bound to, whole."""
    for job, node in scope.jobs.items():
        face = scope.faces[job]
        for given, value in node["inputs"].fields():
            port = None if face.own else (face.inputs or {}).get(given)
            bound = list(holes(value.text or ""))
            whole = bool(bound) and bound[0].whole and bound[0].side == "parent.input"
            if port is not None and whole and bound[0].name == name:
                yield port


def _holes(node: At, scope: Scope) -> Iterator[Finding]:
    """Every expression of a job names something that is there."""
    for place in texts(node):
        depth = len(node.loc)
        field = str(place.loc[depth]) if len(place.loc) > depth else ""
        for hole in holes(place.text or ""):
            yield from _hole(place, hole, field, scope)
        for piece in broken(place.text or "") if field in _BOUND else ():
            yield place.says("bad-binding", f"{piece} cannot be read; write ${{{{parent.…}}}}")


def _hole(place: At, hole: Hole, field: str, scope: Scope) -> Iterator[Finding]:
    if hole.side == "parent.input" and hole.name not in scope.inputs:
        yield place.says("unknown-input", unknown(hole.name, "input of the pipeline", scope.inputs))
    elif hole.side == "parent.output" and hole.name not in scope.outputs:
        yield place.says("unknown-output", unknown(hole.name, "output of the pipeline", scope.outputs))
    elif hole.side in ("job.output", "job") and hole.job not in scope.jobs:
        yield place.says("unknown-job", unknown(hole.job, "job", scope.jobs))
    elif hole.side == "job.output":
        outputs = scope.faces[hole.job].outputs
        if outputs is not None and hole.name not in outputs:
            message = unknown(hole.name, f"output of job {hole.job!r}", outputs)
            yield place.says("unknown-output", message)
    elif field == "inputs" and hole.whole and hole.side in ("inputs", "outputs", "parent.output"):
        message = (
            f"{hole.text} is no binding of an input; allowed: ${{{{parent.inputs.<name>}}}}, "
            f"${{{{parent.jobs.<job>.outputs.<name>}}}}"
        )
        yield place.says("bad-binding", message)
    elif field == "compute" and hole.side not in ("parent.input", ""):
        message = f"{hole.text} is no binding of a compute; allowed: ${{{{parent.inputs.<name>}}}}"
        yield place.says("bad-binding", message)
    elif hole.side == "" and _meant(hole.name, field) and field not in _OWN_HOLES:
        message = (
            f"{hole.text} cannot be read; allowed: ${{{{parent.inputs.<name>}}}}, "
            f"${{{{parent.outputs.<name>}}}}, ${{{{parent.jobs.<job>.outputs.<name>}}}}"
        )
        yield place.says("bad-binding", message)


def _meant(body: str, field: str) -> bool:
    """Whether an expression that is none of Azure ML's forms is meant as a binding: others are macros."""
    return body.startswith("parent") or (field in _BOUND and body.startswith(("jobs.", "inputs", "outputs")))


def _outputs(node: At, face: Interface, scope: Scope) -> Iterator[Finding]:
    for name, given in node["outputs"].fields():
        declared = None if face.outputs is None else face.outputs.get(name)
        if face.outputs is not None and declared is None:
            yield given.says("unknown-output", unknown(name, f"output of {described(face)}", face.outputs))
            continue
        bound = _target(given)
        if bound is None:
            continue
        if bound.side != "parent.output":
            message = f"{bound.text} is no binding of an output; allowed: ${{{{parent.outputs.<name>}}}}"
            yield given.says("bad-binding", message)
            continue
        wanted, produced = type_of_port(scope.outputs.get(bound.name)), type_of_port(declared)
        if not face.own and wanted and produced and not fits(produced, wanted):
            message = f"is {produced}, but the pipeline's output {bound.name!r} is {wanted}"
            yield given.says("type-mismatch", message)


def _target(given: At) -> Hole | None:
    """The pipeline's output that a job's output is bound to. A path with a macro inside is no binding."""
    text = given.text if given.text is not None else given["path"].text
    bound = list(holes(text or ""))
    if not bound or not bound[0].whole:
        return None
    return bound[0] if bound[0].side else None


def _flow(node: At, scope: Scope) -> Iterator[Finding]:
    """Blocks, bodies and conditions of `if_else` and `do_while`."""
    kind = kind_of_node(node)
    if kind not in FLOW:
        return
    yield node["type"].says("preview", f"{kind} needs AZURE_ML_CLI_PRIVATE_FEATURES_ENABLED=true")
    if kind == "if_else":
        blocks = [*_block(node["true_block"]), *_block(node["false_block"])]
        if not blocks:
            yield node.says("flow", "needs `true_block` or `false_block`")
        if "condition" not in node:
            yield node.says("flow", "needs `condition`")
        names = [name for name, _ in blocks]
        for name, place in blocks:
            if names.count(name) > 1:
                yield place.says("flow", f"job {name!r} is named more than once")
        return
    body = [hole for hole in holes(node["body"].text or "") if hole.side == "job"]
    if not body:
        yield node["body"].says("flow", "must name the job that is repeated, ${{parent.jobs.<job>}}")
        return
    if kind == "do_while":
        yield from _mapping(node, scope, body[0].job)
        word, face = node["condition"].text, scope.faces.get(body[0].job)
        outputs = None if face is None else face.outputs
        if word is not None and "${{" not in word and outputs is not None and word not in outputs:
            told = unknown(word, f"output of job {body[0].job!r}", outputs)
            yield node["condition"].says("unknown-output", told)


def _block(place: At) -> list[tuple[str, At]]:
    given = list(place.elements()) or [place]
    return [(hole.job, part) for part in given for hole in holes(part.text or "") if hole.side == "job"]


def _mapping(node: At, scope: Scope, body: str) -> Iterator[Finding]:
    """What a round of a loop gives to the next one: outputs of the body to inputs of the body."""
    face = scope.faces.get(body)
    if face is None:
        return
    for name, place in node["mapping"].fields():
        outputs = face.outputs
        if "${{" not in name and outputs is not None and name not in outputs:
            yield place.says("unknown-output", unknown(name, f"output of job {body!r}", outputs))
        for target in [place, *place.elements()]:
            word = target.text
            if word is not None and "${{" not in word and face.inputs is not None and word not in face.inputs:
                yield target.says("unknown-input", unknown(word, f"input of job {body!r}", face.inputs))


def _used(scope: Scope) -> Iterator[Finding]:
    used = {
        hole.name
        for field in ("jobs", "outputs", "settings", "compute")
        for place in texts(scope.top[field])
        for hole in holes(place.text or "")
        if hole.side == "parent.input"
    }
    for name, place in scope.inputs.items():
        if name not in used:
            yield place.says("unused-input", "no job uses this input; remove it, or pass it on")


def _written(scope: Scope) -> Iterator[Finding]:
    writers: dict[str, list[str]] = {}
    for job, node in scope.jobs.items():
        for _, given in node["outputs"].fields():
            bound = _target(given)
            if bound is not None and bound.side == "parent.output":
                writers.setdefault(bound.name, []).append(job)
    for name, place in scope.outputs.items():
        jobs = writers.get(name, [])
        if not jobs and not list(holes(place.text or "")):
            message = f"no job writes this output; bind one to ${{{{parent.outputs.{name}}}}}"
            yield place.says("no-writer", message)
        elif len(jobs) > 1:
            yield place.says("two-writers", f"several jobs write this output: {', '.join(jobs)}")


def _cycle(scope: Scope) -> Iterator[Finding]:
    graph = {
        job: {
            hole.job
            for place in texts(node["inputs"])
            for hole in holes(place.text or "")
            if hole.side == "job.output"
        }
        for job, node in scope.jobs.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        path = error.args[1]
        message = f"the jobs wait for one another: {' -> '.join(path)}; remove one of these bindings"
        yield scope.top["jobs"][path[0]].says("cycle", message)
