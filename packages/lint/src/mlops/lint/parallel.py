"""Parallel jobs, nodes and components: mini-batches, the entry script, its arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlops.lint.command import check_code, check_placeholders, code_folder
from mlops.lint.environment import check_environment
from mlops.lint.expression import holes
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.interface import ports
from mlops.lint.machine import at_least, check_resources
from mlops.lint.node import At, is_file

_SIZE = re.compile(r"[1-9]\d*\s*([kKmMgG][bB]?)?")


def check_parallel(work: At, files: Files, *, declared: bool = False) -> Iterator[Finding]:
    """Problems of a parallel job or component (`declared`) that is written here."""
    yield from check_batches(work)
    yield from check_resources(work, files, declared=declared)
    task = work["task"]
    if "input_data" not in work:
        yield work.says("task", "needs `input_data`, the input that is cut into mini-batches")
    if isinstance(task.value, dict) and task["type"].word != "model" and "entry_script" not in task:
        yield task.says("task", "needs `entry_script`")
    yield from check_code(task)
    yield from check_environment(task["environment"], files)
    yield from _entry(task)
    inputs, outputs = ports(work["inputs"]), ports(work["outputs"])
    for place in (task["program_arguments"], task["append_row_to"], work["input_data"]):
        yield from check_placeholders(place, inputs, outputs, declared=False)
    data = work["input_data"]
    if data.text is not None and [hole.side for hole in holes(data.text)] != ["inputs"]:
        yield data.says("task", f"must be one input, ${{{{inputs.<name>}}}}; got {data.value!r}")


def check_batches(work: At) -> Iterator[Finding]:
    """Sizes, thresholds and retries, which a job may set for its component too."""
    size = work["mini_batch_size"]
    text = str(size.value) if isinstance(size.value, str | int) else "1"
    if "${{" not in text and not _SIZE.fullmatch(text):
        message = f"must be a number of files, or bytes such as 10kb; got {size.value!r}"
        yield size.says("mini-batch", message)
    yield from at_least(work["max_concurrency_per_instance"], 1, "mini-batch")
    for field in ("mini_batch_error_threshold", "error_threshold"):
        yield from at_least(work[field], -1, "mini-batch")
    if work["mini_batch_error_threshold"].number == -1:
        message = "-1 hides every failed mini-batch; say how many may fail, 0 for none"
        yield work["mini_batch_error_threshold"].says("hidden-failures", message)
    yield from at_least(work.at("retry_settings", "max_retries"), 0, "mini-batch")
    yield from at_least(work.at("retry_settings", "timeout"), 1, "mini-batch")


def _entry(task: At) -> Iterator[Finding]:
    script, folder = task["entry_script"], code_folder(task)
    if script.text is None or folder is None or not script.text.endswith(".py"):
        return
    yield from check_entry(script, folder / script.text, needs=("run",))


def check_entry(script: At, path: Path, needs: tuple[str, ...] = ("init", "run")) -> Iterator[Finding]:
    """An entry script is there, and has the functions that it is called by."""
    if not is_file(path):
        yield script.says("missing-script", f"the script {script.value!r} is not in the code folder")
        return
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, ValueError) as error:
        yield script.says("entry-function", f"the script {script.value!r} is not Python: {error}")
        return
    if any(isinstance(item, ast.ImportFrom) and item.names[0].name == "*" for item in body):
        return  # they may come from there
    missing = [name for name in needs if name not in _bound(body)]
    if missing:
        message = f"the script {script.value!r} has no function {' and no '.join(missing)}"
        yield script.says("entry-function", message)


def _bound(body: Sequence[ast.stmt]) -> set[str]:
    """Names that the top of a module binds, also inside of `if`, `try`, `with` and loops."""
    names: set[str] = set()
    for item in body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(item.name)
        elif isinstance(item, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in item.names}
        else:
            names |= _assigned(item)
            for field in ("body", "orelse", "finalbody"):
                names |= _bound(getattr(item, field, ()))
            for handler in getattr(item, "handlers", ()):
                names |= _bound(handler.body)
    return names


def _assigned(item: ast.stmt) -> set[str]:
    """Names that an assignment binds: `run = a`, `run: Runner = a`, `init, run = a, b`."""
    targets = item.targets if isinstance(item, ast.Assign) else []
    if isinstance(item, ast.AnnAssign) and item.value is not None:
        targets = [item.target]
    parts = [part for target in targets for part in ast.walk(target)]
    return {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
