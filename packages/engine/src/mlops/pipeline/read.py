"""Pipeline YAML and the files it names, read into one object that still knows where each line stands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.binding import parse_parent
from mlops.pipeline.models import (
    Component,
    Distribution,
    Environment,
    Node,
    PipelineJob,
    Port,
    Resources,
    Value,
)
from mlops.pipeline.spark import SparkComponent
from mlops.spec._yaml import Document

Loc = tuple[str | int, ...]
KINDS = ("command", "spark")


@dataclass(frozen=True)
class Step:
    """A node and its component. `document` and `prefix` say where the component's fields stand."""

    name: str
    node: Node
    component: Component
    path: Path
    document: Document
    owner: tuple[Path, Document]
    """The pipeline file, where the node's own fields stand."""
    prefix: Loc = ()
    spark: SparkComponent | None = None
    """The component as it is written, when it runs on Spark; `component` is then what runs it here."""

    @property
    def distribution(self) -> Distribution | None:
        """What is in force: the node's own, else its component's."""
        return self.node.distribution or self.component.distribution

    @property
    def resources(self) -> Resources | None:
        """What is in force: the node's own, else its component's."""
        return self.node.resources or self.component.resources

    @property
    def code(self) -> Path | None:
        """The folder (or file) of the step's code."""
        if self.component.code is None or "://" in self.component.code:
            return None
        return (self.path.parent / self.component.code).resolve()

    @property
    def includes(self) -> tuple[Path, ...]:
        """What is copied beside the code: `additional_includes` of the component, or of a file beside it."""
        listed = list(self.component.additional_includes)
        beside = self.path.with_suffix(".additional_includes")
        if self.node.component is not None and beside.is_file():
            listed += [line.strip() for line in beside.read_text(encoding="utf-8").splitlines()]
        return tuple(Path(os.path.normpath(self.path.parent / line)) for line in listed if line)

    def problem(self, loc: Loc, message: str) -> Problem:
        """A problem at `loc` of the component."""
        if self.spark is not None and loc[:1] == ("command",):
            loc = ("args",)
        return self.document.problem((*self.prefix, *loc), message)


@dataclass(frozen=True)
class Pipeline:
    """A pipeline job with the components of its steps."""

    path: Path
    document: Document
    job: PipelineJob
    steps: dict[str, Step] = field(default_factory=dict)

    def bound_input(self, value: Value | None) -> Value | None:
        """The input of the pipeline that a step's input is bound to; None when it is bound to none."""
        bound = parse_parent(value.given) if value is not None else None
        return self.job.inputs.get(bound.name) if bound is not None and bound.kind == "input" else None

    def output_type(self, step: Step, name: str) -> str | None:
        """The type of a step's output; what the component leaves open the pipeline's own output may say."""
        given = step.node.outputs.get(name)
        own = step.component.outputs[name].type or (given.type if given else None)
        bound = parse_parent(given.binding) if given else None
        if own or bound is None or bound.kind != "output" or bound.name not in self.job.outputs:
            return own
        return self.job.outputs[bound.name].type


