"""What a run of a pipeline tells its caller; `mlops.targets.base` shows these types to the verbs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

StepState = Literal["running", "reused", "finished", "failed", "skipped"]


@dataclass(frozen=True)
class StepEvent:
    """Progress of one pipeline step. `seconds` is set once it has ended."""

    step: str
    state: StepState
    seconds: float | None = None
    log: str = ""
    """Path or URL of the step's log."""
    note: str = ""
    """What is different here from what the file asks for."""
    run_id: str = ""
    """The run that it belongs to, where that is known meanwhile."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Local paths by name, once it has ended well."""


@dataclass(frozen=True)
class JobResult:
    """A pipeline job that has finished."""

    run_id: str
    """MLflow parent run."""
    steps: tuple[StepEvent, ...]
    outputs: Mapping[str, Path]
    """`<step>.<output>` and pipeline outputs, as local folders or files."""
    url: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What it was started with."""
