"""Any Azure ML job as one flat pipeline: what a run works through, whatever its file looks like.

A job of another kind is the pipeline of one job that it amounts to. A pipeline inside of a pipeline is taken
apart: its job `b` below the job `a` is the step `a.b`, and what it reads and writes is what the outer job
gives. Parallel and Spark jobs become the commands that do their work here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem
from mlops.lint.classify import kind_of
from mlops.pipeline import elsewhere
from mlops.pipeline.binding import ParentBinding, looks_bound, parse_parent
from mlops.pipeline.documents import open_document
from mlops.pipeline.models import Component, Node, PipelineJob
from mlops.pipeline.parallel import ParallelComponent
from mlops.pipeline.parts import Loc, Part, Pipeline, Step
from mlops.pipeline.spark import SparkComponent
from mlops.pipeline.sweep.models import SweepSpec
from mlops.spec._yaml import Document

Raw = dict[str, Any]
_RUNS = ("command", "spark", "sweep", "parallel")
_JOBS = ("job.command", "job.sweep", "job.spark")
_FIRST = "on_init"
_HOOKS = (_FIRST, "on_finalize")
_OF_PIPELINE = ("experiment_name", "display_name", "description", "tags", "name", "inputs", "outputs")
_REMOTE = re.compile(r"azureml:|[a-z+]+://")


def lower(
    path: Path, document: Document, stand_ins: Mapping[str, Path], only: Collection[str] = ()
) -> tuple[Pipeline | None, list[Problem]]:
    """The pipeline that a file amounts to, with every job that can be had, and why the others cannot.

    None when the file is no job at all. `stand_ins`: component files by the name of the step. `only`: the
    steps that are asked for; what they do not need may be a job that cannot be had.
    """
    value = document.value
    kind = kind_of(value)
    if kind in _JOBS or elsewhere.never(kind):
        name = _step_name(value, path)
        raw = {key: value[key] for key in _OF_PIPELINE if key in value}
        job = document.part(PipelineJob, raw, ())
        reading = _Reading(stand_ins)
        reading.single(path, document, name)
    elif kind == "job.pipeline":
        job = document.part(PipelineJob, value, ())
        reading = _Reading(stand_ins)
        reading.pipeline(path, document)
    else:
        return None, [Problem(f"{document.name}:1", elsewhere.no_job(kind))]
    reading.finish()
    if only:
        return Pipeline(path, document, job, reading.whole_steps()), reading.problems_of(only)
    return Pipeline(path, document, job, reading.steps), reading.all_problems


def _step_name(value: Raw, path: Path) -> str:
    name = value.get("name")
    return re.sub(r"\W", "_", str(name) if isinstance(name, str) and name else path.stem) or "job"


@dataclass(frozen=True)
class _Scope:
    """One pipeline while it is taken apart; `inputs` and `outputs` are None for the outermost."""

    path: Path
    document: Document
    loc: Loc
    prefix: str = ""
    inputs: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] | None = None

    @property
    def nested(self) -> bool:
        return self.inputs is not None

    def problem(self, loc: Loc, message: str) -> Problem:
        return self.document.problem((*self.loc, *loc), message)


@dataclass
class _Reading:
    """Steps as they are found. `ends` says which step gives what a nested pipeline gives."""

    stand_ins: Mapping[str, Path]
    steps: dict[str, Step] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    """Of the file as a whole."""
    refused: dict[str, list[Problem]] = field(default_factory=dict)
    """Why a job cannot be had, by the name of its step."""
    ends: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    hooks: dict[str, _Scope] = field(default_factory=dict)
    """Where the outermost pipeline names the jobs before and after all others."""
    _open: list[Path] = field(default_factory=list)
    _met: set[str] = field(default_factory=set)
    """Every job, whether it can be had or not."""

    def single(self, path: Path, document: Document, name: str) -> None:
        """A job that is no pipeline: its node reads the inputs of the file, which are its own."""
        raw = dict(document.value)
        for side in ("inputs", "outputs"):
            given = raw.get(side) if isinstance(raw.get(side), dict) else {}
            raw[side] = {key: f"${{{{parent.{side}.{key}}}}}" for key in given or {}}
        kind = kind_of(document.value)
        raw["type"] = elsewhere.never(kind) or kind.removeprefix("job.")
        self._caught(_Scope(path, document, ()), name, raw, ())

    def pipeline(self, path: Path, document: Document) -> None:
        """A pipeline job with jobs of its own, or with the component that has them."""
        self._open.append(path.resolve())
        if "jobs" in document.value or "component" not in document.value:
            self._jobs(_Scope(path, document, ()), document.value)
            return
        value = document.value
        raw = {
            "type": "pipeline",
            "component": value["component"],
            "inputs": {key: f"${{{{parent.inputs.{key}}}}}" for key in value.get("inputs") or {}},
            "outputs": {key: f"${{{{parent.outputs.{key}}}}}" for key in value.get("outputs") or {}},
        }
        scope = _Scope(path, document, ())
        try:
            self._nested(scope, raw, (), "")
        except InvalidInput as error:
            self.problems += error.problems

    @property
    def all_problems(self) -> list[Problem]:
        return [*self.problems, *(problem for found in self.refused.values() for problem in found)]

    def problems_of(self, only: Collection[str]) -> list[Problem]:
        """Of the file, and of the jobs that the steps `only` need."""
        needed, queue = set[str](), [*only, *([self._hook(_FIRST)] if _FIRST in self.hooks else [])]
        while queue:
            name = queue.pop()
            if name in needed:
                continue
            needed.add(name)
            queue += self.steps[name].reads if name in self.steps else ()
            queue += [inner for inner in self.refused if inner.startswith(f"{name}.")]
        return [*self.problems, *(p for name, found in self.refused.items() if name in needed for p in found)]

    def whole_steps(self) -> dict[str, Step]:
        """Without those that read, however far above, what cannot be had."""
        steps = dict(self.steps)
        while lost := [name for name, step in steps.items() if not step.reads <= steps.keys()]:
            for name in lost:
                del steps[name]
        return steps

    def _hook(self, hook: str) -> str:
        return str(self.hooks[hook].document.value["settings"][hook])

    def finish(self) -> None:
        """Bind what was bound to a nested pipeline to the step inside of it; refuse stand-ins for nothing."""
        for name, step in self.steps.items():
            inputs = {key: self._ended(value) for key, value in step.node.inputs.items()}
            self.steps[name] = step.with_inputs(inputs)
        self._hooks_stand_alone()
        for name in self.stand_ins:
            if name not in self._met:
                known = ", ".join(sorted(self._met)) or "none"
                self.problems.append(
                    Problem(name, f"no job to stand in for; there is: {known}", "--stand-in")
                )
        if not self.all_problems:
            for name, file in self.stand_ins.items():
                self.problems += elsewhere.unfit(name, file, self.steps)

    def _hooks_stand_alone(self) -> None:
        """What runs before or after all others is bound to none of them."""
        for hook, scope in self.hooks.items():
            name = self._hook(hook)
            if name not in self.steps:
                if any(step.startswith(f"{name}.") for step in self.steps):
                    message = f"{name!r} is a pipeline; name a job that runs by itself"
                    self.problems.append(scope.problem(("settings", hook), message))
                continue
            bound = self.steps[name].reads | {n for n, step in self.steps.items() if name in step.reads}
            if bound:
                message = (
                    f"the job {name!r} must not be bound to others; it is, to {', '.join(sorted(bound))}"
                )
                self.problems.append(scope.problem(("settings", hook), message))

    def _ended(self, value: Any) -> Any:
        bound = parse_parent(value.given)
        if bound is None or bound.kind != "job":
            return value
        end, seen = (bound.job, bound.name), set()
        while end in self.ends and end not in seen:
            seen.add(end)
            end = self.ends[end]
        if end == (bound.job, bound.name):
            return value
        text = f"${{{{parent.jobs.{end[0]}.outputs.{end[1]}}}}}"
        return value.model_copy(update={"path": text}) if value.is_path else type(value).of(text)

    # --- one pipeline -----------------------------------------------------------------------------------

    def _jobs(self, scope: _Scope, raw: Mapping[str, Any]) -> None:
        jobs = raw.get("jobs")
        settings = raw.get("settings")
        for hook in _HOOKS:
            name = settings.get(hook) if isinstance(settings, dict) else None
            if not name:
                continue
            if scope.nested:
                message = "belongs to the outermost pipeline; Azure ML takes it nowhere else"
                self.problems.append(scope.problem(("settings", hook), message))
            elif not isinstance(jobs, dict) or name not in jobs:
                self.problems.append(scope.problem(("settings", hook), f"there is no job {name!r}"))
            else:
                self.hooks[hook] = scope
        for name, node in jobs.items() if isinstance(jobs, dict) else ():
            loc: Loc = ("jobs", str(name))
            if isinstance(node, dict):
                self._caught(scope, str(name), node, loc)
            else:
                self.problems.append(scope.problem(loc, "must be a job: a mapping of fields"))

    def _caught(self, scope: _Scope, name: str, raw: Raw, loc: Loc) -> None:
        """One job; what is wrong with it hides no other."""
        try:
            self._job(scope, name, raw, loc)
        except InvalidInput as error:
            self.refused[scope.prefix + name] = list(error.problems)

    def _job(self, scope: _Scope, name: str, raw: Raw, loc: Loc) -> None:
        flat = scope.prefix + name
        self._met.add(flat)
        kind = str(raw.get("type") or "command").lower()
        if flat in self.stand_ins:
            raw, kind = elsewhere.stood_in(raw, self.stand_ins[flat], flat), ""
        elif kind in elsewhere.NEVER:
            what = f"is {elsewhere.NEVER[kind]}, which only Azure ML runs"
            raise InvalidInput(scope.problem((*loc, "type"), f"{what}; {elsewhere.way_out(flat)}"))
        elif kind not in (*_RUNS, "pipeline"):
            raise InvalidInput(
                scope.problem((*loc, "type"), f"is no kind of job: {kind!r}; {elsewhere.way_out(flat)}")
            )
        part = self._component(scope, raw, loc, flat)
        raw = {**raw, **_in_terms_of_the_run(scope, raw, flat, self.ends)}
        if part.kind == "pipeline":
            self._nested(scope, raw, loc, f"{flat}.", part)
            return
        self.steps[flat] = _step(scope, flat, raw, loc, part)

    def _component(self, scope: _Scope, raw: Raw, loc: Loc, flat: str) -> Part:
        """What a job runs, where it stands, and its kind."""
        kind = str(raw.get("type") or "command").lower()
        key = "trial" if kind == "sweep" else "component"
        given = raw.get(key)
        here = (*scope.loc, *loc)
        if given is None:
            return Part(kind, raw, scope.document, here, scope.path, own=True)
        if isinstance(given, dict):
            word = str(given.get("type") or ("command" if kind == "sweep" else kind)).lower()
            own = kind == "sweep"
            return Part(word, given, scope.document, (*here, key), scope.path, own=own)
        reference = str(given).removeprefix("file:")
        if _REMOTE.match(reference):
            where = "a registry" if "registries/" in reference else "a workspace"
            what = f"{given!r} is a component of {where}, which this machine does not have"
            message = f"{what}; {elsewhere.way_out(flat)}"
            raise InvalidInput(scope.problem((*loc, key), message))
        file = Path(reference) if Path(reference).is_absolute() else scope.path.parent / reference
        if not file.is_file():
            message = f"the file {given!r} does not exist ({file})"
            raise InvalidInput(scope.problem((*loc, key), message))
        inner = open_document(file)
        kind = kind_of(inner.value) or f"component.{inner.value.get('type') or 'command'}".lower()
        family, _, word = kind.partition(".")
        if family not in ("component", "job") or word not in (*_RUNS, "pipeline"):
            what = f"{family} {word}".strip(" ?") or "no file of Azure ML"
            message = f"{given!r} is no component that runs here, but {what}; {elsewhere.way_out(flat)}"
            raise InvalidInput(scope.problem((*loc, key), message))
        return Part(word, inner.value, inner, (), file)

    def _nested(self, scope: _Scope, raw: Raw, loc: Loc, prefix: str, part: Part | None = None) -> None:
        part = part or self._component(scope, raw, loc, prefix.rstrip("."))
        if part.path != scope.path and part.path.resolve() in self._open:
            raise InvalidInput(scope.problem(loc, f"{part.path} is a part of itself"))
        declared = part.raw.get("inputs") or {}
        given = raw.get("inputs") or {}
        inputs = (
            {key: given.get(key, _default(port)) for key, port in declared.items()}
            if declared
            else dict(given)
        )
        inner = _Scope(part.path, part.document, part.loc, prefix, inputs, raw.get("outputs") or {})
        self._open.append(part.path.resolve())
        self._jobs(inner, part.raw)
        self._open.pop()


# --- one step -------------------------------------------------------------------------------------------


def _step(scope: _Scope, flat: str, raw: Raw, loc: Loc, part: Part) -> Step:
    document, here = scope.document, (*scope.loc, *loc)
    sweep = document.part(SweepSpec, raw, here) if str(raw.get("type")).lower() == "sweep" else None
    # The limits of a sweep are other ones, and belong to it.
    of_node = {key: value for key, value in raw.items() if sweep is None or key != "limits"}
    node = document.part(Node, of_node, here)
    if part.kind == "spark":
        spark = part.document.part(SparkComponent, _declared(part, node), part.loc)
        component, why = spark.as_command(), spark.not_here()
    elif part.kind == "parallel":
        written = {**_declared(part, node), **{k: raw[k] for k in _BATCHES if k in raw}}
        parallel = part.document.part(ParallelComponent, written, part.loc)
        component, why = parallel.as_command(), parallel.not_here()
    else:
        component = part.document.part(Component, _declared(part, node), part.loc)
        why = ""
    if why:
        raise InvalidInput(scope.problem(loc, f"{why}; {elsewhere.way_out(flat)}"))
    return Step(flat, node, component, part, Part("", raw, document, here, scope.path), sweep)


_BATCHES = (
    "mini_batch_size",
    "mini_batch_error_threshold",
    "error_threshold",
    "max_concurrency_per_instance",
    "retry_settings",
    "resources",
    "input_data",
)
"""What a parallel job may say over its component."""


def _declared(part: Part, node: Node) -> Mapping[str, Any]:
    """The component; one that is written in place declares what its job gives, as text without a type."""
    if not part.own:
        return part.raw
    ports = {
        key: {"type": value.type or ("uri_folder" if value.is_path else "string")}
        for key, value in node.inputs.items()
    }
    outputs = dict(node.outputs.items())
    return {**part.raw, "type": part.kind, "inputs": ports, "outputs": outputs}


def _default(port: Any) -> Any:
    """What a nested pipeline's input is when the job gives none."""
    if not isinstance(port, dict):
        return port
    if "path" in port or "value" in port:
        return port
    return port.get("default")


