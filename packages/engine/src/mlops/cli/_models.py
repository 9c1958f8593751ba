"""Verbs over several models: each has its turn, and one that fails hides no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from mlops.cli._app import err, state

AllOption = Annotated[bool, typer.Option("--all", help="Every model of mlops.toml, one after the other.")]
_VERDICTS = (3, 4)
"""Exit codes that judge a model; any other says that something could not be done at all."""


def chosen(name: str | None, everything: bool) -> list[str]:
    """For a verb that changes something: the model named, the only one, or with `--all` every one.

    Raises `InvalidInput` for both at once, for a model that is not there, and when it must be said which.
    """
    from mlops.errors import InvalidInput

    if not everything:
        if name is None and len(state.settings.models) > 1:
            raise InvalidInput(f"{state.settings.which()}, or take every one of them: --all")
        return [state.model(name)[0]]
    if name is not None:
        raise InvalidInput(f"--all takes every model, and --model (or MLOPS_MODEL) names {name!r}; give one")
    return sorted(state.settings.models)


def every(name: str | None) -> list[str]:
    """For a verb that only looks: the model named, else all of mlops.toml."""
    return [state.model(name)[0]] if name is not None else sorted(state.settings.models)


def each(models: Sequence[str], work: Callable[[str], None]) -> None:
    """`work` for each model.

    Among several a failure is told at once, and the command ends with the code of the worst one when all
    had their turn: something that could not be done before a verdict that is missing before a verdict.
    """
    from mlops.errors import MlopsError

    if len(models) == 1:
        work(models[0])
        return
    from rich.markup import escape

    codes = []
    for model in models:
        try:
            work(model)
        except MlopsError as error:
            err().print(f"[bold red]error[/] {model}: {escape(str(error))}")
            codes.append(error.exit_code)
    if codes:
        raise typer.Exit(max(codes, key=lambda code: (code not in _VERDICTS, code)))


def named(model: str) -> str:
    """` --model NAME` where a command that we show needs it, else nothing."""
    return f" --model {model}" if len(state.settings.models) > 1 else ""
