"""Typed models of Azure ML's sweep job, and the reading of a sweep file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter

from mlops.pipeline.documents import open_document
from mlops.pipeline.models import JobFile, Yaml, lower_case
from mlops.pipeline.sweep.space import Shape, shape_of
from mlops.pipeline.sweep.stopping import Goal, Termination
from mlops.spec._yaml import Document


class Sampling(Yaml):
    """How trials are drawn."""

    type: Annotated[Literal["random", "grid", "bayesian"], BeforeValidator(lower_case)] = "random"
    seed: int | None = Field(None, ge=0)
    rule: Literal["random", "sobol"] | None = None
    """Of random sampling: `sobol` spreads the trials more evenly."""


def _sampling(raw: Any) -> Any:
    return {"type": raw} if isinstance(raw, str) else raw


class Limits(Yaml):
    """How much a sweep may cost; times in seconds."""

    max_total_trials: int = Field(1000, ge=1, le=1000)
    max_concurrent_trials: int | None = Field(None, ge=1, le=1000)
    timeout: int | None = Field(None, ge=1)
    trial_timeout: int | None = Field(None, ge=1)


class Objective(Yaml):
    """What a sweep looks for."""

    goal: Goal
    primary_metric: str = Field(min_length=1)


class SweepSpec(Yaml):
    """What makes a job a sweep. Lint has passed its `search_space` when that is typed."""

    sampling_algorithm: Annotated[Sampling, BeforeValidator(_sampling)] = Sampling()
    search_space: dict[str, dict[str, Any]] = Field(min_length=1)
    objective: Objective
    limits: Limits = Limits()
    early_termination: dict[str, Any] | None = None

    @property
    def shapes(self) -> dict[str, Shape]:
        """The search space by name."""
        return {name: shape_of(raw) for name, raw in self.search_space.items()}

    @property
    def study(self) -> dict[str, Any]:
        """What makes it another study: all but how long it goes on."""
        return {
            "space": self.search_space,
            "sampling": self.sampling_algorithm.model_dump(),
            "objective": self.objective.model_dump(),
            "termination": self.early_termination,
        }

    @property
    def policy(self) -> Termination | None:
        """When a trial is ended early; None when never."""
        if self.early_termination is None:
            return None
        termination: Termination = TypeAdapter(Termination).validate_python(self.early_termination)
        return termination


class Sweep(JobFile, SweepSpec):
    """A sweep job."""


@dataclass(frozen=True)
class SweepFile:
    """A sweep and where its lines stand."""

    path: Path
    document: Document
    job: Sweep


def read_sweep(path: Path) -> SweepFile:
    """Raises `InvalidInput` when the file is missing or its fields are wrong; lint finds the rest."""
    document = open_document(path)
    return SweepFile(path, document, document.parse(Sweep))
