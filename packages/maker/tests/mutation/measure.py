"""Which lines each test runs, and how long it takes, measured in forks.

A test that takes longer than it may is not interrupted: what it left half done, a module half imported above
all, would fail the tests after it. Its fork ends, and another one goes on with the next test.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import sys
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import pytest

from tests.mutation.anew import line_of
from tests.mutation.reach import Reached, Watch, bits

_IMPORT = "import"


class Outcome:
    """Whether a test has failed in this process."""

    failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = True


def foreign(root: Path) -> set[str]:
    """Modules of others that this process has imported."""
    files = {name: str(getattr(module, "__file__", None) or "") for name, module in sys.modules.items()}
    ours = tuple(str(root / name) for name in ("src", "packages", "tests", "infra"))
    return {name for name, file in files.items() if file and not file.startswith(ours) and name != "__main__"}


def measured(
    items: Sequence[pytest.Item], root: Path, files: Collection[str], longest: float, imported: set[str]
) -> Iterator[tuple[str, Reached | None]]:
    """Each test, None for one that fails, infinite seconds for one that takes more than `longest` of them.

    What they import of others is imported here too, and added to `imported`. Ends before the last test when a
    fork ends without a word.
    """
    done = 0
    while done < len(items):
        before = done
        for line in _fork(items[done:], root, files, longest):
            name, *rest = line.rstrip("\n").split("\t")
            if name == _IMPORT:
                imported.add(rest[0])
                import_quietly(rest[0])  # here, or each fork from now on would take its time for it
                continue
            done += 1
            taken, outcome, lines = rest
            yield name, Reached(float(taken), json.loads(lines)) if outcome == "passed" else None
        if done == before:
            return


def _fork(items: Sequence[pytest.Item], root: Path, files: Collection[str], longest: float) -> Iterator[str]:
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(reading)
        try:
            with os.fdopen(writing, "w", buffering=1) as out:
                _Session(root, files, out, longest).run(items)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        yield from lines
    os.waitpid(pid, 0)


def import_quietly(name: str) -> None:
    """Import a module; the test that needs one that cannot be imported tells."""
    try:
        importlib.import_module(name)
    except Exception:  # noqa: BLE001 (it is somebody else's)
        return


class _Session:
    """Runs tests one after the other, in the fork that this is."""

    def __init__(self, root: Path, files: Collection[str], out: TextIO, longest: float) -> None:
        self._root, self._out, self._longest = root, out, longest
        self._watch, self._outcome = Watch(files), Outcome()
        self._fixtures = _Fixtures(self._watch.lines)
        self._found: list[tuple[pytest.Item, float, str, set[tuple[str, int]]]] = []

    def run(self, items: Sequence[pytest.Item]) -> None:
        for plugin in (self._outcome, self._fixtures):
            items[0].config.pluginmanager.register(plugin)
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._watch.lines.clear()
            start = time.process_time()
            self._limit(item)
            sys.settrace(self._watch)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            sys.settrace(None)
            signal.setitimer(signal.ITIMER_PROF, 0)
            state = "failed" if self._outcome.failed else "passed"
            self._found.append((item, time.process_time() - start, state, set(self._watch.lines)))
        self._tell()

    def _limit(self, item: pytest.Item) -> None:
        """End this process when the test takes longer than it may, after a word about all that is known."""
        if self._longest == math.inf:
            return

        def end(*_: object) -> None:
            sys.settrace(None)
            self._found.append((item, math.inf, "passed", set(self._watch.lines)))
            self._tell()
            self._out.flush()
            os._exit(0)

        signal.signal(signal.SIGPROF, end)
        signal.setitimer(signal.ITIMER_PROF, self._longest)

    def _tell(self) -> None:
        for name in sorted(foreign(self._root)):
            print(f"{_IMPORT}\t{name}", file=self._out)
        for item, taken, state, own in self._found:
            shared = (self._fixtures.reached.get(name, set()) for name in getattr(item, "fixturenames", ()))
            by_file: dict[str, list[int]] = {}
            for file, line in own.union(*shared):
                by_file.setdefault(str(Path(file).relative_to(self._root)), []).append(line)
            lines = {file: bits(numbers) for file, numbers in by_file.items()}
            told = [line_of(item.nodeid), f"{taken:.4f}", state, json.dumps(lines)]
            print("\t".join(told), file=self._out)


class _Fixtures:
    """What fixtures reach that several tests share: only the first of these tests is seen to call it."""

    def __init__(self, lines: set[tuple[str, int]]) -> None:
        self._lines = lines
        self.reached: dict[str, set[tuple[str, int]]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        before = set(self._lines)
        self._lines.clear()
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function":
                self.reached.setdefault(fixturedef.argname, set()).update(self._lines)
            self._lines.update(before)
