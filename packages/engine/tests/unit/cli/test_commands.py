"""What holds for every verb: help with an example that works, a fast start, one way to refuse.

The tests walk the command tree, so a verb that is added without an example fails here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from mlops.cli import _app, _verbs
from mlops.cli._help import DAY


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below `command` that is no group, with the words that call it."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, child in command.commands.items():
        yield from verbs(child, (*path, name))


ALL = dict(verbs(typer.main.get_command(_app.app)))


def examples(command: Any) -> list[list[str]]:
    """The words after `mlops` of each call that an epilog shows."""
    text = (command.epilog or "").removeprefix("Example: ")
    return [shlex.split(call)[1:] for call in text.split("; then: ") if call.startswith("mlops ")]


def test_the_verbs_of_the_readme_are_there() -> None:
    expected = "init train gate release diff apply promote rollback status score ui check history stop"
    assert {(verb,) for verb in expected.split()} | {("infra", "plan"), ("pr", "merge")} <= set(ALL)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_says_what_a_verb_does_and_shows_an_example(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(_app.app, [*path, "--help"], terminal_width=200)
    assert shown.exit_code == 0, shown.output
    assert f"Example: mlops {' '.join(path)}" in shown.stdout
    assert ALL[path].help, "a verb without a docstring has no help"


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_examples_parse_and_reach_their_verb(path: tuple[str, ...]) -> None:
    root = typer.main.get_command(_app.app)
    reached: list[tuple[str, ...]] = []
    for words, command in verbs(root):
        command.callback = lambda words=words, **_: reached.append(words)
    calls = examples(ALL[path])
    assert calls, "the epilog shows no call"
    for call in calls:
        root.main(args=call, prog_name="mlops", standalone_mode=False)  # raises what is a usage error
    assert len(reached) == len(calls)
    assert reached[0] == path


def test_json_is_offered_by_every_verb_that_reports() -> None:
    """A pipeline reads these; scraping a table is no interface."""
    for path in (("status",), ("history",), ("gate",), ("diff",), ("versions", "list"), ("endpoints",)):
        assert "--json" in {name for p in ALL[path].params for name in p.opts}, path


def test_help_lists_every_verb_below_its_heading_and_cuts_no_sentence() -> None:
    root = typer.main.get_command(_app.app)
    shown = CliRunner().invoke(_app.app, ["--help"], terminal_width=80)
    assert shown.exit_code == 0, shown.output
    listed: dict[str, str] = {}
    heading = ""
    for line in shown.stdout.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            heading = line.removesuffix(":")
        elif (words := line.split()) and words[0] in root.commands and line.startswith(f"  {words[0]}"):
            listed.setdefault(words[0], heading)
    others = {name: command.rich_help_panel for name, command in root.commands.items() if name not in DAY}
    assert list(listed)[: len(DAY)] == list(DAY), "the verbs of a day come first"
    assert listed == {**dict.fromkeys(DAY, "Every day"), **others}
    assert set(listed.values()) == {*_verbs.PANELS, "Every day"}
    assert "..." not in shown.stdout.partition(f"{heading}:")[2]
