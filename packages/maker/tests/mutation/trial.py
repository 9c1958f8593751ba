"""Makes each wrong edit in a fork of a session of pytest that has collected the nearest tests.

Nothing is imported twice: a fork exchanges the code of one function. What only an import brings about
(constants, classes, defaults) is tried in a fork of a process that has imported other people's packages only.
"""

from __future__ import annotations

import gc
import importlib
import math
import mmap
import os
import resource
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from tests.mutation.anew import Noticed, Place, line_of, options, run_imported_anew
from tests.mutation.codes import exchange, functions_of, lines_of, tops
from tests.mutation.constants import can_be_put, put
from tests.mutation.edits import MODULE_LEVEL, Edit
from tests.mutation.measure import Outcome, foreign, import_quietly, measured
from tests.mutation.nearest import NEAREST
from tests.mutation.reach import Reach, Reached

KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
SO_FAR = "so far"
"""No short test noticed it; the long ones were not asked."""
_SECONDS = 5
_REMEMBERED = 5
_SAMPLE = 50
Wrong = tuple[Place, Edit]
"""One edit of one module."""


class BaselineFailed(Exception):
    """The nearest tests fail without any edit."""


def try_edits(
    root: Path,
    tests: Sequence[str],
    wrong: Sequence[Wrong],
    told: Callable[[Wrong, str], None],
    longest: float = math.inf,
) -> None:
    """Tell of each edit whether the tests notice it that take at most `longest` seconds. Raises
    `BaselineFailed`.

    Modules with the same nearest tests share a session: to collect tests costs more than to run them.
    """
    session = _in_fork_with_answer(
        lambda say: _session(root, tests, wrong, say=say, longest=longest), told, wrong
    )
    cold = [wrong[number] for number in session.again]
    if not cold or longest < math.inf:  # an import anew asks all tests
        return
    for name in session.imports:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    noticed = Noticed(session.seconds)
    for one in cold:
        place, edit = one
        likely = session.reaching.get(place.path, [])
        work = partial(run_imported_anew, place, tests, edit, likely, noticed)
        told(one, _fork(work, session.limit))
        noticed.learn()


@dataclass
class _Session:
    """What a session leaves to its parent."""

    imports: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each test takes."""
    reaching: dict[str, list[str]] = field(default_factory=dict)
    """Files of tests that run something of a module, the cheapest for what they run of it first."""
    again: list[int] = field(default_factory=list)
    """Edits that only a new import shows: of classes, of functions that an import calls, of constants that
    nobody has noticed."""
    limit: int = _SECONDS
    failed: str = ""


def _in_fork_with_answer(
    work: Callable[[Callable[[str], None]], None], told: Callable[[Wrong, str], None], wrong: Sequence[Wrong]
) -> _Session:
    """Run `work` in a fork that says lines: `<number> <result>`, or a field of `_Session` and its value."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(reading)
        with os.fdopen(writing, "w", buffering=1) as out:
            try:
                work(lambda line: print(line, file=out))
            except BaseException as error:  # noqa: BLE001 (told to the parent, and the fork ends)
                print(f"failed {error}".replace("\n", " "), file=out)
        os._exit(0)
    os.close(writing)
    session = _Session()
    with os.fdopen(reading) as lines:
        for line in lines:
            first, _, rest = line.rstrip("\n").partition(" ")
            if first == "import":
                session.imports.append(rest)
            elif first == "again":
                session.again.append(int(rest))
            elif first == "seconds":
                taken, _, name = rest.partition(" ")
                session.seconds[name] = float(taken)
            elif first == "reach":
                module, _, file = rest.partition(" ")
                session.reaching.setdefault(module, []).append(file)
            elif first == "limit":
                session.limit = int(rest)
            elif first == "failed":
                session.failed = rest
            else:
                told(wrong[int(first)], rest)
    os.waitpid(pid, 0)
    if session.failed:
        raise BaselineFailed(session.failed)
    return session


