"""ENV and VERSION stand in the same place in every verb, and who writes `--env` is understood everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from mlops.cli import _verbs  # noqa: F401  registers the commands
from mlops.cli._app import app
from mlops.cli._help import positional

COMMAND: Any = typer.main.get_command(app)


def verbs(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each verb with its name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from verbs(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


EVERY = dict(verbs(COMMAND))
# There it asks for something else than the verb's own subject.
ASKS_MORE = {"smoke": "also sends a request to what an environment serves"}


@pytest.mark.parametrize("name", sorted(EVERY))
def test_no_verb_has_an_option_where_others_have_an_argument(name: str) -> None:
    options = {flag for p in EVERY[name].params if p.param_type_name == "option" for flag in p.opts}
    assert name in ASKS_MORE or not options & {"--env", "-e", "--version"}


@pytest.mark.parametrize(
    "name", sorted(n for n, c in EVERY.items() if any(p.name == "env" for p in c.params))
)
def test_the_environment_comes_first(name: str) -> None:
    arguments = [p.name for p in EVERY[name].params if p.param_type_name == "argument"]
    assert name in ASKS_MORE or arguments[0] == "env"


@pytest.mark.parametrize(
    ("verb", "given", "expected"),
    [
        ("monitor", "--window 7d --env prod", "prod --window 7d"),
        ("monitor", "-e prod --json", "prod --json"),
        ("monitor", "prod", "prod"),
        ("apply", "--env=staging", "staging"),
        ("replay", "2013-06 --env prod --labels l.parquet", "prod 2013-06 --labels l.parquet"),
        ("labels add", "late.csv --env prod", "prod late.csv"),
        ("card", "--version 7 --out c.md", "7 --out c.md"),
        ("status", "--env prod", "--env prod"),
        ("monitor", "--env", "--env"),
    ],
)
def test_an_option_says_the_same(verb: str, given: str, expected: str) -> None:
    assert positional(EVERY[verb], given.split()) == expected.split()
