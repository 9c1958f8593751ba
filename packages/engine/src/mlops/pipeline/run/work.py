"""Where a step, or a trial of a sweep, works: its copy of the code, its inputs as their modes promise.

On Azure ML every job has a snapshot of its own, and data are mounted read-only unless the file asks for more.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlops.pipeline.binding import expand, holes
from mlops.pipeline.parts import Pipeline, Step
from mlops.pipeline.run.values import Given

KEPT = ("outputs", "logs")
"""Folders below the working folder that Azure ML makes, and keeps as artifacts of the run."""
DEFAULT_OUTPUT = "artifacts"
"""The output in which Azure ML gives the artifacts of a run to other jobs."""
DEFAULT_MODE = "ro_mount"
_WRITABLE_COPY = ("download", "eval_download")
_AS_IT_IS = ("rw_mount", "direct")

Signature = frozenset[tuple[str, int, int, int]]


@dataclass(frozen=True)
class Task:
    """What a process is to do: the command with its holes, and what belongs into them."""

    command: str
    inputs: Mapping[str, Given]
    modes: Mapping[str, str]
    outputs: Mapping[str, str | None]
    """Types by name."""
    drawn: Mapping[str, str] = field(default_factory=dict)

    def drawing(self, values: Mapping[str, object]) -> Task:
        """The task of one trial. What is drawn also fills inputs of that name, as a trial's component has."""
        texts = {name: str(value) for name, value in values.items()}
        given = {name: Given(text, text) for name, text in texts.items()}
        modes = dict.fromkeys(texts, DEFAULT_MODE)
        return replace(self, drawn=texts, inputs={**self.inputs, **given}, modes={**self.modes, **modes})


def task_of(pipeline: Pipeline, step: Step, given: Mapping[str, Given]) -> Task:
    """The task of a step, or of every trial of it."""
    return Task(
        step.component.command,
        given,
        {name: _mode(pipeline, step, name) for name in given},
        {name: pipeline.output_type(step, name) for name in step.component.outputs},
    )


@dataclass(frozen=True)
class Workplace:
    """Everything that a task's process finds. `code` is its working folder."""

    task: Task
    code: Path
    inputs: Mapping[str, Given]
    outputs: Mapping[str, Path]
    before: Mapping[str, Signature]

    @property
    def command(self) -> str:
        """What the shell is given."""
        return expand(
            self.task.command,
            {name: value.text for name, value in self.inputs.items()},
            {name: str(path) for name, path in self.outputs.items()},
            self.task.drawn,
            paths=[name for name, value in self.inputs.items() if value.is_path],
        )

    @property
    def left(self) -> list[str]:
        """Those of `KEPT` in which the step has left anything."""
        folders = [self.code / name for name in KEPT]
        return [path.name for path in folders if path.is_dir() and any(path.iterdir())]

    def keep_default(self) -> None:
        """The output `artifacts` that a command does not fill itself holds what the step left in `KEPT`."""
        target = self.outputs.get(DEFAULT_OUTPUT)
        if target is None or any(
            hole.side == "outputs" and hole.name == DEFAULT_OUTPUT for hole in holes(self.task.command)
        ):
            return
        for name in self.left:
            shutil.copytree(self.code / name, target / name, dirs_exist_ok=True)

    def broken(self) -> str:
        """What a step that ended well has done against its file; empty when nothing."""
        after = _signatures(self.inputs, self.task.modes)
        for name, seen in self.before.items():
            if after[name] != seen:
                return (
                    f"wrote into its input {name!r}, which is read-only on Azure ML; write to an output, or "
                    "ask for a copy of its own by `mode: download`"
                )
        for name, path in self.outputs.items():
            declared = self.task.outputs[name] or "uri_folder"
            if declared == "uri_file" and path.is_dir():
                return f"made a folder of its output {name!r}, which is declared uri_file"
            if declared != "uri_file" and not path.is_dir():
                left = "a file" if path.exists() else "nothing"
                return f"left {left} as its output {name!r}, which is declared {declared}, a folder"
        return ""


def workplace(task: Task, snapshot: Path, *, code: Path, inputs: Path, outputs: Path) -> Workplace:
    """Make it: a copy of the `snapshot` at `code`, copies of inputs below `inputs`, room below `outputs`."""
    shutil.copytree(snapshot, code)
    for name in KEPT:
        (code / name).mkdir(exist_ok=True)
    for name, kind in task.outputs.items():
        place = outputs / name
        (place.parent if kind == "uri_file" else place).mkdir(parents=True, exist_ok=True)
    placed = place_inputs(task.inputs, task.modes, inputs)
    output_paths = {name: outputs / name for name in task.outputs}
    return Workplace(task, code, placed, output_paths, _signatures(placed, task.modes))


def _mode(pipeline: Pipeline, step: Step, name: str) -> str:
    """The mode of a step's input: the node's, else its component's, else that of the pipeline's input."""
    value = step.node.inputs.get(name)
    bound = pipeline.bound_input(value)
    declared = (value and value.mode, step.component.inputs[name].mode, bound and bound.mode)
    return next((mode for mode in declared if mode), DEFAULT_MODE)


def _read_only(mode: str) -> bool:
    return mode not in (*_WRITABLE_COPY, *_AS_IT_IS)


def place_inputs(given: Mapping[str, Given], modes: Mapping[str, str], folder: Path) -> dict[str, Given]:
    """The inputs as the step may see them, copied below `folder` where it must not touch the original.

    What a step may write belongs to it alone. `rw_mount` of data of the user is the original: that is what
    was asked for. What another step has made is kept for later runs, so it is never handed out to be written.
    """
    placed = {}
    for name, value in given.items():
        mode = modes[name]
        original = not value.is_path or (value.kept and _read_only(mode))
        if original or (mode in _AS_IT_IS and not value.kept):
            placed[name] = value
            continue
        source = Path(value.text)
        target = folder / name / source.name
        _copy(source, target, read_only=_read_only(mode))
        placed[name] = replace(value, text=str(target))
    return placed


def remove(folder: Path) -> None:
    """Delete a folder with read-only copies in it."""
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def _signatures(given: Mapping[str, Given], modes: Mapping[str, str]) -> dict[str, Signature]:
    """Of each input that the step must not change: what tells a change without reading the content."""
    return {
        name: _signature(Path(value.text))
        for name, value in given.items()
        if value.is_path and _read_only(modes[name])
    }


def _copy(source: Path, target: Path, *, read_only: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
    if not read_only:
        return
    for parent, _, files in os.walk(target, topdown=False):
        for name in files:
            Path(parent, name).chmod(0o444)
        Path(parent).chmod(0o555)
    if target.is_file():
        target.chmod(0o444)


def _signature(path: Path) -> Signature:
    if path.is_file():
        return frozenset({_row(path, path.parent)})
    files = (_row(Path(parent, name), path) for parent, _, names in os.walk(path) for name in names)
    # A folder's size and time change with what is in it, which is told by the files.
    folders = (
        (Path(parent, name).relative_to(path).as_posix(), 0, 0, 0)
        for parent, names, _ in os.walk(path)
        for name in names
    )
    return frozenset((*files, *folders))


def _row(path: Path, base: Path) -> tuple[str, int, int, int]:
    seen = path.lstat()
    return path.relative_to(base).as_posix(), seen.st_size, seen.st_mtime_ns, seen.st_ino
