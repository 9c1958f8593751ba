"""Azure ML pipeline YAML: read, lint, run on this machine. Importing it loads no heavy library."""

from __future__ import annotations

from mlops.lint import lint
from mlops.pipeline.read import Pipeline, load_pipeline
from mlops.pipeline.result import JobResult, StepEvent, StepState
from mlops.pipeline.run.executor import StepServer
from mlops.pipeline.run.key import installed_environment
from mlops.pipeline.run.runner import run_pipeline
from mlops.pipeline.run.selection import WHOLE, Selection
from mlops.pipeline.run.tracker import Tracker

__all__ = [
    "WHOLE",
    "JobResult",
    "Pipeline",
    "Selection",
    "StepEvent",
    "StepServer",
    "StepState",
    "Tracker",
    "installed_environment",
    "lint",
    "load_pipeline",
    "run_pipeline",
]
