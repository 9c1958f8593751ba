"""The engine that is installed here: the packages that share the name space `mlops`."""

from __future__ import annotations

import functools
from importlib import metadata
from pathlib import Path

import mlops
from mlops.spec.digest import tree_digest

RUNTIME = "gitops-ml-runtime"
"""The package that runs where a model is trained and served."""


def roots() -> list[Path]:
    """Folders that hold parts of the name space; one where all packages are installed from wheels."""
    return [Path(folder).resolve() for folder in mlops.__path__]


def version() -> str:
    """Of the installed runtime; empty where its code is on the path without being installed."""
    try:
        return metadata.version(RUNTIME)
    except metadata.PackageNotFoundError:
        return ""


@functools.cache
def digest() -> str:
    """Of all Python files of the engine, read once a process."""
    return "|".join(tree_digest(root, sorted(root.rglob("*.py"))) for root in roots())
