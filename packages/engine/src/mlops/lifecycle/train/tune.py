"""`mlops tune`: run the model's sweep on the target; its best trial becomes the defaults of the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem, StepFailed, TargetError
from mlops.lifecycle.train.lineage import checkout
from mlops.pipeline import load_pipeline
from mlops.pipeline.binding import parse_parent
from mlops.pipeline.models import Port
from mlops.pipeline.parts import Pipeline
from mlops.pipeline.sweep.models import read_sweep
from mlops.pipeline.types import mismatch
from mlops.spec import writing
from mlops.spec._edit import Editor
from mlops.spec.files import sweep_path, training_path
from mlops.spec.window import Window
from mlops.targets.base import SweepResult, Target, TrialResult


@dataclass(frozen=True)
class Tuned:
    """What a sweep found."""

    model: str
    result: SweepResult
    best: TrialResult
    parameters: Mapping[str, int | float | str | bool]
    """The best trial's values as the training pipeline takes them."""
    defaults: Mapping[str, Any]
    """What `training.yml` has for them now."""


def tune(
    root: Path,
    target: Target,
    model: str,
    inputs: Mapping[str, str],
    *,
    trials: int | None,
    workers: int | None,
    progress: Callable[[TrialResult], None],
) -> Tuned:
    """Run `pipelines/<model>/sweep.yml` with `inputs` in place of its defaults.

    Raises `InvalidInput` when the sweep draws something that the training pipeline does not take, or judges
    trials on months that the pipeline tests on; `StepFailed` when no trial was finished.
    """
    path = root / sweep_path(model)
    if not path.is_file():
        raise InvalidInput(
            f"{sweep_path(model)} does not exist; it says what `mlops tune` draws and looks for"
        )
    if target.sweeps is None:
        raise TargetError(f"the target {target.name} runs no sweeps")
    pipeline = load_pipeline(root / training_path(model))
    ports = _ports(pipeline)
    file = read_sweep(path)
    known = _parameters(pipeline, ports)
    problems = [
        file.document.problem(
            ("search_space", name),
            f"{training_path(model)} hands no such input to a step; it has {', '.join(sorted(known))}",
        )
        for name in file.job.search_space
        if name not in known
    ]
    validation = inputs.get("validation_window", _given(file.job.inputs, "validation_window"))
    tested = _given(pipeline.job.inputs, "test_window")
    if validation and tested and _overlap(validation, tested):
        problems.append(
            file.document.problem(
                ("inputs", "validation_window"),
                f"{validation} overlaps the pipeline's test window {tested}: tuned on rows, a model can no "
                "longer be judged by them",
            )
        )
    if problems:
        raise InvalidInput(problems)
    tags = {**checkout(root, model).as_tags(), "mlops.sweep": sweep_path(model)}
    result = target.sweeps.run(path, inputs, tags, trials=trials, workers=workers, progress=progress)
    best = result.best
    if best is None:
        raise StepFailed(f"no trial of {len(result.trials)} was finished, so there is nothing to take over")
    parameters = {name: _fitting(name, best.values[name], known[name]) for name in file.job.search_space}
    defaults = {name: pipeline.job.inputs[name].given for name in parameters}
    return Tuned(model, result, best, parameters, defaults)


def write(root: Path, tuned: Tuned) -> bool:
    """Make the best trial's values the defaults of the training pipeline; whether its bytes changed.

    Only these values change in the file. Raises `InvalidInput` when it cannot be edited in place.
    """
    path = root / training_path(tuned.model)
    before = path.read_text(encoding="utf-8")
    editor = Editor(before, training_path(tuned.model))
    for name, value in tuned.parameters.items():
        place = ("inputs", name)
        if isinstance(editor.get(place), dict | list | None):
            message = "must be one value, `name: value`, so that it can be replaced"
            raise InvalidInput(Problem(f"{editor.name}:{editor.line(place)}", message, f"inputs.{name}"))
        editor.put(place, value)
    if editor.text == before:
        return False
    writing.write(path, editor.text)
    return True


def _ports(pipeline: Pipeline) -> dict[str, list[Port]]:
    """The step inputs that each input of the pipeline feeds."""
    fed: dict[str, list[Port]] = {}
    for step in pipeline.steps.values():
        for key, value in step.node.inputs.items():
            bound = parse_parent(value.given)
            if bound is not None and bound.kind == "input" and key in step.component.inputs:
                fed.setdefault(bound.name, []).append(step.component.inputs[key])
    return fed


def _parameters(pipeline: Pipeline, ports: Mapping[str, list[Port]]) -> dict[str, Port]:
    """Inputs that are one number or text each and reach a step."""
    scalars = ("integer", "number", "string", "boolean")
    return {n: p[0] for n, p in ports.items() if n in pipeline.job.inputs and p[0].type in scalars}


def _fitting(name: str, value: int | float | str | bool, port: Port) -> int | float | str | bool:
    """`value` as the step takes it: a whole number where it declares one. Raises `InvalidInput`."""
    number = isinstance(value, float) and not isinstance(value, bool)
    if port.type == "integer" and number and float(value).is_integer():
        value = int(value)
    elif port.type == "number" and number:
        value = float(f"{value:.6g}")  # what is written by hand has no sixteen digits
    if why := mismatch(value, port):
        raise InvalidInput(f"the best trial's {name} {why}; change the search space")
    return value


def _given(inputs: Mapping[str, Any], name: str) -> str:
    return str(inputs[name].given) if name in inputs and inputs[name].given is not None else ""


def _overlap(one: str, other: str) -> bool:
    try:
        first, second = Window.parse(one), Window.parse(other)
    except ValueError:
        return False  # the step that reads it says what is wrong
    return first.first < second.end and second.first < first.end
