"""`uv.lock` of a fork: the template's, without what it does not need, and with the engine from its source.

uv could resolve anew, but wants an index for every package then. What the template locked is what was tested,
so a fork starts with exactly that; a test asks uv whether it agrees.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlops.template.sources import Entry, Source

Package = dict[str, Any]
_WORKSPACE = "packages/"
_FILES = ("source", "sdist", "wheels")


def engine_packages(lock: Mapping[str, Any]) -> dict[str, str]:
    """Version by name of each package of the workspace."""
    packages = (p for p in lock["package"] if str(p["source"].get("editable", "")).startswith(_WORKSPACE))
    return {p["name"]: p["version"] for p in packages}


def fork_lock(text: str, project: Mapping[str, Any], source: Source, entries: Mapping[str, Entry]) -> str:
    """The lock of the fork whose `pyproject.toml` is `project`, a part of the template's.

    `entries` are the engine's packages as `source` has them.
    """
    lock = tomllib.loads(text)
    engine = engine_packages(lock)
    root = next(p for p in lock["package"] if p["source"] == {"editable": "."})
    lock.pop("manifest", None)
    for package in lock["package"]:
        if package["name"] in entries:
            _move(package, entries[package["name"]], engine)
    _shrink(root, project, source, engine)
    lock["package"] = sorted(_reached(lock["package"], root), key=lambda p: str(p["name"]))
    return written(lock)


def _move(package: Package, entry: Entry, engine: Mapping[str, str]) -> None:
    for key in _FILES:
        package.pop(key, None)
    package.update(entry)
    if "path" not in entry["source"]:
        package.pop("metadata", None)
        return
    # Of a file uv keeps what its metadata say, where no workspace is known.
    for line in package["metadata"]["requires-dist"]:
        if line["name"] in engine:
            line.pop("editable")


def _shrink(root: Package, project: Mapping[str, Any], source: Source, engine: Mapping[str, str]) -> None:
    """The entry of the project itself, with the requirements that are left."""
    groups: dict[str, set[str]] = {
        group: {requirement_name(line) for line in lines}
        for group, lines in project["dependency-groups"].items()
    }
    direct = {requirement_name(line) for line in project["project"]["dependencies"]}
    root["name"], root["version"] = project["project"]["name"], project["project"]["version"]
    root["default-groups"] = sorted(project["tool"]["uv"]["default-groups"])
    root["dependencies"] = [e for e in root["dependencies"] if e["name"] in direct]
    required = root["metadata"]
    required["requires-dist"] = [
        _required(e, source, engine, direct=True) for e in required["requires-dist"] if e["name"] in direct
    ]
    for table in (root["dev-dependencies"], required["requires-dev"]):
        for group in list(table):
            table[group] = [e for e in table[group] if e["name"] in groups.get(group, ())]
            if not table[group]:
                del table[group]
    for group, lines in required["requires-dev"].items():
        required["requires-dev"][group] = [_required(e, source, engine, direct=False) for e in lines]


def _required(entry: Package, source: Source, engine: Mapping[str, str], *, direct: bool) -> Package:
    if entry["name"] not in engine:
        return entry
    kept = {key: entry[key] for key in ("name", "extras", "marker") if key in entry}
    said = source.reference(entry["name"], engine[entry["name"]])
    return kept | {key: value for key, value in said.items() if direct or key != "specifier"}


def requirement_name(requirement: str) -> str:
    """The package that a line of `pyproject.toml` asks for."""
    return re.split(r"[\[<>=!~; @]", requirement, maxsplit=1)[0]


def _reached(packages: Iterable[Package], root: Package) -> Iterator[Package]:
    """Those that the root needs, without the extras that nobody asks for."""
    known: dict[str, list[Package]] = {}
    for package in packages:
        known.setdefault(package["name"], []).append(package)
    extras: dict[int, set[str]] = {}
    waiting: list[tuple[Package, frozenset[str]]] = [(root, frozenset())]
    while waiting:
        package, asked = waiting.pop()
        first = id(package) not in extras
        new = asked - extras.setdefault(id(package), set())
        extras[id(package)] |= new
        edges = list(package.get("dependencies", ())) if first else []
        edges += [e for group in package.get("dev-dependencies", {}).values() for e in group] if first else []
        edges += [e for extra in new for e in package.get("optional-dependencies", {}).get(extra, ())]
        for edge in edges:
            wanted = frozenset(edge.get("extra", ()))
            waiting += [
                (p, wanted) for p in known[edge["name"]] if edge.get("version", p["version"]) == p["version"]
            ]
    for package in (p for rows in known.values() for p in rows if id(p) in extras):
        optional = package.get("optional-dependencies", {})
        package["optional-dependencies"] = {k: v for k, v in optional.items() if k in extras[id(package)]}
        if not package["optional-dependencies"]:
            del package["optional-dependencies"]
        yield package


# --- as uv writes it ------------------------------------------------------------------------------------


def written(lock: Mapping[str, Any]) -> str:
    """The text of a lock, byte for byte as uv has it."""
    head = {key: value for key, value in lock.items() if key not in ("package", "manifest")}
    parts = [_table("", head)]
    if "manifest" in lock:
        parts.append(_table("[manifest]\n", lock["manifest"]))
    for package in lock["package"]:
        parts.append(_table("[[package]]\n", {k: v for k, v in package.items() if not _is_table(k)}))
        for name in filter(_is_table, package):
            inside = package[name]
            own = {k: v for k, v in inside.items() if not isinstance(v, dict)}
            if own:
                parts.append(_table(f"[package.{name}]\n", own))
            parts += [
                _table(f"[package.{name}.{key}]\n", value)
                for key, value in inside.items()
                if isinstance(value, dict)
            ]
    return "\n".join(parts)


def _is_table(key: str) -> bool:
    return key in ("optional-dependencies", "dev-dependencies", "metadata")


def _table(title: str, values: Mapping[str, Any]) -> str:
    short = title.startswith("[package.metadata")
    return title + "".join(f"{key} = {_value(key, value, short)}\n" for key, value in values.items())


def _value(key: str, value: Any, short: bool) -> str:
    if not isinstance(value, list):
        return _inline(value)
    one_line = key in ("default-groups", "provides-extras") or (short and len(value) == 1)
    if one_line:
        return f"[{', '.join(map(_inline, value))}]"
    return "[\n" + "".join(f"    {_inline(one)},\n" for one in value) + "]"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return json.dumps(value, ensure_ascii=False)
