"""The engine that is installed here, and the copy of it that a job of Azure ML takes along.

Its packages share the name space `mlops`. What runs on Azure ML must be the engine that this checkout has, so
it travels with the code, as `additional_includes`: an environment that is registered never changes, and an
image for each version of the engine would have to be built behind networks that let little out.
docs/decisions/0021-packages.md says more.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import mlops
from mlops.spec.digest import tree_digest
from mlops.spec.writing import write

RUNTIME = "gitops-ml-runtime"
"""The package that runs where a model is trained and served."""
ROOMS = (
    "errors.py",
    "usecase.py",
    "columns.py",
    "forecasting.py",
    "networks.py",
    "pictures.py",
    "pretrained.py",
    "spec",
    "metrics",
    "tables",
    "tracking",
    "steps",
    "monitoring",
    "serving",
)
"""What it holds of the name space."""
FOLDER = ".mlops/engine"
"""Of a repository; git ignores it, and it may be deleted at any time."""
STEPS, VERBS, SOURCES = "steps", "verbs", "sources"
"""Folders of `FOLDER` with a package `mlops` each: the runtime, all of the engine, the runtime in `src`."""
_ENTRY = ("score.py", "batch.py")
"""Scripts that Azure ML loads by their path: they lie where the package does."""


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


def export(root: Path) -> Path:
    """Bring the copies below `root` up to date; answers their folder. A file that is equal is not touched."""
    folder = root / FOLDER
    runtime = dict(_files(ROOMS))
    entry = {name: runtime[f"serving/azure/{name}"] for name in _ENTRY}
    taken = {f"mlops/{name}": path for name, path in runtime.items()}
    own = {path.relative_to(root / "src").as_posix(): path for path in _below(root / "src")}
    _bring(folder / STEPS, taken | entry)
    _bring(folder / SOURCES, taken | own)
    _bring(folder / VERBS, {f"mlops/{name}": path for name, path in _files()})
    return folder


def _files(rooms: tuple[str, ...] | None = None) -> Iterator[tuple[str, Path]]:
    """Files by their name in the package; of a room that is there twice, the one that Python imports."""
    seen: set[str] = set()
    for root in roots():
        for place in sorted(root.iterdir()):
            if place.name in seen or place.name == "__pycache__" or (rooms and place.name not in rooms):
                continue
            seen.add(place.name)
            for path in [place] if place.is_file() else _below(place):
                yield path.relative_to(root).as_posix(), path


def _below(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and "__pycache__" not in p.parts]


def _bring(folder: Path, files: dict[str, Path]) -> None:
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder).as_posix() not in files:
            path.unlink()
    for name, source in files.items():
        target, seen = folder / name, source.stat()
        if not target.is_file() or _stamp(target.stat()) != _stamp(seen):
            write(target, source.read_bytes(), durable=False)
            os.utime(target, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _stamp(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
