"""A step of a pipeline as a task of a Databricks job: the entry point of the wheel that the job takes along.

`mlops.targets.databricks.jobs` writes the plan into a volume. Here it is read, and the step's command is
run in a copy of its code with its outputs on the local disk, for a volume takes whole files only; then
they are copied to it. The last task of a job ends the run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

VOLUME, LOCAL = "@@volume@@", "@@local@@"
"""In a command of the plan: the volume as this machine sees it, and a folder of this machine."""
PLAN, DONE, LOG = "plan.json", ".done", "log.txt"
END = "_end"
"""Key of the task that ends the run."""
KEPT = ("outputs", "logs")
"""Folders below the working folder that are artifacts of the run, as on Azure ML."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step, or end the run; exit code 0 when that went well."""
    options = argparse.ArgumentParser("mlops-step", description=__doc__)
    options.add_argument("--volume", type=Path, required=True)
    options.add_argument("--run", required=True)
    options.add_argument("--step", required=True)
    given = options.parse_args(argv)
    folder = given.volume / "runs" / given.run
    plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    if given.step == END:
        return _end(folder, plan, given.run)
    return _step(given.volume, plan, given.run, given.step)


def entry() -> None:
    """What a task calls. One that ends well must not raise `SystemExit`: Databricks takes it for a
    failure."""
    if status := main():
        raise SystemExit(status)


def _step(volume: Path, plan: Mapping[str, Any], run: str, name: str) -> int:
    from mlops.tracking import PipelineTracker
    from mlops.tracking.unity import SCHEMA

    folder, told = volume / "runs" / run, plan["steps"][name]
    tracker = PipelineTracker("databricks")
    child = tracker.create_child(run, name, {"mlops.step": name})
    with tempfile.TemporaryDirectory(prefix="mlops-") as scratch:
        local, kept = Path(scratch), folder / name
        code = local / "code"
        with zipfile.ZipFile(volume / told["code"]) as archive:
            archive.extractall(code)
        for part in KEPT:
            (code / part).mkdir(parents=True, exist_ok=True)
        for output, kind in told["outputs"].items():
            place = local / "outputs" / output
            (place.parent if kind == "uri_file" else place).mkdir(parents=True, exist_ok=True)
        command = told["command"].replace(VOLUME, str(volume)).replace(LOCAL, str(local))
        status, text = _run(
            command, code, _environment(told["variables"] | {SCHEMA: plan["schema"]}, child, run)
        )
        kept.mkdir(parents=True, exist_ok=True)
        (kept / LOG).write_text(text, encoding="utf-8")
        if not status and (wrong := _missing(local, told["outputs"])):
            print(wrong, file=sys.stderr)  # noqa: T201  the task's log is where it is looked for
            status = 1
        for part in KEPT:
            if any((code / part).iterdir()):
                tracker.log_artifacts(child, code / part, part)
        if not status:
            for output, kind in told["outputs"].items():
                source, target = local / "outputs" / output, kept / output
                if kind == "uri_file":
                    shutil.copyfile(source, target)
                else:
                    shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile)
            (kept / DONE).write_text("", encoding="utf-8")
    tracker.finish(child, "FAILED" if status else "FINISHED")
    return status


def _end(folder: Path, plan: Mapping[str, Any], run: str) -> int:
    """The run has ended well when every step has."""
    from mlops.tracking import PipelineTracker

    failed = [name for name in plan["steps"] if not (folder / name / DONE).exists()]
    PipelineTracker("databricks").finish(run, "FAILED" if failed else "FINISHED")
    return 1 if failed else 0


def _environment(variables: Mapping[str, str], child: str, run: str) -> dict[str, str]:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {
        **os.environ,
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "agg",
        # What this process imported it from: the wheel is not on the path of another one everywhere.
        "PYTHONPATH": os.pathsep.join(filter(None, (*sys.path, os.environ.get("PYTHONPATH", "")))),
        "MLFLOW_TRACKING_URI": "databricks",
        "MLFLOW_REGISTRY_URI": "databricks-uc",
        "MLFLOW_RUN_ID": child,
        "AZUREML_RUN_ID": child,
        "AZUREML_ROOT_RUN_ID": run,
        **variables,
    }


def _run(command: str, code: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and all that was said, which is passed on while it is said."""
    said = []
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=code,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None  # noqa: S101  it was asked for
        for line in process.stdout:
            print(line, end="", flush=True)  # noqa: T201
            said.append(line)
    return process.returncode, "".join(said)


def _missing(local: Path, outputs: Mapping[str, str]) -> str:
    for name, kind in outputs.items():
        place = local / "outputs" / name
        if kind == "uri_file" and not place.is_file():
            return f"the step left no file as its output {name!r}, which is declared uri_file"
        if kind != "uri_file" and not place.is_dir():
            return f"the step left no folder as its output {name!r}, which is declared {kind}"
    return ""
