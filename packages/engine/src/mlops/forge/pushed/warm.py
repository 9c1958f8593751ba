"""The server from which jobs get their `mlops` without importing MLflow anew (`pipeline/run/warm.py`).

A job's `mlops` is a script that asks this server for a fork, and falls back to the program itself.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mlops.forge.pushed.store import Settings

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
# Looked up without importing it: a job's small scripts import this module.
_CODE = Path(__file__).parents[2] / "pipeline" / "run"


def address(settings: Settings) -> Path | None:
    """Where the server of a virtual environment listens; None where no private folder can be had."""
    folder = Path(tempfile.gettempdir()) / f"mlops-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        # Whoever can write there could answer in the server's place.
        return None
    # Another environment, or another version of what speaks through the socket, has a server of its own.
    said = hashlib.sha256(f"{settings.python}\n{settings.locked}\n".encode())
    for part in ("warm.py", "warm_client.py", "zygote.py"):
        said.update((_CODE / part).read_bytes())
    return folder / said.hexdigest()[:16]


def start(settings: Settings, variables: Mapping[str, str]) -> None:
    """See that a server is there, or soon will be; `variables` are those that jobs get."""
    place = address(settings)
    if place is None or place.exists():
        return
    from mlops.pipeline.run.executor import PRELOAD

    modules = (*BEFORE, *PRELOAD, *AFTER)
    with subprocess.Popen(
        [settings.python, str(_CODE / "warm.py"), str(place), str(IDLE_SECONDS), *modules],
        env=dict(variables),
        cwd=place.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        process.returncode = 0  # it outlives this process, which does not wait for it


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
    client = _CODE / "warm_client.py"
    words = [settings.python, "-SEs", str(client), str(place), str(real)]
    return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
