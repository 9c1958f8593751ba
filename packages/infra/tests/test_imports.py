"""Imports of the parts go one way, never up to the engine or to a repository's program: a circle, even one
behind a lazy import, means that neither of two files can be read, tested or replaced alone."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from graphs import ROOT

PARTS = ROOT / "packages/infra/src"
BELOW = ("mlops.errors", "mlops.spec", "mlops.infra")
"""Of our own, what the parts may import."""


def modules(folder: Path, package: str) -> dict[str, Path]:
    found = {}
    for path in sorted((folder / package.replace(".", "/")).rglob("*.py")):
        name = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        found[name] = path
    return found


def imports(name: str, path: Path) -> set[str]:
    """Dotted names, wherever the statement stands but for `if TYPE_CHECKING`."""
    found: set[str] = set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - (node.level - 1)] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def graph(known: dict[str, Path]) -> dict[str, set[str]]:
    packages = {n for n, p in known.items() if p.name == "__init__.py"}
    return {n: (imports(n, p) & set(known)) - packages - {n} for n, p in known.items()}


def test_there_is_no_circle() -> None:
    known = {**modules(PARTS, "mlops.infra"), **modules(ROOT, "infra")}
    assert len(known) > 60
    tuple(TopologicalSorter(graph(known)).static_order())


def test_rooms_know_each_other_one_way_only() -> None:
    known = modules(PARTS, "mlops.infra")
    rooms: dict[str, set[str]] = {}
    for name, others in graph(known).items():
        parts = name.split(".")
        room = parts[2] if len(parts) > 3 else ""
        for other in others:
            there = other.split(".")[2] if len(other.split(".")) > 3 else ""
            if room and there and there != room:
                rooms.setdefault(room, set()).add(there)
    tuple(TopologicalSorter(rooms).static_order())
    assert rooms["plan"] == {"policy", "cost"}


def test_a_circle_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "one.py").write_text("def f():\n    from a import two\n")
    (folder / "two.py").write_text("from .one import f\n")
    with pytest.raises(CycleError):
        tuple(TopologicalSorter(graph(modules(tmp_path, "a"))).static_order())


def test_the_parts_know_only_what_is_below_them() -> None:
    found = {
        f"{name} imports {other}"
        for name, path in modules(PARTS, "mlops.infra").items()
        for other in imports(name, path)
        if other.split(".")[0] in {"mlops", "infra"} and other != "mlops" and not other.startswith(BELOW)
    }
    assert found == set()
