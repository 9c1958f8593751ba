"""`pyproject.toml` of a fork: its own name, and the engine as a dependency with a source for each package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tomlkit
from tomlkit.items import Table

from mlops.template.lock import requirement_name
from mlops.template.sources import PREFIX, Source, overridden


def own(text: str, name: str, engine: Mapping[str, str], source: Source) -> str:
    """The template's file with the fork's name and the packages `engine`, versions by name, from `source`.

    Packages call each other by name, so each has a line of its own: uv asks a public index for what has none.
    """
    document = tomlkit.parse(text)
    project: Any = document["project"]
    project["name"] = name
    dependencies = project["dependencies"]
    named = [requirement_name(str(line)) for line in dependencies]
    for package, version in engine.items():
        if package in named:
            dependencies[named.index(package)] = source.requirement(package, version)
    tool: Any = document["tool"]
    used = [package for package in engine if package in named]
    tool["uv"]["sources"] = _sources(tool["uv"]["sources"], used, engine, source)
    _set_index(tool["uv"], source)
    return tomlkit.dumps(document)


def repinned(text: str, engine: Mapping[str, str], source: Source) -> str:
    """A fork's file with its packages at these versions. A package from a folder of one's own stays so."""
    document = tomlkit.parse(text)
    tool: Any = document["tool"]
    lines = tool["uv"].get("sources", {})
    moved = {name: engine[name] for name in lines if name in engine and not overridden(lines[name])}
    dependencies: Any = document["project"]["dependencies"]
    for number, line in enumerate(dependencies):
        if (package := requirement_name(str(line))) in moved:
            dependencies[number] = source.requirement(package, moved[package])
    for package, version in moved.items():
        lines[package] = _inline(source.line(package, version))
    return tomlkit.dumps(document)


def packages(text: str) -> list[str]:
    """The engine's packages that a `pyproject.toml` names."""
    lines = tomlkit.parse(text)["project"]["dependencies"]
    return [name for line in lines if (name := requirement_name(str(line))).startswith(PREFIX)]


def _sources(old: Table, names: Iterable[str], engine: Mapping[str, str], source: Source) -> Table:
    table = tomlkit.table()
    for name, line in old.items():
        if not name.startswith(PREFIX):
            table.add(name, line)
    for name in sorted(names):
        table.add(name, _inline(source.line(name, engine[name])))
    table.add(tomlkit.nl())
    return table


def _inline(values: Mapping[str, str]) -> Any:
    line = tomlkit.inline_table()
    line.update(values)
    return line


def _set_index(uv: Any, source: Source) -> None:
    wanted = source.index()
    if wanted is None:
        return
    indexes = tomlkit.aot()
    table = tomlkit.table()
    table.update(wanted)
    indexes.append(table)
    uv["index"] = indexes
