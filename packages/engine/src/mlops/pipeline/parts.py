"""What a run works through: steps that still know where each line of them stands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlops.errors import Problem
from mlops.pipeline.binding import parse_parent
from mlops.pipeline.models import (
    CommandLimits,
    Component,
    Distribution,
    Literal_,
    Node,
    PipelineJob,
    Resources,
    Value,
)
from mlops.pipeline.sweep.models import SweepSpec
from mlops.spec._yaml import Document

Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class Part:
    """A piece of a file, as it is written there, or as it reads once a nested pipeline is taken apart."""

    kind: str
    raw: Mapping[str, Any]
    document: Document
    loc: Loc
    path: Path
    own: bool = False
    """A component that is written into the job that runs it."""


@dataclass(frozen=True)
class Step:
    """A job and what it runs: `component`, as a command."""

    name: str
    node: Node
    component: Component
    part: Part
    """Where the component stands."""
    owner: Part
    """Where the job stands."""
    sweep: SweepSpec | None = None
    """Its trials, when it is a sweep; `component` is then what one trial runs."""

    @property
    def distribution(self) -> Distribution | None:
        """What is in force: the node's own, else its component's."""
        return self.node.distribution or self.component.distribution

    @property
    def resources(self) -> Resources | None:
        """What is in force: the node's own, else its component's."""
        return self.node.resources or self.component.resources

    @property
    def limits(self) -> CommandLimits | None:
        """What is in force; those of a sweep are in `sweep`."""
        return None if self.sweep else self.node.limits or self.component.limits

    @property
    def variables(self) -> dict[str, Literal_]:
        """Environment variables: the node's over its component's."""
        return {**self.component.environment_variables, **self.node.environment_variables}

    @property
    def code(self) -> Path | None:
        """The folder (or file) of the step's code."""
        if self.component.code is None or "://" in self.component.code:
            return None
        return (self.part.path.parent / self.component.code).resolve()

    @property
    def includes(self) -> tuple[Path, ...]:
        """What is copied beside the code: `additional_includes` of the component, or of a file beside it."""
        listed = list(self.component.additional_includes)
        beside = self.part.path.with_suffix(".additional_includes")
        if self.part.path != self.owner.path and beside.is_file():
            listed += [line.strip() for line in beside.read_text(encoding="utf-8").splitlines()]
        return tuple(Path(os.path.normpath(self.part.path.parent / line)) for line in listed if line)

    @property
    def reads(self) -> set[str]:
        """Names of the steps whose outputs it reads."""
        bindings = (parse_parent(value.given) for value in self.node.inputs.values())
        return {bound.job for bound in bindings if bound is not None and bound.kind == "job"}

    def problem(self, loc: Loc, message: str) -> Problem:
        """A problem at `loc` of the component."""
        if self.part.kind == "spark" and loc[:1] == ("command",):
            loc = ("args",)
        if self.part.kind == "parallel" and loc[:1] == ("code",):
            loc = ("task", *loc)
        return self.part.document.problem((*self.part.loc, *loc), message)

    def with_inputs(self, inputs: Mapping[str, Value]) -> Step:
        """The same step, bound to something else."""
        return replace(self, node=self.node.model_copy(update={"inputs": dict(inputs)}))


@dataclass(frozen=True)
class Pipeline:
    """A pipeline job with the components of its steps."""

    path: Path
    document: Document
    job: PipelineJob
    steps: dict[str, Step] = field(default_factory=dict)

    def before(self, name: str) -> set[str]:
        """The steps that must have ended before the step `name` begins: those that it reads, and hooks."""
        settings = self.job.settings
        if name == settings.on_finalize:
            return set(self.steps) - {name}
        first = {settings.on_init} & set(self.steps) - {name}
        return self.steps[name].reads | {step for step in first if step is not None}

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
