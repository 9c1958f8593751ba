"""Which stacks bootstrap makes first, and what `apply` may then assign in them: exports and roles of a stack
that is not there yet end a first run in the middle."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.bootstrap.grants import Assignment, workflow_grants
from mlops.bootstrap.world import World, read_stacks
from mlops.spec.settings import Settings, load_settings

ROOT = Path(__file__).parents[5]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    shutil.copy2(ROOT / "mlops.toml", tmp_path)
    return tmp_path


def ordered(root: Path, *order: str) -> None:
    lines = "".join(f"  {env}: {{}}\n" for env in order)
    text = f"order: [{', '.join(order)}]\nenvironments:\n{lines}"
    (root / "environments/policy.yaml").write_text(text, encoding="utf-8")


def trains(root: Path, where: str) -> Settings:
    """All stacks are trained for in `where`."""
    for stack in ("dev", "staging", "prod"):
        file = root / f"environments/Pulumi.{stack}.yaml"
        text = re.sub(r"  mlops:training_stack: .*\n", "", file.read_text(encoding="utf-8"))
        line = f"  mlops:training_stack: organization/mlops/{where}\n" if stack != where else ""
        file.write_text(text.replace("config:\n", f"config:\n{line}", 1), encoding="utf-8")
    return load_settings(root)


def made(root: Path, *chosen: str) -> list[str]:
    return [s.name for s in read_stacks(root, load_settings(root), chosen)]


def given(root: Path, settings: Settings, stack: str) -> set[tuple[str, str, str]]:
    """(duty, role, place) that bootstrap gives in what other environments have."""
    arm: Any = SimpleNamespace(subscription="s", home="/subscriptions/s")
    world = World(root, settings, read_stacks(root, settings), arm, None)
    return {
        (s.who, s.role[0], s.place)
        for s in workflow_grants(world)
        if isinstance(s, Assignment) and s.stack and s.stack.name == stack and "environment before" in s.place
    }


def test_what_a_stack_reads_is_made_before_it(root: Path) -> None:
    assert made(root) == ["shared", "dev", "staging", "prod"]
    assert made(root, "prod") == ["shared", "dev", "staging", "prod"]
    assert made(root, "staging") == ["shared", "dev", "staging"]
    assert made(root, "dev") == ["shared", "dev"]
    ordered(root, "prod", "staging")
    assert made(root) == ["shared", "dev", "prod", "staging"]


def test_stacks_that_would_read_each_other_are_made_all_the_same(root: Path) -> None:
    trains(root, "prod")
    assert made(root) == ["shared", "prod", "dev", "staging"]
    assert made(root, "staging") == ["shared", "prod", "staging"]


def test_apply_may_assign_what_its_environment_reads_of_the_one_before(root: Path) -> None:
    settings, role = load_settings(root), "Role Based Access Control Administrator"
    places = ["the journal of the environment before", "the workspace of the environment before"]
    assert given(root, settings, "prod") == {("apply", role, place) for place in places}
    assert given(root, settings, "staging") == given(root, settings, "dev") == set()
    ordered(root, "dev", "staging", "prod")
    # On the workspace that trains, `apply` has the right already.
    assert given(root, settings, "staging") == {("apply", role, places[0])}


def test_where_no_stack_can_give_the_role_bootstrap_gives_it(root: Path) -> None:
    """Staging is trained for in production, which asks staging's journal."""
    assert given(root, trains(root, "prod"), "prod") == {
        ("promote", "Storage Blob Data Reader", "the journal of the environment before")
    }
