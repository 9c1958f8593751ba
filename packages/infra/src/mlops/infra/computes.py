"""Computes that Azure ML files of the repository name, compared with those that a stack makes.

A job that names another one ends before it begins, on the day of the first run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlops.spec._yaml import Document

BATCH: Final = "batch.yml"
"""What is deployed behind batch endpoints, in every environment."""
_PREFIX: Final = "azureml:"


@dataclass(frozen=True, order=True)
class Named:
    """One compute, and where a file names it. `everywhere`: in each environment, and not only where training
    is."""

    compute: str
    file: str
    line: int
    model: str
    everywhere: bool = False


def named(root: Path) -> list[Named]:
    """Every compute that a file of `pipelines/<model>/` names, sorted; not `serverless`, and no ids of Azure.

    Raises `InvalidInput` for a file that is no YAML.
    """
    found: set[Named] = set()
    for folder in sorted(p for p in (root / "pipelines").glob("*") if p.is_dir()):
        for file in sorted(folder.glob("*.yml")):
            document = Document.read(file, file.relative_to(root).as_posix())
            for path, compute in _computes(document.value):
                line = document.line(path)
                found.add(Named(compute, document.name, line, folder.name, file.name == BATCH))
    return sorted(found)


def absent(names: Iterable[Named], made: Iterable[str]) -> list[Named]:
    """Those that nothing makes. Azure ML asks for the name without regard to case."""
    there = {m.lower() for m in made}
    return [n for n in names if n.compute.lower() not in there]


def _computes(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(path, name) of each `compute` and `default_compute`: of a job, of its settings, of its steps."""
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        if key in {"compute", "default_compute"} and isinstance(item, str) and item.startswith(_PREFIX):
            name = item.removeprefix(_PREFIX)
            if name != "serverless" and "/" not in name and "$" not in name:
                yield (*path, key), name
        elif key in {"settings", "jobs", "create_job"} or (path and path[-1] == "jobs"):
            yield from _computes(item, (*path, key))
