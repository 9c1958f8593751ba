"""A name or a commit subject that holds escape codes shows them: it colours, hides and turns nothing."""

from __future__ import annotations

import io
import json

import pytest
from rich.markup import escape
from rich.table import Table

from mlops.cli import _app
from mlops.cli._console import VisibleConsole
from mlops.spec.visible import escaped, visible

HOSTILE = (
    "\x1b[2J\x1b[H",
    "\x1b]8;;https://elsewhere.example\x07text\x1b]8;;\x07",
    "\x1b]52;c;cm0=\x07",
    "\x9b31m",
    "a\rb",
    "a\bb",
    "a\x7fb",
    "\u202egpj.exe",
    "\u2066a\u2069",
    "a\u200bb",
    "\ufeffa",
    "a\u2028b",
    "\U000e0041",
)


def steers(text: str) -> bool:
    return any((ord(c) < 32 and c not in "\n\t") or visible(c) != c for c in text if c != "\ufffd")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("tty", [False, True])
def test_nothing_that_people_write_reaches_the_terminal_raw(text: str, tty: bool) -> None:
    stream = io.StringIO()
    console = VisibleConsole(file=stream, force_terminal=tty, color_system=None, width=200)
    table = Table(text)
    table.add_row(escape(text))
    console.print(text, markup=False)
    console.print(f"[bold]{escape(text)}[/]")
    console.print(table)
    said = stream.getvalue()
    own = ("\x1b[1m", "\x1b[0m", "\x1b[1;3m")
    for code in own:
        said = said.replace(code, "")
    assert not steers(said)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_json_says_the_same_and_steers_nothing(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    _app.print_json({"subject": text})
    said = capsys.readouterr().out
    assert json.loads(said) == {"subject": text} and not steers(said)
    assert json.loads(escaped(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize("text", ["é", "日本", "مرحبا", "a\u200db", "می\u200cشود", "a\tb\nc", "😀", "plain"])
def test_what_people_of_any_language_write_stays(text: str) -> None:
    assert visible(text) == text


def test_every_verb_writes_through_it() -> None:
    assert isinstance(_app.out(), VisibleConsole) and isinstance(_app.err(), VisibleConsole)


def test_colours_of_a_log_are_left_out() -> None:
    assert visible("\x1b[31mred\x1b[0m\r\n") == "red\n"
