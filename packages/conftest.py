"""A unit test needs no other process: one that starts a process or opens a socket to listen fails.

Such tests live in tests/processes/<room>/. In tests/unit they would make `make test-unit` slow, and
fail on a machine without git, a free port or a second core.
"""

from __future__ import annotations

import functools
import multiprocessing.process
import socket
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import typer.testing

_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
# matplotlib lists the fonts of a machine once for each HOME, and each session has a new one.
_FOREIGN = {"fc-list", "uname"}

# Typer would read the annotations of all verbs anew for each call of a test: fifty milliseconds.
typer.testing._get_command = functools.cache(typer.testing._get_command)

# How long an example takes says how busy the machine is. The same examples in each run: who changes a line
# learns of that line, and the slow tests look for new ones.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("tests")

_done: list[str] = []


class StartedProcess(AssertionError):
    """What a unit test did that only tests in tests/processes may do."""


def _listen_in(event: str, args: tuple[Any, ...]) -> None:
    if event in _STARTS:
        program = Path(str(args[0])).name if args else ""
        if program not in _FOREIGN:
            _done.append(f"started a process ({event} {program})")
    elif event == "socket.bind" and args[0].family != socket.AF_UNIX:  # which may be there as a file only
        _done.append(f"opened a socket to listen on {args[1]}")


sys.addaudithook(_listen_in)
_start = multiprocessing.process.BaseProcess.start


def _told_start(self: multiprocessing.process.BaseProcess) -> None:
    _done.append(f"started a process ({self.name})")  # `spawn` raises no audit event
    _start(self)


multiprocessing.process.BaseProcess.start = _told_start  # type: ignore[method-assign]


def pytest_configure(config: pytest.Config) -> None:
    """Where the slow tests run too there is time for more examples (`examples` in tests/worlds)."""
    if "not slow" not in config.option.markexpr:
        hypothesis.settings.load_profile("thorough")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Before any fixture: what other tests of the session did does not count."""
    _done.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    result = yield
    if _done and "unit" in item.path.parts:
        raise StartedProcess(
            f"this test {'; '.join(_done)}; tests that need another process live in tests/processes/"
        )
    return result
