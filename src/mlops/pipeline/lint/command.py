"""What a step's command gets wrong: placeholders that are not declared, scripts that are not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mlops.errors import Problem
from mlops.pipeline.binding import holes
from mlops.pipeline.lint.graph import unknown
from mlops.pipeline.models import Port
from mlops.pipeline.read import Step, shown

_SCRIPT = re.compile(r"\bpython3?\s+(?:-[uBEIsO]\s+)*(?P<script>[\w./-]+\.py)\b")
_INSTALLED = ("pip", "json", "http", "venv", "unittest", "pytest", "mlflow")
"""Modules that a command may run without having them in its code."""
_MODULE = re.compile(r"\bpython3?\s+(?:-[uBEIsO]\s+)*-m\s+(?P<module>[A-Za-z_][\w.]*)")


def check_command(step: Step) -> Iterator[Problem]:
    """Problems of the command and of the code folder that it runs in."""
    yield from check_placeholders(step)
    if step.component.code is None:
        return
    code = step.code
    if code is None:
        return
    if not code.exists():
        yield step.problem(("code",), f"the folder {step.component.code!r} does not exist ({shown(code)})")
        return
    folder = code if code.is_dir() else code.parent
    yield from check_scripts(step, step.component.command, folder)


def check_scripts(step: Step, command: str, folder: Path) -> Iterator[Problem]:
    """`python x.py` and `python -m x` must be there, relative to the code."""
    for match in _SCRIPT.finditer(command):
        if not (folder / match["script"]).is_file():
            yield step.problem(("command",), f"the script {match['script']!r} is not in {shown(folder)}")
    for match in _MODULE.finditer(command):
        if not module_exists(folder, match["module"]):
            yield step.problem(("command",), f"the module {match['module']!r} is not in {shown(folder)}")


def module_exists(folder: Path, module: str) -> bool:
    """A module or runnable package of the code. A few are installed everywhere."""
    parts = module.split(".")
    first = folder / parts[0]
    if not first.is_dir() and not first.with_suffix(".py").is_file():
        return parts[0] in _INSTALLED
    path = folder.joinpath(*parts)
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def check_placeholders(step: Step) -> Iterator[Problem]:
    """Each `${{…}}` must be declared, each declared input used, `$[[…]]` only around optional ones."""
    component = step.component
    seen: set[str] = set()
    written: set[str] = set()
    for hole in holes(component.command):
        if hole.side == "inputs":
            seen.add(hole.name)
            port = component.inputs.get(hole.name)
            if port is None:
                message = unknown(hole.name, "declared input", component.inputs)
                yield step.problem(("command",), f"{hole.text}: {message}")
            else:
                yield from _optional(step, hole.name, port, inside=hole.optional)
        elif hole.side == "outputs":
            written.add(hole.name)
            if hole.name not in component.outputs:
                message = unknown(hole.name, "declared output", component.outputs)
                yield step.problem(("command",), f"{hole.text}: {message}")
        else:
            message = f"{hole.text} cannot be read; allowed: ${{{{inputs.<name>}}}}, ${{{{outputs.<name>}}}}"
            yield step.problem(("command",), message)
    for name in sorted(component.inputs.keys() - seen):
        yield step.problem(("inputs", name), "the command does not use this input; remove it, or pass it on")
    for name in sorted(component.outputs.keys() - written):
        yield step.problem(
            ("outputs", name), "the command does not use this output; remove it, or pass it on"
        )


def _optional(step: Step, name: str, port: Port, *, inside: bool) -> Iterator[Problem]:
    if inside and not port.optional:
        message = (
            f"$[[…]] around ${{{{inputs.{name}}}}}, which is not optional; remove the brackets, or make it so"
        )
        yield step.problem(("command",), message)
    if not inside and port.optional and port.default is None:
        message = f"${{{{inputs.{name}}}}} is optional: put its part of the command into $[[…]]"
        yield step.problem(("command",), message)
