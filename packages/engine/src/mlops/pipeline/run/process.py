"""What the process of a step or a trial finds in its environment, and how its failure is told."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from mlops.pipeline.documents import shown
from mlops.pipeline.parts import Step

_LAST_LINES = 15
_INVALID_INPUT = 5


def step_environment(
    tracking: Mapping[str, str], child: str, root: str = "", programs: Path | None = None
) -> dict[str, str]:
    """The environment of a step's process that reports to the run `child`, below the run `root`.

    `programs`: the folder of the `python` that its command means; None: of this one.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_RUN")}
    if programs is not None:
        inherited = {k: v for k, v in inherited.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        inherited["VIRTUAL_ENV"] = str(programs.parent)
    # `python` in a command is this one, also when its virtual environment is not activated.
    first = programs or Path(sys.executable).parent
    path = os.pathsep.join((str(first), os.environ.get("PATH", os.defpath)))
    fixed = {
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "agg",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_RUN_ID": child,
        "AZUREML_RUN_ID": child,
        "AZUREML_ROOT_RUN_ID": root or child,
    }
    return {**inherited, **tracking, **fixed}


def failure(step: str, how: str | int, seconds: float, log: Path) -> str:
    """Why a step failed, with what it said last. `how`: exit code, negative for a signal; or a sentence."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    last = "\n".join(f"    {line}" for line in [x for x in lines if x.strip()][-_LAST_LINES:])
    if isinstance(how, str):
        return f"step {step!r} {how}\n  log: {log}"
    if how == _INVALID_INPUT and last:
        # The step has refused its input with a sentence of its own: that is what there is to read.
        return f"step {step!r} refuses its input:\n{last}\n  log: {log}"
    if how < 0:
        name = signal.Signals(-how).name
        hint = "; often the machine ran out of memory" if name == "SIGKILL" else ""
        ended = f"was ended by {name}{hint}"
    else:
        ended = f"failed with exit code {how}"
    said = f"; the last lines of its log:\n{last}" if last else "; it wrote nothing to its log"
    return f"step {step!r} {ended} after {seconds:.1f} s{said}\n  log: {log}"


def name_sources(log: Path, step: Step, folder: Path) -> None:
    """Let a log name the files that somebody can edit, where it names those of the copy in `folder`."""
    origins = [(folder / include.name, include) for include in step.includes]
    origins += [(folder, step.code)] if step.code is not None else []
    before = text = log.read_text(encoding="utf-8", errors="replace")
    for copy, origin in origins:
        text = text.replace(str(copy), shown(origin))
    if text != before:
        log.write_text(text, encoding="utf-8")