def shown(path: Path) -> str:
    """`path` as errors call it: relative to the working directory when that is shorter."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def open_document(path: Path) -> Document:
    """Raises `InvalidInput` when the file is missing, broken or no mapping."""
    document = Document.read(path, shown(path))
    if not isinstance(document.value, dict):
        raise InvalidInput(Problem(f"{document.name}:1", "must be a mapping of fields"))
    return document


def read_pipeline(path: Path, document: Document | None = None) -> tuple[Pipeline | None, list[Problem]]:
    """The pipeline, and what is wrong with the shape of it and of its components.

    Steps whose component cannot be read are left out of `steps`; their problems say why. The pipeline is
    None when the file itself is not a pipeline job.
    """
    try:
        doc = document or open_document(path)
        if others := list(_other_types(doc)):
            return None, others
        job = doc.parse(PipelineJob)
    except InvalidInput as error:
        return None, list(error.problems)
    problems: list[Problem] = []
    steps: dict[str, Step] = {}
    for name, node in job.jobs.items():
        try:
            steps[name] = _step(path, doc, name, node)
        except InvalidInput as error:
            problems += error.problems
    return Pipeline(path, doc, job, steps), problems


def _other_types(document: Document) -> Iterator[Problem]:
    jobs = document.value.get("jobs")
    for name, node in jobs.items() if isinstance(jobs, dict) else ():
        kind = str(node.get("type", "command")).lower() if isinstance(node, dict) else "command"
        if isinstance(node, dict) and isinstance(node.get("component"), dict):
            message = "a component that is written inside of a pipeline is not read here; give it a file"
            yield document.problem(("jobs", str(name), "component"), message)
        if kind not in KINDS:
            message = f"jobs of type {kind!r} are not read here; allowed: {', '.join(KINDS)}"
            yield document.problem(("jobs", str(name), "type"), message)


def not_here(path: Path) -> list[Problem]:
    """What this machine cannot run of a pipeline that Azure ML takes; empty for a file of another kind."""
    document = open_document(path)
    if "jobs" not in document.value:
        return []
    return read_pipeline(path, document)[1]


def load_pipeline(path: Path) -> Pipeline:
    """The pipeline; raises `InvalidInput` with everything that `read_pipeline` finds."""
    pipeline, problems = read_pipeline(path)
    if problems or pipeline is None:
        raise InvalidInput(problems)
    return pipeline


def _step(path: Path, document: Document, name: str, node: Node) -> Step:
    if node.component is None:
        return Step(name, node, _in_place(name, node), path, document, (path, document), ("jobs", name))
    loc: Loc = ("jobs", name, "component")
    reference = node.component.removeprefix("file:")
    if reference.startswith(("azureml:", "azureml://")):
        message = (
            f"{node.component!r} is a component of a workspace; name a file here, so that the same "
            f"definition runs on a laptop and on Azure ML"
        )
        raise InvalidInput(document.problem(loc, message))
    file = path.parent / reference
    if not file.is_file():
        raise InvalidInput(
            document.problem(loc, f"the file {node.component!r} does not exist ({shown(file)})")
        )
    inner = open_document(file)
    component, spark = read_component(inner)
    return Step(name, node, component, file, inner, (path, document), spark=spark)


def read_component(document: Document) -> tuple[Component, SparkComponent | None]:
    """A component as the command that runs it, and as it is written when it runs on Spark."""
    if document.value.get("type") == "spark":
        spark = document.parse(SparkComponent)
        return spark.as_command(), spark
    return document.parse(Component), None


def _in_place(name: str, node: Node) -> Component:
    """The component that a command written into the pipeline amounts to; types it leaves out are text."""
    ports: dict[str, Any] = {key: Port(type=value.type or "string") for key, value in node.inputs.items()}
    return Component(
        name=name,
        inputs=ports,
        outputs=dict(node.outputs),
        code=node.code,
        environment=node.environment or Environment.model_construct(),
        command=node.command or "",
        resources=node.resources,
        distribution=node.distribution,
    )


def read_environment(step: Step) -> tuple[Environment | None, Document, Loc, Path]:
    """A step's environment with the place of its fields; None when it is a workspace reference.

    A node's own `environment` wins over the component's. Raises `InvalidInput` when its file is wrong.
    """
    if step.node.environment is not None:
        path, document = step.owner
        return resolve_environment(step.node.environment, document, ("jobs", step.name, "environment"), path)
    return resolve_environment(
        step.component.environment, step.document, (*step.prefix, "environment"), step.path
    )


def resolve_environment(
    environment: Environment, document: Document, loc: Loc, path: Path
) -> tuple[Environment | None, Document, Loc, Path]:
    """Follow `file:` of an environment field; see `read_environment`."""
    reference = environment.reference
    if reference is None:
        return environment, document, loc, path
    if reference.startswith(("azureml:", "azureml://")):
        return None, document, loc, path
    file = path.parent / reference.removeprefix("file:")
    if not file.is_file():
        raise InvalidInput(document.problem(loc, f"the file {reference!r} does not exist ({shown(file)})"))
    inner = open_document(file)
    return inner.parse(Environment), inner, (), file
