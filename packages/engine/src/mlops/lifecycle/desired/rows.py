"""What makes the rows of a model against how they are dealt: Spark splits by time, and by nothing else.

The step `prep` refuses it too, after a cluster has started. `mlops check`, `mlops pipeline lint` and
`mlops train` say it before anything does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops.errors import Problem
from mlops.spec._yaml import Document
from mlops.spec.files import training_path

_STEP = "mlops.steps.prep"
_ENGINE = re.compile(r"--engine[ =]+(\S+)")
_OPTIONAL = re.compile(r"\$\[\[.*?\]\]", re.DOTALL)
_INPUT = re.compile(r"\$\{\{\s*(?:parent\.)?inputs\.(\w+)\s*\}\}")


def problems(root: Path, model: str) -> list[Problem]:
    """Steps that are to make rows by Spark and to deal them by a rule."""
    training = training_path(model)
    if not (root / training).is_file():
        return []
    pipeline = Document.read(root / training, training).value
    jobs = pipeline.get("jobs") if isinstance(pipeline, Mapping) else None
    contradictions = []
    for name, job in jobs.items() if isinstance(jobs, Mapping) else ():
        if not isinstance(job, Mapping) or not _contradicts(root / training, job, _table(pipeline, "inputs")):
            continue
        contradictions.append(
            Problem(
                training,
                "Spark splits rows by time only, and this step is given `split`: give it window and "
                "test_window, or let components/prep.yml make the rows on one machine (docs/scaling.md)",
                f"jobs.{name}",
            )
        )
    return contradictions


def _contradicts(training: Path, job: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    component = _component(training, job)
    words = str(component.get("args") or component.get("command") or "")
    engine = _ENGINE.search(words) if _STEP in words else None
    if engine is None:
        return False
    bound = {**_table(component, "inputs"), **_table(job, "inputs")}
    if _value(engine[1], bound, given) != "spark":
        return False
    always = "--split" in _OPTIONAL.sub("", words)
    return always or ("--split" in words and bool(_table(job, "inputs").get("split")))


def _component(training: Path, job: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the job runs: a file, or itself."""
    reference = job.get("component", job)
    if isinstance(reference, str):
        path = training.parent / reference.removeprefix("file:")
        reference = Document.read(path, path.name).value if path.is_file() else {}
    return reference if isinstance(reference, Mapping) else {}


def _value(word: str, bound: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """A word of the command, through the inputs of the step and of the pipeline."""
    for inputs in (bound, given):
        if match := _INPUT.fullmatch(word):
            value = inputs.get(match[1], "")
            word = str(value.get("default", "") if isinstance(value, Mapping) else value)
    return word


def _table(document: Any, key: str) -> Mapping[str, Any]:
    table = document.get(key) if isinstance(document, Mapping) else None
    return table if isinstance(table, Mapping) else {}
