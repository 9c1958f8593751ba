"""Rooms import downwards only (docs/architecture.md): a room that reaches up ties the lifecycle to a target,
serving to training, or a use case to CI, and the repository can no longer be forked in parts."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SOURCES = sorted((ROOT / "packages").glob("*/src/mlops"))

# A package imports itself and those named here: what a fork installs for one purpose brings no other.
PACKAGES: dict[str, set[str]] = {
    "runtime": set(),
    "lint": {"runtime"},
    "infra": {"runtime"},
    "engine": {"runtime", "lint", "infra"},
    "maker": {"runtime", "lint", "engine", "infra"},
}

# A room may import itself and every room in a later row; rooms of one row do not know each other.
LAYERS: list[set[str]] = [
    {"reference", "verbs"},
    {"demo"},
    {"cli"},
    {"doctor"},
    {"template"},
    {"audit", "board", "bootstrap", "scaffold"},
    {"lifecycle", "testing"},
    {"targets", "forge"},
    {"pipeline", "steps"},
    {"metrics"},
    {"tracking"},
    {"serving", "monitoring", "events", "profile", "lint", "infra"},
    {"usecase", "columns", "forecasting", "networks", "pictures", "pretrained"},
    {"tables"},
    {"spec"},
    {"errors"},
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
ONLY = {room: {"spec", "errors"} for room in ("serving", "monitoring", "events", "profile", "lint", "infra")}


def statements(block: ast.AST) -> Iterator[ast.AST]:
    """All statements below, without a look at what expressions are made of: most of a module is."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        for inner in getattr(block, field, ()) if isinstance(getattr(block, field, ()), list) else ():
            yield inner
            yield from statements(inner)


@functools.cache
def imports_of(path: Path) -> frozenset[str]:
    """Dotted names that a module imports, wherever the statement stands."""
    found: set[str] = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level and "mlops/infra/plan/" in path.as_posix():
                continue  # has another name where it plans an older commit; stays inside its room
            assert node.level == 0, f"{path}: relative import; write the full name"
            found.add(node.module or "")
            if node.module == "mlops":
                found |= {f"mlops.{alias.name}" for alias in node.names}
    return frozenset(found)


def offences(path: Path, room: str) -> list[str]:
    found = []
    for name in sorted(imports_of(path)):
        if not name.startswith("mlops.") and name != "mlops":
            continue
        other = name.split(".")[1] if "." in name else ""
        if other in ("", room):
            continue
        allowed = ONLY.get(room)
        if (allowed is not None and other not in allowed) or RANK[other] <= RANK[room]:
            found.append(f"{path} imports {name}")
    return found


@functools.cache
def modules() -> list[tuple[Path, str]]:
    return [
        (path, path.relative_to(source).parts[0].removesuffix(".py"))
        for source in SOURCES
        for path in sorted(source.rglob("*.py"))
    ]


# Rooms of a large room, each of which imports itself and the earlier ones.
INSIDE = {
    "lifecycle": ("decide", "desired", "train", "propose", "apply", "watch"),
    "serving": ("formats", "score", "capture", "batch", "http", "azure"),
}


def inner_offences(path: Path, large: str) -> list[str]:
    """Imports of a later room from an earlier one of the same large room."""
    order = INSIDE[large]
    room = path.parts[path.parts.index(large) + 1]
    later = order[order.index(room) + 1 :] if room in order else ()
    forbidden = tuple(f"mlops.{large}.{name}" for name in later)
    found = sorted(name for name in imports_of(path) if forbidden and name.startswith(forbidden))
    return [f"{path} imports {name}" for name in found]


@functools.cache
def homes() -> dict[str, str]:
    """The package of each room."""
    return {room: path.relative_to(ROOT / "packages").parts[0] for path, room in modules()}


def beyond(path: Path, package: str) -> list[str]:
    """Imports of packages that `package` does not depend on."""
    known, found = homes(), []
    for name in sorted(imports_of(path)):
        other = known.get(name.split(".")[1]) if name.startswith("mlops.") else None
        if other is not None and other != package and other not in PACKAGES[package]:
            found.append(f"{path} imports {name}, which is in {other}")
    return found


def test_every_room_has_a_place():
    unknown = {room for _, room in modules()} - set(RANK)
    assert not unknown, f"give these rooms a layer in LAYERS and in docs/architecture.md: {sorted(unknown)}"


def test_imports_point_downwards():
    found = [line for path, room in modules() for line in offences(path, room)]
    assert not found, "\n".join(found)


def test_a_package_imports_only_what_it_depends_on():
    found = []
    for path, _ in modules():
        found += beyond(path, path.relative_to(ROOT / "packages").parts[0])
    assert not found, "\n".join(found)


def test_rooms_inside_a_room_import_earlier_ones_only():
    found = [line for path, room in modules() if room in INSIDE for line in inner_offences(path, room)]
    assert not found, "\n".join(found)


def test_an_import_of_a_later_inner_room_is_found(tmp_path: Path):
    wrong = tmp_path / "lifecycle" / "decide" / "wrong.py"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("from mlops.lifecycle.watch.monitor import judge")
    assert inner_offences(wrong, "lifecycle")


def test_no_package_owns_the_namespace():
    """An `__init__.py` in one of them would hide the others."""
    owners = [f for s in SOURCES for f in (s / "__init__.py", s / "verbs" / "__init__.py") if f.exists()]
    assert not owners


def test_an_import_beyond_the_package_is_found(tmp_path: Path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from mlops.lifecycle import gates")
    assert beyond(wrong, "runtime")
    assert not beyond(wrong, "maker")


# What sets up Azure itself, or runs against it on purpose.
OF_AZURE = {"bootstrap", "doctor", "targets", "cli"}


def test_nothing_above_the_targets_names_one():
    """A new target is a folder of `targets/`; what it is called is known there and in mlops.toml."""
    named = ("mlops.targets.local", "mlops.targets.azure", "mlops.targets.databricks")
    found = [
        f"{path} imports {name}"
        for path, room in modules()
        if room not in OF_AZURE and path.relative_to(ROOT / "packages").parts[0] != "maker"
        for name in imports_of(path)
        if name.startswith(named)
    ]
    assert not found, "\n".join(found)


def test_use_cases_know_only_the_protocol():
    allowed = {"mlops.errors", "mlops.tables", "mlops.usecase"}
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        found += [
            f"{path.relative_to(ROOT)} imports {name}"
            for name in imports_of(path)
            if name.split(".")[0] == "mlops" and name not in allowed and not name.startswith("mlops.spec")
        ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("spec", "from mlops.targets.base import Target"),
        ("serving", "import mlops.tracking"),
        ("lifecycle", "from mlops.cli import main"),
        ("tracking", "from mlops import lifecycle"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, room: str, line: str):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(line)
    assert offences(wrong, room), f"{line!r} in {room}/ was not found"
