"""Makes each wrong edit in a fork of a session of pytest that has collected the nearest tests.

Nothing is imported twice: a fork exchanges the code of one function. What only an import brings about
(constants, classes, defaults) is tried in a fork of a process that has imported other people's packages only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests.mutation.anew import Place, line_of, options, run_imported_anew
from tests.mutation.edits import MODULE_LEVEL, Edit
from tests.mutation.nearest import NEAREST
from tests.mutation.reach import Reach, Reached, Watch

KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
_SECONDS = 5


class BaselineFailed(Exception):
    """The nearest tests fail without any edit."""


def try_edits(
    place: Place, tests: Sequence[str], edits: Sequence[Edit], told: Callable[[Edit, str], None]
) -> None:
    """Tell of each edit whether the tests notice it. Raises `BaselineFailed`."""
    warm = [edit for edit in edits if edit.function != MODULE_LEVEL]
    cold = [edit for edit in edits if edit.function == MODULE_LEVEL]
    session = _in_fork_with_answer(lambda say: _session(place, tests, warm, say), told, warm)
    cold += [warm[number] for number in session.again]
    if not cold:
        return
    for name in session.imports:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    for edit in cold:
        told(edit, _fork(lambda e=edit: run_imported_anew(place, tests, e, session.seconds), session.limit))  # type: ignore[misc]


@dataclass
class _Session:
    """What a session leaves to its parent."""

    imports: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each test takes."""
    again: list[int] = field(default_factory=list)
    """Edits of functions that an import calls: only a new import shows what they do."""
    limit: int = _SECONDS
    failed: str = ""


def _in_fork_with_answer(
    work: Callable[[Callable[[str], None]], None], told: Callable[[Edit, str], None], edits: Sequence[Edit]
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
            elif first == "limit":
                session.limit = int(rest)
            elif first == "failed":
                session.failed = rest
            else:
                told(edits[int(first)], rest)
    os.waitpid(pid, 0)
    if session.failed:
        raise BaselineFailed(session.failed)
    return session


def _session(place: Place, tests: Sequence[str], edits: Sequence[Edit], say: Callable[[str], None]) -> None:
    loop = _Loop(place, edits, say)
    _quiet()
    sys.setprofile(loop.at_import)
    code = pytest.main([*options(place.root), *(str(place.root / test) for test in tests)], plugins=[loop])
    if loop.failed:
        raise BaselineFailed(loop.failed)
    if not loop.done:
        raise BaselineFailed(f"pytest ended with {int(code)} before the tests could run")


def _quiet() -> None:
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)


class _Loop:
    """Takes the place of pytest's own loop: each edit in a fork, with the tests that reach its function."""

    def __init__(self, place: Place, edits: Sequence[Edit], say: Callable[[str], None]) -> None:
        self.place, self.edits, self.say, self.done = place, edits, say, False
        self.failed = ""
        self._tops = _tops(place.file)
        self._imported: set[str] = set()

    def at_import(self, frame: Any, event: str, _: object) -> None:
        """A profiler until the tests are collected: which functions an import calls."""
        if event == "call" and frame.f_code.co_filename == str(self.place.file):
            self._imported.add(self._tops.get(frame.f_code.co_firstlineno, ""))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        sys.setprofile(None)
        try:
            self._try_all(session)
        except BaselineFailed as error:  # pytest would call it an error of its own
            self.failed = str(error)
        return True

    def _try_all(self, session: pytest.Session) -> None:
        if session.testsfailed or not session.items:
            raise BaselineFailed("the nearest tests cannot be collected, or there are none")
        reached, seconds = self._baseline(session)
        self.say(f"limit {int(4 * _SECONDS + 4 * sum(seconds.values()))}")
        for name, taken in seconds.items():
            self.say(f"seconds {taken} {name}")
        functions = _functions_of(self.place.file)
        for number, edit in enumerate(self.edits):
            items = [i for i in session.items if edit.function in reached.get(line_of(i.nodeid), ())]
            items.sort(key=lambda i: seconds[line_of(i.nodeid)])
            limit = int(_SECONDS + 4 * sum(seconds[line_of(i.nodeid)] for i in items))
            again = edit.function in self._imported
            result = SURVIVED
            if items:
                result = _fork(lambda e=edit, i=items: self._one(e, i, functions), limit)  # type: ignore[misc]
            self.say(f"again {number}" if again and result == SURVIVED else f"{number} {result}")
        for name in sorted(_imported(self.place.root)):
            self.say(f"import {name}")
        self.done = True

    def _one(self, edit: Edit, items: list[pytest.Item], functions: dict[str, list[FunctionType]]) -> int:
        exchange(edit, functions, self.place.file)
        return _run(items)

    def _baseline(self, session: pytest.Session) -> tuple[dict[str, set[str]], dict[str, float]]:
        """Which functions each test reaches, and how long it takes; in a fork, as all that follows."""
        reach = Reach.load(self.place.root)
        todo = [i for i in session.items if reach.known(i.path, line_of(i.nodeid)) is None]
        if todo:
            self._measure(todo, reach)
            reach.save()
        reached: dict[str, set[str]] = {}
        seconds: dict[str, float] = {}
        for item in session.items:
            name = line_of(item.nodeid)
            if (found := reach.known(item.path, name)) is None:
                raise BaselineFailed("the session ended early")
            reached[name], seconds[name] = set(found.functions.get(self.place.path, ())), found.seconds
        return reached, seconds

    def _measure(self, items: list[pytest.Item], reach: Reach) -> None:
        reading, writing = os.pipe()
        if (pid := os.fork()) == 0:
            with os.fdopen(writing, "w", buffering=1) as out:
                _watch(items, self.place, out)
            os._exit(0)
        os.close(writing)
        files = {line_of(item.nodeid): item.path for item in items}
        with os.fdopen(reading) as lines:
            for line in lines:
                name, taken, outcome, functions = line.rstrip("\n").split("\t")
                if outcome == "failed":
                    raise BaselineFailed(name)
                reach.put(files[name], name, Reached(float(taken), json.loads(functions)))
        os.waitpid(pid, 0)


