"""Typed models of Azure ML's sweep job, and the reading of a sweep file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter

from mlops.pipeline.models import Distribution, EnvironmentField, EnvVars, JobFile, Resources, Yaml
from mlops.pipeline.read import open_document
from mlops.pipeline.sweep.space import Shape, shape_of
from mlops.pipeline.sweep.stopping import Goal, Termination
from mlops.spec._yaml import Document


class Sampling(Yaml):
    """How trials are drawn."""

    type: Literal["random", "grid", "bayesian"] = "random"
    seed: int | None = Field(None, ge=0)
    rule: Literal["random", "sobol"] | None = None
    """Of random sampling: `sobol` spreads the trials more evenly."""


def _sampling(raw: Any) -> Any:
    return {"type": raw} if isinstance(raw, str) else raw


class Limits(Yaml):
    """How much a sweep may cost; times in seconds."""

    max_total_trials: int = Field(ge=1, le=1000)
    max_concurrent_trials: int | None = Field(None, ge=1, le=1000)
    timeout: int | None = Field(None, ge=1)
    trial_timeout: int | None = Field(None, ge=1)


class Objective(Yaml):
    """What a sweep looks for."""

    goal: Goal
    primary_metric: str = Field(min_length=1)


class Trial(Yaml):
    """The command of one trial."""

    command: str
    code: str | None = None
    environment: EnvironmentField
    environment_variables: EnvVars = Field(default_factory=dict)
    distribution: Distribution | None = None
    resources: Resources | None = None


class Sweep(JobFile):
    """A sweep job. `search_space` and `early_termination` are typed once lint has passed them."""

    type: Literal["sweep"]
    queue_settings: dict[str, Any] | None = None
    resources: Resources | None = None
    sampling_algorithm: Annotated[Sampling, BeforeValidator(_sampling)] = Sampling()
    search_space: dict[str, dict[str, Any]] = Field(min_length=1)
    objective: Objective
    limits: Limits
    early_termination: dict[str, Any] | None = None
    trial: Trial | str

    @property
    def shapes(self) -> dict[str, Shape]:
        """The search space by name."""
        return {name: shape_of(raw) for name, raw in self.search_space.items()}

    @property
    def policy(self) -> Termination | None:
        """When a trial is ended early; None when never."""
        if self.early_termination is None:
            return None
        made: Termination = TypeAdapter(Termination).validate_python(self.early_termination)
        return made


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