def _session(
    root: Path,
    tests: Sequence[str],
    wrong: Sequence[Wrong],
    *,
    say: Callable[[str], None],
    longest: float,
) -> None:
    loop = _Loop(root, {place.path for place, _ in wrong}, wrong, say, longest)
    _quiet()
    loop.watch_imports(tests)
    code = pytest.main([*options(root), *(str(root / test) for test in tests)], plugins=[loop])
    if loop.failed:
        raise BaselineFailed(loop.failed)
    if not loop.done:
        raise BaselineFailed(f"pytest ended with {int(code)} before the tests could run")


def _quiet() -> None:
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)


class _Loop:
    """Takes the place of pytest's own loop: each edit in a fork, with the tests that run its statement."""

    def __init__(
        self,
        root: Path,
        paths: Collection[str],
        wrong: Sequence[Wrong],
        say: Callable[[str], None],
        longest: float,
    ) -> None:
        self.root, self.wrong, self.say, self.done, self.longest = root, wrong, say, False, longest
        self.failed = ""
        self._asked = sorted(paths)
        files = [root / path for path in sorted({*NEAREST, *paths}) if (root / path).exists()]
        self._tops = {str(file): tops(file) for file in files}
        self._imported: set[tuple[str, str]] = set()
        self._put: dict[Place, bool] = {}
        self._at = memoryview(mmap.mmap(-1, 8)).cast("Q")
        """Which test a fork is at."""

    def watch_imports(self, tests: Sequence[str]) -> None:
        """Which functions an import calls; known until a source changes, because a tracer is slow."""
        self._tests = " ".join(tests)
        found = Reach.load(self.root).imported.get(self._tests)
        if found is None:
            sys.settrace(self.at_import)
        else:
            self._imported = {(file, name) for file, name in found}

    def at_import(self, frame: Any, event: str, _: object) -> None:
        """A tracer until the tests are collected: which functions an import calls."""
        lines = self._tops.get(frame.f_code.co_filename)
        if event == "call" and lines is not None:
            self._imported.add((frame.f_code.co_filename, lines.get(frame.f_code.co_firstlineno, "")))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        sys.settrace(None)
        try:
            self._try_all(session)
        except BaselineFailed as error:  # pytest would call it an error of its own
            self.failed = str(error)
        return True

    def _try_all(self, session: pytest.Session) -> None:
        if session.testsfailed or not session.items:
            raise BaselineFailed("the nearest tests cannot be collected, or there are none")
        known = self._baseline(session)
        seconds = {name: one.seconds for name, one in known.items()}
        all_of_them = sum(s for s in seconds.values() if s < math.inf)
        self.say(f"limit {int(4 * _SECONDS + 4 * all_of_them)}")
        for name, taken in seconds.items():
            self.say(f"seconds {taken} {name}")
        functions = {place: functions_of(place.file) for place in dict.fromkeys(p for p, _ in self.wrong)}
        asked = [i for i in session.items if seconds[line_of(i.nodeid)] <= self.longest]
        order = {path: self._likeliest(path, asked, known) for path in {p.path for p, _ in self.wrong}}
        code = {place.path: lines_of(place.file) for place in functions}
        noticed: dict[tuple[str, str], list[pytest.Item]] = {}
        missed = SURVIVED if len(asked) == len(session.items) else SO_FAR
        for number, (place, edit) in enumerate(self.wrong):
            where = place.path, edit.function
            constant = edit.function == MODULE_LEVEL
            if constant and not (can_be_put(place, edit) and self._may_put(place, order[place.path])):
                self.say(f"again {number}")
                continue
            # Who uses a constant runs some line of its module. A constant condition is no code: whatever runs
            # the file may notice that it is gone.
            lines = [n for n in edit.lines if n in code[place.path] and not constant] or code[place.path]
            runs = {i for i in order[place.path] if known[line_of(i.nodeid)].runs(place.path, lines)}
            # What noticed an edit of a function often notices the next one.
            first = [i for i in noticed.get(where, ()) if i in runs]
            items = [*first, *(i for i in order[place.path] if i in runs and i not in first)]
            limit = int(_SECONDS + 4 * sum(seconds[line_of(i.nodeid)] for i in items))
            again = constant or (str(place.file), edit.function) in self._imported
            result = SURVIVED
            if items:
                result = _fork(partial(_one, place, edit, items, functions[place], self._at), limit)
            if result == KILLED and (at := self._at[0]) < len(items):
                noticed[where] = [items[at], *(i for i in first if i is not items[at])][:_REMEMBERED]
            result = missed if result == SURVIVED else result
            self.say(f"again {number}" if again and result in (SURVIVED, SO_FAR) else f"{number} {result}")
        for path in self._asked:
            files = [i.path.relative_to(self.root) for i in self._likeliest(path, session.items, known)]
            for file in dict.fromkeys(files):
                self.say(f"reach {path} {file}")
        for name in sorted(foreign(self.root)):
            self.say(f"import {name}")
        self.done = True

    def _may_put(self, place: Place, items: Sequence[pytest.Item]) -> bool:
        """Whether a module may be run twice as it is; else every edit would look noticed."""
        if self.longest < math.inf or not items:
            return False
        if place not in self._put:
            as_it_is = Edit(MODULE_LEVEL, 0, "", place.file.read_text("utf-8"), "", range(0))
            work = partial(_one, place, as_it_is, [*items[:_SAMPLE]], {}, self._at)
            self._put[place] = _fork(work, 60 * _SECONDS) == SURVIVED
        return self._put[place]

    def _likeliest(
        self, path: str, asked: Sequence[pytest.Item], known: Mapping[str, Reached]
    ) -> list[pytest.Item]:
        """Cheap tests that run little of the module come first: each is about some lines of it."""

        def cost(item: pytest.Item) -> float:
            one = known[line_of(item.nodeid)]
            return one.seconds * one.count(path)

        return sorted((i for i in asked if known[line_of(i.nodeid)].count(path)), key=cost)

    def _baseline(self, session: pytest.Session) -> dict[str, Reached]:
        """Which lines each test runs, and how long it takes; in a fork, as all that follows."""
        reach = Reach.load(self.root)
        reach.imported[self._tests] = sorted(map(list, self._imported))
        todo = [i for i in session.items if not self._settled(reach.known(i.path, line_of(i.nodeid)))]
        for name in reach.lazily.get(self._tests, ()):  # here, or each fork would take its time for it
            import_quietly(name)
        if todo:
            self._measure(todo, reach)
        reach.save()
        found: dict[str, Reached] = {}
        for item in session.items:
            if (one := reach.known(item.path, line_of(item.nodeid))) is None:
                raise BaselineFailed("the session ended early")
            found[line_of(item.nodeid)] = one
        return found

    def _settled(self, found: Reached | None) -> bool:
        return found is not None and (math.isfinite(found.seconds) or self.longest < math.inf)

    def _measure(self, items: list[pytest.Item], reach: Reach) -> None:
        files = {line_of(item.nodeid): item.path for item in items}
        imported = reach.lazily.setdefault(self._tests, [])
        found = set(imported)
        for name, one in measured(items, self.root, self._tops.keys(), self.longest, found):
            if one is None:
                raise BaselineFailed(name)
            reach.put(files[name], name, one)
        imported[:] = sorted(found)