def _in_terms_of_the_run(
    scope: _Scope, raw: Raw, flat: str, ends: dict[tuple[str, str], tuple[str, str]]
) -> Raw:
    """A job's inputs and outputs with the names of the outermost pipeline and of flat steps."""
    inputs = {key: _input(scope, value) for key, value in (raw.get("inputs") or {}).items()}
    outputs = {}
    for key, value in (raw.get("outputs") or {}).items():
        bound = parse_parent(elsewhere.bound_to(value))
        if scope.nested and bound is not None and bound.kind == "output":
            ends[scope.prefix.rstrip("."), bound.name] = (flat, key)
            outer = (scope.outputs or {}).get(bound.name)
            outputs[key] = _over(outer, value)
        else:
            outputs[key] = value
    return {"inputs": {k: v for k, v in inputs.items() if v is not None}, "outputs": outputs}


def _input(scope: _Scope, value: Any) -> Any:
    """None: the outer job gives none."""
    text = value.get("path", value.get("value")) if isinstance(value, dict) else value
    bound = parse_parent(text)
    if bound is not None and bound.kind == "job":
        flat = f"${{{{parent.jobs.{scope.prefix}{bound.job}.outputs.{bound.name}}}}}"
        return {**value, "path": flat} if isinstance(value, dict) else flat
    if not scope.nested:
        return value
    if bound is not None and bound.kind == "input":
        outer = (scope.inputs or {}).get(bound.name)
        return None if outer is None else _over(outer, value)
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        return {**value, "path": _absolute(scope.path, _filled(scope, value["path"]))}
    return _filled(scope, value)


def _over(outer: Any, value: Any) -> Any:
    """What the outer job gives or wants, with what the inner one says of it, such as a mode."""
    own = {k: v for k, v in value.items() if k not in ("path", "value")} if isinstance(value, dict) else {}
    if not own:
        return outer
    return {**(outer if isinstance(outer, dict) else {"path": outer}), **own}


def _filled(scope: _Scope, value: Any) -> Any:
    """A text with inputs of the outer job in the middle of it."""
    if not looks_bound(value):
        return value

    def hole(match: re.Match[str]) -> str:
        bound = parse_parent(match[0])
        if not isinstance(bound, ParentBinding) or bound.kind != "input":
            return match[0]
        given = (scope.inputs or {}).get(bound.name)
        return str(given.get("path", given.get("value")) if isinstance(given, dict) else given)

    return re.sub(r"\$\{\{[^}]*\}\}", hole, value)


def _absolute(file: Path, text: str) -> str:
    """A path that a nested file names, so that it means the same in the outermost."""
    if _REMOTE.match(text) or looks_bound(text) or Path(text).is_absolute():
        return text
    return str((file.parent / text).resolve())
