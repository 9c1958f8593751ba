"""Parallel jobs: bindings, entry script, environment, thresholds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.binding import holes, looks_bound, parse_parent
from mlops.pipeline.lint.environment import environment_problems, unpinned_reference
from mlops.pipeline.lint.graph import unknown
from mlops.pipeline.parallel import ParallelNode, ParallelPipeline
from mlops.pipeline.read import Loc, resolve_environment
from mlops.spec._yaml import Document

_FUNCTIONS = ("init", "run")
_SIZE = re.compile(r"[1-9]\d*\s*([kKmMgG][bB])?")


def is_parallel(raw: dict[str, Any]) -> bool:
    """Whether a pipeline's jobs are all parallel; the runner of this repository runs commands only."""
    jobs = raw.get("jobs")
    if not isinstance(jobs, dict) or not jobs:
        return False
    return all(isinstance(node, dict) and node.get("type") == "parallel" for node in jobs.values())


def check_parallel(document: Document, path: Path) -> Iterator[Problem]:
    """Problems of a pipeline of parallel jobs. Raises `InvalidInput` when its fields are wrong."""
    pipeline = document.parse(ParallelPipeline)
    if used := {name for node in pipeline.jobs.values() for name in _parents(node)}:
        for name in sorted(pipeline.inputs.keys() - used):
            yield document.problem(("inputs", name), "no job uses this input; remove it, or pass it on")
    for name, node in pipeline.jobs.items():
        loc: Loc = ("jobs", name)
        yield from _bindings(document, loc, node, pipeline)
        yield from _placeholders(document, loc, node)
        yield from _entry(document, loc, node, path)
        yield from _environment(document, loc, node, path)
        if not _SIZE.fullmatch(str(node.mini_batch_size)):
            message = f"must be a number of files, or bytes such as 10kb; got {node.mini_batch_size!r}"
            yield document.problem((*loc, "mini_batch_size"), message)
        if node.mini_batch_error_threshold < 0:
            message = "-1 hides every failed mini-batch; say how many may fail, 0 for none"
            yield document.problem((*loc, "mini_batch_error_threshold"), message)
    if pipeline.settings.default_compute is None:
        for name, node in pipeline.jobs.items():
            if node.compute is None and pipeline.compute is None:
                yield document.problem(
                    ("jobs", name), "has no compute, and settings.default_compute is unset"
                )


def _parents(node: ParallelNode) -> Iterator[str]:
    for value in node.inputs.values():
        binding = parse_parent(value.given)
        if binding is not None and binding.kind == "input":
            yield binding.name


def _bindings(
    document: Document, loc: Loc, node: ParallelNode, pipeline: ParallelPipeline
) -> Iterator[Problem]:
    given: dict[tuple[str, str], object] = {("inputs", k): v.given for k, v in node.inputs.items()}
    given |= {("outputs", k): v.binding for k, v in node.outputs.items()}
    for (side, name), value in given.items():
        if not looks_bound(value):
            continue
        binding = parse_parent(value)
        known = pipeline.inputs if side == "inputs" else pipeline.outputs
        if binding is None or binding.kind != side.removesuffix("s"):
            message = f"{value!r} is not understood; allowed: ${{{{parent.{side}.<name>}}}}"
            yield document.problem((*loc, side, name), message)
        elif binding.name not in known:
            message = unknown(binding.name, f"{binding.kind} of the pipeline", known)
            yield document.problem((*loc, side, name), message)


def _placeholders(document: Document, loc: Loc, node: ParallelNode) -> Iterator[Problem]:
    texts = {
        ("input_data",): node.input_data,
        ("task", "program_arguments"): node.task.program_arguments,
        ("task", "append_row_to"): node.task.append_row_to or "",
    }
    for place, text in texts.items():
        for hole in holes(text):
            known: Any = {"inputs": node.inputs, "outputs": node.outputs}.get(hole.side)
            if known is None:
                message = (
                    f"{hole.text} cannot be read; allowed: ${{{{inputs.<name>}}}}, ${{{{outputs.<name>}}}}"
                )
                yield document.problem((*loc, *place), message)
            elif hole.name not in known:
                message = f"{hole.text}: {unknown(hole.name, f'declared {hole.side[:-1]}', known)}"
                yield document.problem((*loc, *place), message)
    if [hole.side for hole in holes(node.input_data)] != ["inputs"]:
        message = f"must be one input, ${{{{inputs.<name>}}}}; got {node.input_data!r}"
        yield document.problem((*loc, "input_data"), message)


def _entry(document: Document, loc: Loc, node: ParallelNode, path: Path) -> Iterator[Problem]:
    folder = path.parent / node.task.code
    if not folder.is_dir():
        yield document.problem((*loc, "task", "code"), f"the folder {node.task.code!r} does not exist")
        return
    script = folder / node.task.entry_script
    place = (*loc, "task", "entry_script")
    if not script.is_file():
        yield document.problem(place, f"the script {node.task.entry_script!r} is not in {node.task.code!r}")
        return
    try:
        body = ast.parse(script.read_text(encoding="utf-8")).body
    except (SyntaxError, UnicodeDecodeError) as error:
        yield document.problem(place, f"the script {node.task.entry_script!r} is not Python: {error}")
        return
    defined = {item.name for item in body if isinstance(item, ast.FunctionDef)}
    if missing := [name for name in _FUNCTIONS if name not in defined]:
        message = f"the script {node.task.entry_script!r} has no function {' and no '.join(missing)}"
        yield document.problem(place, message)


def _environment(document: Document, loc: Loc, node: ParallelNode, path: Path) -> Iterator[Problem]:
    place = (*loc, "task", "environment")
    try:
        environment, where, at, file = resolve_environment(node.task.environment, document, place, path)
    except InvalidInput as error:
        yield from error.problems
        return
    if environment is not None:
        yield from environment_problems(environment, where, at, file)
    elif why := unpinned_reference(node.task.environment.reference or ""):
        yield document.problem(at, why)
