"""A step in this process: breakpoints stop, prints show, and tracebacks name the files of the checkout.

The working folder is a copy, as for every step, so that a step cannot change the checkout by accident. Only
the search path begins with the real code.
"""

from __future__ import annotations

import bdb
import contextlib
import os
import pdb
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput
from mlops.pipeline.parts import Step
from mlops.pipeline.run.executor import Invocation
from mlops.pipeline.run.spread import Spread


class Inline(Executor):
    """Runs what it is given at once, in this thread: a debugger wants the terminal and the main thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The future has ended when this returns."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (whoever asks for the result raises it)
            future.set_exception(error)
        return future


def check_here(step: Step, planned: Spread, invocation: Invocation) -> None:
    """Raises `InvalidInput` for a step that cannot run in this process."""
    why = ""
    if planned.launcher or len(planned.variables) > 1:
        why = "starts several processes"
    elif invocation.shell:
        why = "runs a shell, or sets a variable that Python reads when it starts"
    if why:
        raise InvalidInput(
            f"step {step.name!r} {why}, so it cannot run in this process; leave out --here, or name another "
            "step with --only"
        )


def run_here(
    invocation: Invocation, step: Step, *, cwd: Path, env: Mapping[str, str], debug: bool
) -> str | int:
    """Run a step to its end: 0, its exit code, or a sentence that says how it ended."""
    argv = invocation.argv
    code = step.code or cwd
    module = argv[1] if argv[0] == "-m" else ""
    script = code / argv[0]
    path = [str(code if module else script.parent), *(str(p.parent) for p in step.includes)]
    with _as_if_started(list(argv[1:] if module else (str(script), *argv[1:])), path, cwd, env):
        try:
            if module:
                sys.modules.pop(module, None)
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            if end.code is None or isinstance(end.code, int):
                return end.code or 0
            sys.stderr.write(f"{end.code}\n")
            return 1
        except bdb.BdbQuit:
            return "was left in the debugger"
        except Exception as error:  # noqa: BLE001 (this is the top of the step: report as Python does)
            _report(error)
            if debug:
                pdb.post_mortem(error.__traceback__)
            return f"failed in this process ({type(error).__name__}: {error})"
    return 0


def _report(error: Exception) -> None:
    """The traceback, from the step's own code on."""
    shown = error.__traceback__
    while shown is not None and shown.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        shown = shown.tb_next
    traceback.print_exception(type(error), error, shown or error.__traceback__)


@contextlib.contextmanager
def _as_if_started(argv: list[str], path: list[str], cwd: Path, env: Mapping[str, str]) -> Iterator[None]:
    """What a process of its own would find; this process gets its own back."""
    before = dict(os.environ), sys.argv, sys.path, Path.cwd()
    os.environ.clear()
    os.environ.update(env)
    sys.argv, sys.path = argv, [*path, *sys.path]
    os.chdir(cwd)
    try:
        yield
    finally:
        os.chdir(before[3])
        sys.argv, sys.path = before[1], before[2]
        os.environ.clear()
        os.environ.update(before[0])
