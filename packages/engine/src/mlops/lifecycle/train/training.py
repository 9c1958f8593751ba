"""`mlops train`: run the model's training pipeline on the target and say which version came out.

A run may outlive the process, and the login, that started it: `submit` it, and `resume` to hear how it ends.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlops.errors import InvalidInput, NotFound, TargetError
from mlops.events import publish
from mlops.lifecycle.desired import parameters, rows
from mlops.lifecycle.train import brought, facts
from mlops.lifecycle.train.lineage import lineage
from mlops.lifecycle.train.runs import TRY
from mlops.lifecycle.train.source import TREE, work_tree
from mlops.pipeline import WHOLE, JobResult, Selection, StepEvent
from mlops.spec._yaml import Document
from mlops.spec.files import training_path
from mlops.spec.settings import load_settings
from mlops.spec.window import Window
from mlops.targets.base import Target
from mlops.usecase import load_usecase

REGISTERED = "register.registered"
"""The output in which the pipeline says what it registered."""
EVALUATES = "evaluate"
"""The step after which metrics are known."""
NOTE = "mlflow.note.content"
"""Where MLflow shows it."""


@dataclass(frozen=True)
class Trial:
    """How a run differs from one that makes a version."""

    tries: bool = False
    """Log everything, register nothing."""
    selection: Selection = WHOLE
    note: str = ""
    """Why somebody started it, in words."""

    def __post_init__(self) -> None:
        # What ran in a debugger is nothing that anybody could make again.
        object.__setattr__(self, "tries", self.tries or self.selection.here)


REGISTERS = Trial()


@dataclass(frozen=True)
class Trained:
    """What a training run left behind."""

    model: str
    version: int | None
    """None for a run that only tried something, or ran a part of the pipeline."""
    digest: str
    run_id: str
    new: bool
    """False when the registry already had a version with this digest."""
    steps: tuple[StepEvent, ...]
    outputs: Mapping[str, Path] = field(default_factory=dict)

    @property
    def made(self) -> int:
        """The version of a run that registers; raises `TargetError` for one that did not."""
        if self.version is None:
            raise TargetError(f"the run {self.run_id} registered no version of {self.model}")
        return self.version

    @property
    def reused(self) -> int:
        """How many steps had nothing to do."""
        return sum(step.state == "reused" for step in self.steps)


def train(
    root: Path,
    target: Target,
    model: str,
    inputs: Mapping[str, str],
    progress: Callable[[StepEvent], None],
    *,
    trial: Trial = REGISTERS,
    begun: Callable[[Mapping[str, str]], None] | None = None,
) -> Trained:
    """Run `pipelines/<model>/training.yml` with `inputs` in place of its defaults.

    `begun` hears the tags of the run before its first step, when there is anything to run.

    Its inputs `usecase` and `model_name`, where it has them, are what mlops.toml says.
    Raises `InvalidInput` for a pipeline, a use case or an input that is wrong, `StepFailed` for a step that
    fails, and `TargetError` when the run ended without a registered version.
    """
    asked = _asked(root, model, inputs, trial)
    if trial.selection.whole and (before := _unchanged(target, model, asked)) is not None:
        for step in before.steps:
            progress(step)
        return before
    if begun is not None:
        begun(asked[2])
    result = target.jobs.run(*asked, progress, trial.selection)
    return tell(root, target, _ended(root, target, model, result, part=not trial.selection.whole))


def _unchanged(
    target: Target, model: str, asked: tuple[Path, dict[str, str], dict[str, str]]
) -> Trained | None:
    """The run of before when nothing has changed, and the registry still has what it made."""
    result = target.jobs.again(*asked)
    if result is None or REGISTERED not in result.outputs:
        return None
    made = _trained(model, result)
    try:
        known = made.version is None or target.registry.get(made.model, made.version).run_id
    except NotFound:
        return None
    return replace(made, new=False) if known else None


def submit(
    root: Path, target: Target, model: str, inputs: Mapping[str, str], trial: Trial = REGISTERS
) -> str:
    """Start what `train` runs and do not wait for it; the name that `resume` takes.

    Raises `InvalidInput` and `TargetError`.
    """
    return target.jobs.submit(*_asked(root, model, inputs, trial))


def resume(
    root: Path,
    target: Target,
    model: str,
    name: str,
    *,
    progress: Callable[[StepEvent], None],
    patience: float = math.inf,
) -> Trained | None:
    """Wait for a run that was submitted; None when it still runs after `patience` seconds.

    Raises what `train` raises, and `NotFound`.
    """
    result = target.jobs.wait(name, progress, patience)
    return None if result is None else _ended(root, target, model, result)


def tell(root: Path, target: Target, made: Trained) -> Trained:
    """Announce a run and its version; `train` did, whoever resumed a run does it then. Idempotent."""
    if made.version is None:
        return made
    version = target.registry.get(made.model, made.version)
    publish(root, facts.completed(version, made.run_id, made.new))
    publish(root, facts.registered(version), version.created)
    return made


def _asked(
    root: Path, model: str, inputs: Mapping[str, str], trial: Trial
) -> tuple[Path, dict[str, str], dict[str, str]]:
    """The pipeline, its inputs and the tags of its run."""
    pipeline = root / training_path(model)
    if not pipeline.is_file():
        raise InvalidInput(
            f"{training_path(model)} does not exist; every model needs a training pipeline there"
        )
    if wrong := [*parameters.problems(root, model), *rows.problems(root, model)]:
        raise InvalidInput(wrong)
    named = {**_named(root, model), **inputs}
    _judge_windows(root, model, named)
    source = lineage(root, pipeline, model)
    tags = {**source.as_tags(), TREE: work_tree(root, source.checkout.dirty)}
    if trial.tries:
        tags[TRY] = "true"
    if trial.note:
        tags[NOTE] = trial.note
    return pipeline, named, tags


def _ended(root: Path, target: Target, model: str, result: JobResult, part: bool = False) -> Trained:
    """What a run left behind; where its pipeline registers nothing, its model is registered here."""
    if part or REGISTERED in result.outputs or not brought.brings(root, model):
        return _trained(model, result, part)
    if result.tags.get(TRY) == "true":
        return Trained(model, None, "", result.run_id, False, result.steps, result.outputs)
    made = brought.register(root, target, model, result)
    return Trained(model, made.version, made.digest, result.run_id, made.new, result.steps, result.outputs)


def _judge_windows(root: Path, model: str, given: Mapping[str, str]) -> None:
    """Raises `InvalidInput` for windows that the step `prep` would refuse, before anything is started."""
    name = training_path(model)
    content = Document.read(root / name, name).value
    declared = content.get("inputs") if isinstance(content, Mapping) else None
    texts = {}
    words = {**(declared if isinstance(declared, Mapping) else {}), **given}
    both = {key: words.get(key) for key in ("window", "test_window")}
    # A pipeline that somebody brings may mean something else by one of these names.
    if brought.brings(root, model) or not all(isinstance(text, str) for text in both.values()):
        return
    for key, text in both.items():
        try:
            texts[key] = Window.parse(str(text))
        except ValueError as error:
            place = f"--{key.replace('_', '-')}" if key in given else f"{name}: inputs.{key}"
            raise InvalidInput(f"{place}: {error}; got {text!r}") from None
    if texts["test_window"].first < texts["window"].end:
        raise InvalidInput(
            f"the test window {texts['test_window']} starts before the training window {texts['window']} has "
            "ended; a model is tested on rows that it has not seen, and that come later"
        )


def _trained(model: str, result: JobResult, part: bool = False) -> Trained:
    registered = result.outputs.get(REGISTERED)
    if registered is None and part:
        return Trained(model, None, "", result.run_id, False, result.steps, result.outputs)
    if registered is None or not registered.is_file():
        raise TargetError(
            f"the pipeline ended, but {REGISTERED} says no version; "
            f"{training_path(model)} must end with a `register` step that has the output `registered`, or "
            "give a model and its test rows as outputs (docs/guides/own-pipeline.md)"
        )
    answer = json.loads(registered.read_text(encoding="utf-8"))
    return Trained(
        model=answer["model"],
        version=None if answer["version"] is None else int(answer["version"]),
        digest=answer["digest"],
        run_id=result.run_id,
        # A version that was there before names the run that made it.
        new=answer["run_id"] == result.run_id,
        steps=result.steps,
        outputs=result.outputs,
    )


def _named(root: Path, model: str) -> dict[str, str]:
    """What mlops.toml decides, so that no pipeline file trains or registers something else."""
    _, settings = load_settings(root).model(model)
    load_usecase(settings.usecase, root / "src")
    name = training_path(model)
    content = Document.read(root / name, name).value
    declared = content.get("inputs") if isinstance(content, dict) else None
    decided = {"usecase": settings.usecase, "model_name": model}
    return {key: value for key, value in decided.items() if isinstance(declared, dict) and key in declared}
