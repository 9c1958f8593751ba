"""What goes wrong with a target, and what the user reads, word for word: `failures.yaml` of its tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Failure:
    """`during`: the action of the target's test that meets it. `error`: the class of the error, which chooses
    the exit code; empty where the test does not ask. `log`: last lines of a log follow."""

    name: str
    happens: str
    during: str
    sentence: str
    error: str = ""
    log: bool = False


def failures(file: Path) -> list[Failure]:
    """The table."""
    return [Failure(**entry) for entry in yaml.safe_load(file.read_text(encoding="utf-8"))]
