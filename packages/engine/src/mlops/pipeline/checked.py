"""The lint of files that are about to run, with the engine that their code takes along in its place."""

from __future__ import annotations

from pathlib import Path

from mlops.errors import Problem
from mlops.lint import lint as read_and_judge
from mlops.spec.engine import export
from mlops.spec.settings import FILE


def lint(path: Path) -> list[Problem]:
    """What `mlops.lint.lint` says of the file; the repository around it has a current copy of the engine."""
    bring_engine(path)
    return read_and_judge(path)


def bring_engine(path: Path) -> None:
    """Export the engine into the repository that holds `path`; a file outside of one takes none along."""
    for folder in path.resolve().parents:
        if (folder / FILE).is_file():
            export(folder)
            return
