"""The server from which jobs get their `mlops` without importing MLflow anew (`pipeline/run/warm.py`).

A job's `mlops` is a script that asks this server for a fork, and falls back to the program itself.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from mlops.forge.pushed.store import Settings
from mlops.pipeline.run import warm_place

IDLE_SECONDS = 60
BEFORE = (
    "rich.console",
    "typer",
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
)
"""What verbs import beside what steps do, third-party only, in the order in which the first job needs it."""
AFTER = ("onnx", "scipy.stats")


def address(settings: Settings) -> Path | None:
    """Where the server of a virtual environment listens; None where no private folder can be had."""
    folder = warm_place.folder()
    # Another environment has a server of its own.
    return folder and folder / warm_place.name(f"{settings.python}\n{settings.locked}\n")


def start(settings: Settings, variables: Mapping[str, str]) -> None:
    """See that a server is there, or soon will be; `variables` are those that jobs get."""
    place = address(settings)
    if place is None or place.exists():
        return
    from mlops.pipeline.run.executor import PRELOAD

    warm_place.start(settings.python, place, IDLE_SECONDS, (*BEFORE, *PRELOAD, *AFTER), variables)


def stop(settings: Settings) -> None:
    """The server ends within a second, once its processes have."""
    place = address(settings)
    if place is not None:
        place.unlink(missing_ok=True)


def script(settings: Settings) -> str | None:
    """A job's `mlops`."""
    place = address(settings)
    if place is None:
        return None
    real = Path(settings.python).with_name("mlops")
    words = [settings.python, "-SEs", str(warm_place.CLIENT), str(place), str(real)]
    return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