class _Outcome:
    failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = True


def _run(items: list[pytest.Item]) -> int:
    """Run tests to the first that fails; the exit code of this fork."""
    outcome = _Outcome()
    items[0].config.pluginmanager.register(outcome)
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if outcome.failed:
            return 1
    return 0


def _watch(items: list[pytest.Item], place: Place, out: Any) -> None:
    files = [place.root / path for path in {*NEAREST, place.path}]
    watch, outcome = Watch({str(file): _tops(file) for file in files if file.exists()}), _Outcome()
    fixtures = _Fixtures(watch.names)
    for plugin in (outcome, fixtures):
        items[0].config.pluginmanager.register(plugin)
    found: list[tuple[pytest.Item, float, str, set[tuple[str, str]]]] = []
    for item, following in zip(items, [*items[1:], None], strict=True):
        watch.names.clear()
        start = time.process_time()
        sys.setprofile(watch)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        sys.setprofile(None)
        taken = time.process_time() - start
        state = "failed" if outcome.failed else "passed"
        found.append((item, taken, state, set(watch.names)))
    for item, taken, state, own in found:
        shared = (fixtures.reached.get(name, set()) for name in getattr(item, "fixturenames", ()))
        functions: dict[str, list[str]] = {}
        for file, name in sorted(own.union(*shared)):
            functions.setdefault(str(Path(file).relative_to(place.root)), []).append(name)
        print("\t".join([line_of(item.nodeid), f"{taken:.4f}", state, json.dumps(functions)]), file=out)


class _Fixtures:
    """What fixtures reach that several tests share: only the first of these tests is seen to call it."""

    def __init__(self, names: set[tuple[str, str]]) -> None:
        self._names = names
        self.reached: dict[str, set[tuple[str, str]]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        before = set(self._names)
        self._names.clear()
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function":
                self.reached.setdefault(fixturedef.argname, set()).update(self._names)
            self._names.update(before)


def _tops(file: Path) -> dict[int, str]:
    """First line of each piece of code to the outermost function that it is in."""
    found: dict[int, str] = {}

    def walk(code: CodeType, name: str, inside: bool) -> None:
        for inner in _inner(code):
            is_class = not inside and not inner.co_flags & 0x2  # CO_NEWLOCALS: a function has it
            top = name if inside else inner.co_qualname
            found.setdefault(inner.co_firstlineno, top)
            walk(inner, top, inside or not is_class)

    walk(compile(file.read_text("utf-8"), str(file), "exec", dont_inherit=True), "", False)
    return found


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))


def _functions_of(file: Path) -> dict[str, list[FunctionType]]:
    """Every function that lives and was made from the file, by its qualified name."""
    found: dict[str, list[FunctionType]] = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename == str(file):
            found.setdefault(thing.__code__.co_qualname, []).append(thing)
    return found


def exchange(edit: Edit, functions: dict[str, list[FunctionType]], file: Path) -> None:
    """Give the living functions the code of the edit."""
    old, new = (
        [
            c
            for c in _codes(compile(text, str(file), "exec", dont_inherit=True))
            if c.co_qualname == edit.function
        ]
        for text in (file.read_text("utf-8"), edit.source)
    )
    lines = [code.co_firstlineno for code in old]  # a name may be used twice: a property and its setter
    for function in functions.get(edit.function, ()):
        function.__code__ = new[lines.index(function.__code__.co_firstlineno)]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for inner in _inner(code):
        yield inner
        yield from _codes(inner)


def _fork(work: Callable[[], int], seconds: int) -> str:
    """What became of `work` in a fork of this process, whose time is limited by what it computes."""
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


def _imported(root: Path) -> set[str]:
    """Modules of others that this process has imported."""
    files = {name: str(getattr(module, "__file__", None) or "") for name, module in sys.modules.items()}
    ours = tuple(str(root / name) for name in ("src", "packages", "tests", "infra"))
    return {name for name, file in files.items() if file and not file.startswith(ours) and name != "__main__"}
