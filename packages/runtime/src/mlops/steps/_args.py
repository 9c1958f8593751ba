"""What all steps share: options, the use case, and how a refusal ends the process."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from mlops.errors import MlopsError
from mlops.spec.split import Split
from mlops.spec.window import Window

Parsed = TypeVar("Parsed")


def parser(step: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with `--usecase`, which every step but `register` needs."""
    made = argparse.ArgumentParser(
        prog=f"python -m mlops.steps.{step}", description=(description or "").partition("\n")[0]
    )
    made.add_argument("--usecase", required=True, help="importable package with an object `usecase`")
    return made


def typed(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """An argparse type whose `ValueError` sentence reaches the user, which argparse would replace."""

    def convert(text: str) -> Parsed:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}; got {text!r}") from None

    return convert


window = typed(Window.parse)
split = typed(Split.parse)


def existing(text: str) -> Path:
    """An input folder or file; raises `argparse.ArgumentTypeError` when there is none."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist")
    return path


def run(
    body: Callable[[argparse.Namespace], None], options: argparse.ArgumentParser, argv: Sequence[str] | None
) -> int:
    """Parse, run `body`, and turn a refusal into its sentence on stderr and its exit code.

    Wrong options give exit code 2 (argparse's own).
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    given = options.parse_args(argv)
    # Read when scikit-learn is imported, so before `body`. OpenMP's threads spin while they wait: on
    # a busy machine of two cores that made a fit of 5 seconds last 90.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        body(given)
    except MlopsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        sys.stderr.write(f"the step could not read or write its files: {error.strerror or error}{where}\n")
        return MlopsError.exit_code
    return 0
