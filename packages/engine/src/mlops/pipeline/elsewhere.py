"""What only Azure ML runs, and what stands in for it on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.binding import parse_parent
from mlops.pipeline.documents import open_document
from mlops.pipeline.parts import Step

NEVER = {
    "automl": "AutoML",
    "if_else": "a condition (if_else)",
    "do_while": "a loop (do_while)",
    "parallel_for": "a loop (parallel_for)",
    "data_transfer": "a data transfer",
    "import": "an import",
}


def never(kind: str) -> str:
    """The word of a job that only Azure ML runs; empty for every other kind."""
    word = kind.removeprefix("?").removesuffix("job") if kind.startswith("?") else kind.partition("job.")[2]
    return word.partition(".")[0] if word.partition(".")[0] in NEVER else ""


def no_job(kind: str) -> str:
    """Why a file of this kind is nothing to run."""
    family, _, word = kind.lstrip("?").partition(".")
    known = "a run here takes a pipeline, or a command, sweep or Spark job"
    if family == "component":
        what = f"a {word.replace('_', ' ')} component is no job by itself"
        return f"{what}; name it in a job of a pipeline (`component: ./FILE`): {known}"
    if kind.startswith("?") and kind.endswith("job"):
        return f"a job of the type {family.removesuffix('job')!r}, which only Azure ML runs: {known}"
    return f"{' '.join((family, word.replace('_', ' '))).strip() or 'no job of Azure ML'}: {known}"


def way_out(name: str) -> str:
    """What to do about the job `name`."""
    return f"name a component that stands in for it (--stand-in {name}=FILE), or use --target azure"


def bound_to(value: Any) -> Any:
    """What an output is bound to."""
    return value.get("path") if isinstance(value, dict) else value


def _mapping(value: Any) -> dict[str, Any]:
    """Anything else is refused where the component is read."""
    return value if isinstance(value, dict) else {}


def stood_in(raw: Mapping[str, Any], file: Path, name: str) -> dict[str, Any]:
    """The job with another component. Fields of its own that the component declares become its inputs, as the
    `training_data` of AutoML. Raises `InvalidInput` when it does not give what the pipeline gives.
    """
    inner = open_document(file.resolve())
    declared, gives = (_mapping(inner.value.get(side)) for side in ("inputs", "outputs"))
    own = {key: raw[key] for key in declared if key in raw and key not in ("name", "type", "compute")}
    inputs = {key: value for key, value in {**own, **(raw.get("inputs") or {})}.items() if key in declared}
    outputs = {k: v for k, v in (raw.get("outputs") or {}).items() if k in gives}
    for key in set(raw.get("outputs") or {}) - set(outputs):
        if parse_parent(bound_to(raw["outputs"][key])) is not None:
            message = f"lacks the output {key!r} of {name!r}, which the pipeline gives"
            raise InvalidInput(Problem(str(file), message, "--stand-in"))
    return {
        "component": str(file.resolve()),
        "type": inner.value.get("type", "command"),
        "inputs": inputs,
        "outputs": outputs,
    }


def unfit(name: str, file: Path, steps: Mapping[str, Step]) -> list[Problem]:
    """Why what stands in for the job `name` does not: it asks for more, or gives less than others read."""
    problems = []
    for flat, step in steps.items():
        if flat == name or flat.startswith(f"{name}."):
            given = {key for key, value in step.node.inputs.items() if value.given is not None}
            for key, port in step.component.inputs.items():
                if key not in given and port.default is None and not port.optional:
                    message = f"asks for the input {key!r}, which the job {name!r} does not give"
                    problems.append(Problem(str(file), f"{message}; make it optional", "--stand-in"))
            continue
        for value in step.node.inputs.values():
            bound = parse_parent(value.given)
            if bound is None or bound.kind != "job" or bound.job != name:
                continue
            if name not in steps or bound.name not in steps[name].component.outputs:
                message = f"lacks the output {bound.name!r} of {name!r}, which the job {flat!r} reads"
                problems.append(Problem(str(file), message, "--stand-in"))
    return problems
