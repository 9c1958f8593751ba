"""Azure ML pipeline YAML: read, lint, run on this machine. Importing it loads no heavy library.

What is named here is imported when it is asked for: whoever needs the result types need not load the lint.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops.pipeline.checked import lint
    from mlops.pipeline.parts import Pipeline
    from mlops.pipeline.read import load_pipeline
    from mlops.pipeline.result import JobResult, StepEvent, StepState
    from mlops.pipeline.run.executor import StepServer
    from mlops.pipeline.run.key import installed_environment
    from mlops.pipeline.run.runner import run_pipeline
    from mlops.pipeline.run.selection import WHOLE, Selection
    from mlops.pipeline.run.state import close_dead
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
    "close_dead",
    "installed_environment",
    "lint",
    "load_pipeline",
    "run_pipeline",
]

_PLACES = {
    "WHOLE": "mlops.pipeline.run.selection",
    "Selection": "mlops.pipeline.run.selection",
    "JobResult": "mlops.pipeline.result",
    "Pipeline": "mlops.pipeline.parts",
    "StepEvent": "mlops.pipeline.result",
    "StepServer": "mlops.pipeline.run.executor",
    "StepState": "mlops.pipeline.result",
    "Tracker": "mlops.pipeline.run.tracker",
    "close_dead": "mlops.pipeline.run.state",
    "installed_environment": "mlops.pipeline.run.key",
    "lint": "mlops.pipeline.checked",
    "load_pipeline": "mlops.pipeline.read",
    "run_pipeline": "mlops.pipeline.run.runner",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
