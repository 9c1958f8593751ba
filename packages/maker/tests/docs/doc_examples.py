"""Examples of the documentation, and how each is typed: what a page shows alone needs a world to work in.

A block with the note `run: example` is no session: its commands stand for themselves. Each of its lines has
an `Act` in a `World` (example_acts.py), which says what stands there before and what must come out.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pty
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Protocol

import doc_commands
from doc_pages import ROOT, Block, blocks, pages

LOG = logging.getLogger(__name__)
NOTE = "example"
_COMMENT = re.compile(r"(^|\s)#(\s.*)?$")


class Typist(Protocol):
    """Somebody at a shell in a repository; a `doc_session.Session` is one."""

    root: Path
    env: dict[str, str]


@dataclass(frozen=True)
class Act:
    """One documented line, and how it is typed."""

    documented: str
    swaps: Mapping[str, str] = field(default_factory=dict)
    """What stands in the world where the page shows another number or name."""
    before: str = ""
    """Shell commands that make what the example assumes."""
    codes: tuple[int, ...] = (0,)
    """How it may end; others than 0 are those that the documentation gives."""
    sees: str = ""
    """A regular expression that what it prints has."""
    makes: str = ""
    """A file that is there afterwards, and was not before; a pattern below the folder."""
    parses: bool = False
    """Whether standard output is JSON."""
    answers: str = ""
    """What a person types when asked. The command then has a terminal."""
    until: str = ""
    """For a command that goes on until Ctrl-C: the words after which it is pressed."""
    at: str = ""
    """Where it is typed, when not in the folder of its world."""

    @property
    def typed(self) -> str:
        text = self.documented
        for old, new in self.swaps.items():
            text = text.replace(old, new)
        return text


@dataclass(frozen=True)
class World:
    """A fresh copy of the template, and what is typed in it, in this order."""

    name: str
    acts: Sequence[Act]
    folder: str = "."
    prelude: str = ""
    """Shell functions that swaps may use."""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    """Standard output."""
    said: str
    """Both outputs, as on a terminal."""


def lines(text: str) -> Iterator[str]:
    """The commands of a block, one a line, without comments and spaces that align them."""
    for line in doc_commands.logical_lines(text.replace("\\\n", " ")):
        if command := " ".join(_COMMENT.sub("", line).split()):
            yield command


@cache
def _blocks() -> list[Block]:
    return [block for page in pages() for block in blocks(page)]


def examples(found: Iterable[Block] | None = None) -> dict[str, list[str]]:
    """Each line of all blocks with the note, and where it is shown."""
    shown: dict[str, list[str]] = {}
    for block in _blocks() if found is None else found:
        if block.language == "sh" and block.note("run") == NOTE:
            for line in lines(block.text):
                shown.setdefault(line, []).append(block.where)
    return shown


def gaps(shown: Mapping[str, Sequence[str]], acts: Iterable[Act], elsewhere: Mapping[str, str]) -> list[str]:
    """What is shown and typed nowhere, typed and shown nowhere, or said to be typed where it is not."""
    typed = [act.documented for act in acts]
    found = [
        f"{places[0]}: nothing types `{line}`; give it an Act in packages/maker/tests/docs/example_acts.py"
        for line, places in shown.items()
        if line not in typed and line not in elsewhere
    ]
    found += [f"no page shows `{line}` any more; remove its Act" for line in typed if line not in shown]
    found += [f"`{line}` has two Acts" for line in sorted({line for line in typed if typed.count(line) > 1})]
    for act in acts:
        found += [
            f"`{act.documented}` has no {old!r} that its Act could swap"
            for old in act.swaps
            if old not in act.documented
        ]
    for line, test in elsewhere.items():
        if line not in shown or line in typed:
            found.append(f"`{line}` is not shown, or has an Act: take it out of ELSEWHERE")
        elif test.startswith("tests/") and not _has(ROOT / test, line):
            found.append(f"{test} does not type `{line}`, shown in {shown[line][0]}")
    return found


def _has(test: Path, line: str) -> bool:
    return test.is_file() and line in test.read_text(encoding="utf-8")


def perform(session: Typist, world: World, act: Act, seconds: float = 900) -> None:
    """Type it, and judge what came out; raises `AssertionError` with the place that shows the example."""
    folder = session.root / (act.at or world.folder)
    there = set(folder.glob(act.makes)) if act.makes else set()
    script = "\n".join(["set -euo pipefail", world.prelude, act.before, act.typed])
    began = time.monotonic()
    done = type_in(folder, session.env, script, act, seconds)
    LOG.info("%6.1f s  %s: %s", time.monotonic() - began, world.name, act.typed)
    problem = ""
    if done.code not in act.codes:
        problem = f"ended with {done.code}, not {' or '.join(map(str, act.codes))}"
    elif "Traceback (most recent call last)" in done.said:
        problem = "showed a traceback"
    elif not re.search(act.sees, done.said):
        problem = f"did not say {act.sees!r}"
    elif act.makes and not set(folder.glob(act.makes)) - there:
        problem = f"did not make {act.makes}"
    elif act.parses and not _parses(done.out):
        problem = "did not print JSON"
    if problem:
        places = ", ".join(examples().get(act.documented, ["no page"]))
        raise AssertionError(f"{places}: `{act.typed}` {problem}:\n{done.said[-4000:]}")


def type_in(folder: Path, env: Mapping[str, str], script: str, act: Act, seconds: float) -> Done:
    """Run a script of bash; with a terminal where a person answers, with Ctrl-C where one would press it."""
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile("w+b")) for _ in range(2))
        asked = stack.enter_context(_terminal(act.answers)) if act.answers else None
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL if asked is None else asked,
            stdout=out,
            stderr=err if asked is None else asked,
            start_new_session=True,
        )
        stack.callback(_end, process)
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            if act.until and re.search(act.until, _text(out) + _text(err)):
                time.sleep(min(1.0, seconds))  # nobody presses it within the millisecond
                os.killpg(process.pid, signal.SIGINT)
                process.wait(30)
            time.sleep(0.05)
        if process.poll() is None:
            return Done(124, _text(out), f"{_text(out)}{_text(err)}\n(not done after {seconds:.0f} s)")
        # As a shell tells it: 128 and the signal that ended it.
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        return Done(code, _text(out), _text(out) + _text(err))


@contextlib.contextmanager
def _terminal(answers: str) -> Iterator[int]:
    """One whose person has typed ahead; what it shows goes nowhere."""
    keyboard, terminal = pty.openpty()
    os.write(keyboard, answers.encode())

    def watch() -> None:
        with contextlib.suppress(OSError):  # the terminal is closed
            while os.read(keyboard, 4096):
                pass

    reader = threading.Thread(target=watch)
    reader.start()
    try:
        yield terminal
    finally:
        os.close(terminal)
        reader.join(10)
        os.close(keyboard)


def _text(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Whatever it left to run in the foreground; what it detached (an endpoint) stays."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
