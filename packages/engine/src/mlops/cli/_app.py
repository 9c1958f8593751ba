"""The Typer application, what every verb shares, and the one place where errors become sentences."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from mlops.cli._help import Group

if TYPE_CHECKING:
    from rich.console import Console

    from mlops.spec.policy import Policy
    from mlops.spec.settings import ModelSettings, Settings
    from mlops.targets.base import Target

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    name="mlops",
    cls=Group,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Machine learning on Azure the GitOps way.",
    epilog="Exit codes: 0 done, 2 changes pending or wrong usage, 3 blocked, 4 no verdict, "
    "5 invalid input, 6 target in the way, 7 integrity, 8 a step failed.",
)


def group(name: str, help: str) -> typer.Typer:
    """A verb with verbs of its own below it, such as `mlops data`."""
    verbs = typer.Typer(cls=Group, no_args_is_help=True, help=help)
    app.add_typer(verbs, name=name)
    return verbs


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="Model of mlops.toml; optional when there is only one.", envvar="MLOPS_MODEL"
    ),
]
EachModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Only this model; default: all of mlops.toml.", envvar="MLOPS_MODEL"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]
EnvArgument = Annotated[
    str,
    typer.Argument(
        help="An environment of environments/policy.yaml; `--env ENV` says the same.", metavar="ENV"
    ),
]
VersionArgument = Annotated[
    int | None, typer.Argument(min=1, help="Registered version; default: the newest.", metavar="[VERSION]")
]


class State:
    """What a verb works on: the repository around the current folder, and the target that was chosen."""

    def __init__(self) -> None:
        self.reset(None, None)

    def reset(self, chosen_target: str | None, start: Path | None) -> None:
        """Forget the repository and the target of an earlier call in this process."""
        vars(self).clear()
        self.chosen_target = chosen_target
        self.start = start

    def choose(self, target: str) -> None:
        """A verb's own `--target`, which wins over the one before the verb."""
        self.reset(target, self.start)

    @functools.cached_property
    def root(self) -> Path:
        """The nearest folder upwards with an mlops.toml."""
        from mlops.errors import InvalidInput
        from mlops.spec.settings import FILE

        here = (self.start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / FILE).is_file():
                return folder
        raise InvalidInput(f"no {FILE} in {here} or above; run mlops in a repository made from the template")

    @property
    def repository(self) -> Path | None:
        """The same, or None outside of a repository: for the verbs that work anywhere."""
        from mlops.errors import InvalidInput

        try:
            return self.root
        except InvalidInput:
            return None

    @functools.cached_property
    def settings(self) -> Settings:
        from mlops.spec.settings import load_settings

        return load_settings(self.root)

    @functools.cached_property
    def target(self) -> Target:
        from mlops.targets import open_target

        name = self.chosen_target or os.environ.get("MLOPS_TARGET") or self.settings.target
        return open_target(name, self.root, self.settings)

    @functools.cached_property
    def policy(self) -> Policy:
        from mlops.spec import files

        return files.load_policy(self.root)

    def model(self, name: str | None) -> tuple[str, ModelSettings]:
        return self.settings.model(name)

    def environment(self, name: str) -> str:
        """`name`, if the policy knows it."""
        from mlops.errors import InvalidInput

        if name not in self.policy.order:
            raise InvalidInput(
                f"there is no environment {name!r}; "
                f"environments/policy.yaml knows {', '.join(self.policy.order)}"
            )
        return name


state = State()


_WIDE = 400
"""Columns of a pipe, where nothing needs to be folded or cut."""


@functools.cache
def out() -> Console:
    """Where results go."""
    from mlops.cli._console import VisibleConsole

    piped = not sys.stdout.isatty()
    return VisibleConsole(
        highlight=False, soft_wrap=piped, width=_WIDE if piped and not os.environ.get("COLUMNS") else None
    )


@functools.cache
def err() -> Console:
    """Where progress and errors go."""
    from mlops.cli._console import VisibleConsole

    return VisibleConsole(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def print_json(value: Any) -> None:
    """Plain JSON on standard output; dates and paths as text."""
    from mlops.spec.visible import escaped

    sys.stdout.write(escaped(json.dumps(value, indent=2, default=str, ensure_ascii=False)) + "\n")


def changes_pending() -> NoReturn:
    """End with the code that says: there is something to do."""
    raise typer.Exit(2)


@app.callback()
def _root(
    target: Annotated[
        str | None,
        typer.Option(
            help="local, azure or databricks; default: MLOPS_TARGET, then mlops.toml.", envvar="MLOPS_TARGET"
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("-C", help="Work on the repository in this folder, as git -C does.", metavar="DIR"),
    ] = None,
) -> None:
    state.reset(target, folder)


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """Turn what went wrong into a sentence and an exit code; a traceback only with MLOPS_DEBUG=1."""
    from mlops.errors import MlopsError, TargetError

    try:
        yield
    except MlopsError as error:
        _fail(error, str(error), error.exit_code)
    except KeyboardInterrupt as error:
        _fail(error, "interrupted; run the same command again to go on", 130)
    except OSError as error:
        _fail(error, os_sentence(error), TargetError.exit_code)


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    """Deliver the events that the verb told, also when it was refused: a blocked gate is news."""
    try:
        yield
    finally:
        if "mlops.events" in sys.modules:
            from mlops.cli._events import deliver_quietly

            deliver_quietly()


def os_sentence(error: OSError) -> str:
    """An operating system's refusal, with the path and what to do."""
    import errno

    place = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{place}; free some space and run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission{place}: {error.strerror}"
    return f"{error.strerror or error}{place}"


def _fail(error: BaseException, sentence: str, code: int) -> NoReturn:
    if os.environ.get("MLOPS_DEBUG") == "1":
        raise error
    from rich.markup import escape

    err().print(f"[bold red]error[/] {escape(sentence)}")
    raise typer.Exit(code)


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command so that its refusals are sentences."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with _sentences(), _telling():
            return function(*args, **kwargs)

    return run


def main() -> None:
    """Entry point of the `mlops` script."""
    from mlops.cli import _verbs  # noqa: F401  registers the commands

    app()
