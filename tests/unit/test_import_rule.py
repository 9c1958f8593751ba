"""Rooms import downwards only (docs/architecture.md): a room that reaches up ties the lifecycle to a target,
serving to training, or a use case to CI, and the repository can no longer be forked in parts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "mlops"

# A room may import itself and every room in a later row; rooms of one row do not know each other.
LAYERS: list[set[str]] = [
    {"reference"},
    {"cli"},
    {"demo", "doctor", "template"},
    {"board", "bootstrap", "scaffold"},
    {"lifecycle"},
    {"targets", "forge"},
    {"pipeline", "steps"},
    {"tracking"},
    {"serving", "monitoring", "events", "profile", "lint", "infra"},
    {"usecase"},
    {"tables"},
    {"spec"},
    {"errors"},
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
ONLY = {room: {"spec", "errors"} for room in ("serving", "monitoring", "events", "profile", "lint")}


def imports_of(path: Path) -> set[str]:
    """Dotted names that a module imports, wherever the statement stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            found.add(node.module or "")
            if node.module == "mlops":
                found |= {f"mlops.{alias.name}" for alias in node.names}
    return found


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


def modules() -> list[tuple[Path, str]]:
    rows = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).parts
        if parts != ("__init__.py",):
            rows.append((path, parts[0].removesuffix(".py")))
    return rows


def test_every_room_has_a_place():
    unknown = {room for _, room in modules()} - set(RANK)
    assert not unknown, f"give these rooms a layer in LAYERS and in docs/architecture.md: {sorted(unknown)}"


def test_imports_point_downwards():
    found = [line for path, room in modules() for line in offences(path, room)]
    assert not found, "\n".join(found)


def test_use_cases_know_only_the_protocol():
    allowed = {"mlops.errors", "mlops.tables", "mlops.usecase"}
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        if SOURCE in path.parents:
            continue
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
