"""Hyper-parameters have one place: `DEFAULTS` in `src/<use case>/model.py`.

The component's inputs and command and the inputs of `training.yml` follow from it. `mlops params` writes
them, `mlops train` and `mlops check` refuse files that say something else. Limits (`min`, `max`) are a
person's, and so is a value of `training.yml` that differs from the default: `mlops tune --write` leaves one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.spec._edit import Editor
from mlops.spec._yaml import Document
from mlops.spec.files import training_path
from mlops.spec.settings import load_settings

Value = bool | int | float
_STEP = "mlops.steps.train"
_PARAM = re.compile(r"^[ \t]*--param (\w+)=\$\{\{inputs\.\1\}\}[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True)
class Files:
    """Where hyper-parameters are written down, relative to the repository."""

    source: str
    training: str
    component: str
    step: str
    """Name of the training step."""


def problems(root: Path, model: str) -> list[Problem]:
    """Where the files do not follow `DEFAULTS`; none when the model keeps no such table."""
    files = _files(root, model)
    wanted = None if files is None else defaults(root / files.source)
    if files is None or wanted is None:
        return []
    return [
        Problem(name, f"{why}; `DEFAULTS` of {files.source} is the place. Write it with: mlops params")
        for name, why in _apart(root, files, wanted)
    ]


def write(root: Path, model: str) -> list[str]:
    """Make the files follow `DEFAULTS`; those that changed. Raises `InvalidInput` where there is none."""
    files = _files(root, model)
    wanted = None if files is None else defaults(root / files.source)
    if files is None or wanted is None:
        place = files.source if files else training_path(model)
        raise InvalidInput(
            f"{place}: no hyper-parameters are found there. They are a dictionary of numbers, DEFAULTS, in "
            f"model.py of the use case, and a step of training.yml runs `python -m {_STEP}`"
        )
    texts = {
        files.training: _training(root, files, wanted),
        files.component: _component(root, files, wanted),
    }
    changed = [name for name, text in texts.items() if (root / name).read_text(encoding="utf-8") != text]
    for name in changed:
        (root / name).write_text(texts[name], encoding="utf-8")
    return changed


def defaults(source: Path) -> dict[str, Value] | None:
    """`DEFAULTS` of a module, read without running it; None when it has none that is written out."""
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if not any(isinstance(target, ast.Name) and target.id == "DEFAULTS" for target in targets):
            continue
        value = getattr(node, "value", None)
        try:
            table = ast.literal_eval(value) if isinstance(value, ast.Dict) else None
        except (ValueError, TypeError):
            return None
        numbers = isinstance(table, dict) and all(isinstance(v, bool | int | float) for v in table.values())
        return table if numbers else None
    return None


def _files(root: Path, model: str) -> Files | None:
    _, settings = load_settings(root).model(model)
    training = training_path(model)
    if not (root / training).is_file():
        return None
    jobs = Document.read(root / training, training).value.get("jobs")
    for step, node in jobs.items() if isinstance(jobs, Mapping) else ():
        reference = node.get("component") if isinstance(node, Mapping) else None
        if not isinstance(reference, str):
            continue
        component = (Path(training).parent / reference.removeprefix("file:")).as_posix()
        if (root / component).is_file() and _STEP in (root / component).read_text(encoding="utf-8"):
            return Files(f"src/{settings.usecase}/model.py", training, component, str(step))
    return None


def _passed(text: str) -> list[str]:
    return _PARAM.findall(text)


def _apart(root: Path, files: Files, wanted: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    """(file, what is wrong with it)."""
    text = (root / files.component).read_text(encoding="utf-8")
    inputs = Editor(text, files.component)
    training = Editor((root / files.training).read_text(encoding="utf-8"), files.training)
    passed = set(_passed(text))
    for name, value in wanted.items():
        declared = inputs.get(("inputs", name))
        if not isinstance(declared, Mapping) or declared.get("default") != value:
            said = declared.get("default") if isinstance(declared, Mapping) else "nothing"
            yield files.component, f"the default of {name} is {value}, it says {said}"
        elif name not in passed:
            yield files.component, f"the command does not pass on {name}"
        if training.get(("inputs", name)) is None:
            yield files.training, f"there is no input {name}"
        elif training.get(("jobs", files.step, "inputs", name)) is None:
            yield files.training, f"the step {files.step} does not get {name}"
    for name in passed - set(wanted):
        yield files.component, f"{name} is passed on, and no hyper-parameter"


def _component(root: Path, files: Files, wanted: Mapping[str, Value]) -> str:
    editor = Editor((root / files.component).read_text(encoding="utf-8"), files.component)
    gone = [name for name in _passed(editor.text) if name not in wanted]
    for name in gone:
        editor.drop(("inputs", name))
    text = editor.text
    for name, value in wanted.items():
        editor = Editor(text, files.component)
        if editor.get(("inputs", name)) is None:
            text = _after_inputs(text, name, f"{{type: {_type(value)}, default: {_text(value)}}}")
        else:
            editor.put(("inputs", name, "default"), value)
            text = editor.text
    return _commands(text, wanted)


def _after_inputs(text: str, name: str, value: str) -> str:
    """A new input below the last one that a person has written."""
    lines = text.splitlines(keepends=True)
    start = next(at for at, line in enumerate(lines) if line.startswith("inputs:"))
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " \t#"):
        end += 1
    return "".join([*lines[:end], f"  {name}: {value}\n", *lines[end:]])


def _commands(text: str, wanted: Mapping[str, Value]) -> str:
    """One `--param` for each, in the order of the table, where the first one stands."""
    matches = list(_PARAM.finditer(text))
    if not matches:
        raise InvalidInput(
            "the command of the training component passes on no hyper-parameter yet; write one line of it, "
            "such as `--param seed=${{inputs.seed}}`, and run this again"
        )
    first = matches[0]
    indent = first[0][: len(first[0]) - len(first[0].lstrip())]
    lines = "".join(f"{indent}--param {name}=${{{{inputs.{name}}}}}\n" for name in wanted)
    head, tail = text[: first.start()], text[first.start() :]
    return head + lines + _PARAM.sub("", tail)


def _training(root: Path, files: Files, wanted: Mapping[str, Value]) -> str:
    editor = Editor((root / files.training).read_text(encoding="utf-8"), files.training)
    component = (root / files.component).read_text(encoding="utf-8")
    place = ("jobs", files.step, "inputs")
    for name in _passed(component):
        if name not in wanted:
            editor.drop((*place, name))
            editor.drop(("inputs", name))
    before = Editor(component, files.component)
    for name, value in wanted.items():
        # A value of its own, as `mlops tune --write` leaves it, stays.
        followed = editor.get(("inputs", name)) in (None, before.get(("inputs", name, "default")))
        if followed:
            editor.put(("inputs", name), value)
        if editor.get((*place, name)) is None:
            editor.put((*place, name), f"${{{{parent.inputs.{name}}}}}")
    return editor.text


def _type(value: Value) -> str:
    return "boolean" if isinstance(value, bool) else "integer" if isinstance(value, int) else "number"


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
