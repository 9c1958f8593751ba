"""The whole run of before, when nothing at all has changed: its answer costs no step and no library.

An entry is keyed by all that a run depends on, and counts only while the outputs that it names are there. A
caller still asks the registry whether what was registered exists.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mlops
from mlops.pipeline.parts import Pipeline
from mlops.pipeline.read import load_pipeline
from mlops.pipeline.result import JobResult, StepEvent
from mlops.pipeline.run.key import environment_content
from mlops.pipeline.run.snapshot import code_digest
from mlops.pipeline.run.values import AssetResolver, pipeline_inputs
from mlops.spec.digest import data_digest, file_digest
from mlops.spec.writing import write

_FORMAT = 1
REGISTERS = "register"
"""The one step that may change something outside of the run: the caller looks whether that is there."""


def key_of(
    path: Path, inputs: Mapping[str, str], tags: Mapping[str, str], installed: str, resolve: AssetResolver
) -> str:
    """Of one run; empty for a pipeline whose answer may differ when nothing has changed.

    Raises `InvalidInput` for a pipeline or an input that is wrong.
    """
    pipeline = load_pipeline(path)
    if pipeline.job.settings.force_rerun or not _repeatable(pipeline):
        return ""
    given = pipeline_inputs(pipeline, inputs, resolve)
    digest = functools.cache(code_digest)  # steps share their folders
    steps = [
        {
            "files": [file_digest(part.path) for part in (step.part, step.owner)],
            "code": [digest(part) for part in (step.code, *step.includes) if part and part.exists()],
            "environment": environment_content(step),
        }
        for step in pipeline.steps.values()
    ]
    facts: dict[str, Any] = {
        "format": _FORMAT,
        "pipeline": [str(path.resolve()), file_digest(path)],
        "steps": steps,
        "inputs": {name: value.identity for name, value in given.items()},
        "tags": dict(tags),
        "installed": [installed, *_own(mlops.__path__)],
    }
    return data_digest(facts).removeprefix("sha256:")


def _repeatable(pipeline: Pipeline) -> bool:
    odd = [name for name, step in pipeline.steps.items() if not step.component.is_deterministic]
    return odd in ([], [REGISTERS])


def _own(folders: Iterable[str]) -> list[list[Any]]:
    """The lifecycle's own modules, which somebody may edit: by size and time, for there are many."""
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
    return [[str(file), (seen := file.stat()).st_size, seen.st_mtime_ns] for file in files]


def recall(folder: Path, key: str) -> JobResult | None:
    """What the run with this key has made; None when there was none, or when it is not there any more."""
    try:
        said = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        outputs = {name: Path(path) for name, path in said["outputs"].items()}
        steps = tuple(StepEvent(name, "reused", 0.0) for name in said["steps"])
        run_id = str(said["run_id"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return JobResult(run_id, steps, outputs) if all(p.exists() for p in outputs.values()) else None


def remember(folder: Path, key: str, result: JobResult) -> None:
    """Keep what a run has made."""
    said = {
        "run_id": result.run_id,
        "steps": [event.step for event in result.steps],
        "outputs": {name: str(path) for name, path in result.outputs.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / f"{key}.json", json.dumps(said), durable=False)