def _one(
    place: Place,
    edit: Edit,
    items: list[pytest.Item],
    functions: dict[str, list[FunctionType]],
    at: memoryview[int],
) -> int:
    at[0] = len(items)
    if edit.function == MODULE_LEVEL:
        put(place, edit)
    else:
        exchange(edit, functions, place.file)
    return _run(items, at)


def _run(items: list[pytest.Item], at: memoryview[int]) -> int:
    """Run tests to the first that fails; the exit code of this fork."""
    outcome = Outcome()
    items[0].config.pluginmanager.register(outcome)
    for number, (item, following) in enumerate(zip(items, [*items[1:], None], strict=True)):
        at[0] = number
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if outcome.failed:
            return 1
    return 0


def _fork(work: Callable[[], int], seconds: int) -> str:
    """What became of `work` in a fork of this process, whose time is limited by what it computes."""
    gc.freeze()  # a collection in the fork would touch, and so copy, all that the session holds
    if (pid := os.fork()) == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(40 * seconds)  # it may also wait for what never comes
            _quiet()
            code = work()
        except BaseException:  # noqa: BLE001 (an edit may break anything; that is a failure of the test)
            code = 1
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return TIMEOUT if os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL} else KILLED
    return SURVIVED if os.WEXITSTATUS(status) == 0 else KILLED
