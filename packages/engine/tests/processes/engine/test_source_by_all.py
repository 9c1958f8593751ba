"""A release whose source nobody can vouch for gets one answer from the pull request, promote and apply.

What a rule of a move says is compared in test_engine_agreement.py; these are asked of git.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from engine_world import write_artifact
from git_world import MODEL, GitWorld, git

from mlops.errors import IntegrityError
from mlops.lifecycle.desired.check import check
from mlops.lifecycle.propose.promote import promote
from mlops.spec.files import release_path


def rewrite(world: GitWorld, version: int, old: str, new: str, subject: str) -> None:
    name = release_path(MODEL, version)
    text = (world.root / name).read_text()
    assert old in text
    world.write(name, text.replace(old, new))
    world.commit(subject)


def dirty(world: GitWorld) -> int:
    version = world.released()
    text = (world.root / release_path(MODEL, version)).read_text()
    git(world.root, "reset", "-q", "--hard", "HEAD~1")
    world.write(release_path(MODEL, version), text.replace("dirty: false", "dirty: true"))
    world.commit(f"Release freight {version}")
    return version


def edited(world: GitWorld) -> int:
    version = world.released()
    rewrite(world, version, "0.72", "0.99", "Make it look better")
    return version


def of_another_history(world: GitWorld) -> int:
    """Its commit was never merged."""
    before = git(world.root, "rev-parse", "HEAD")
    version = world.released()
    text = (world.root / release_path(MODEL, version)).read_text()
    git(world.root, "reset", "-q", "--hard", before)
    world.write(release_path(MODEL, version), text)
    world.commit(f"Release freight {version}")
    return version


@pytest.fixture
def world(tmp_path: Path) -> GitWorld:
    """Release 1 serves in staging."""
    made = GitWorld(tmp_path, write_artifact(tmp_path / "artifact"))
    made.stage(made.released())
    made.run("staging")
    return made


@pytest.mark.parametrize("make", [dirty, edited, of_another_history])
def test_check_promote_and_apply_refuse_a_source_that_nobody_can_vouch_for(
    world: GitWorld, make: Callable[[GitWorld], int]
) -> None:
    base = git(world.root, "rev-parse", "HEAD")
    version = make(world)
    world.stage(version, replaces=1)
    now = world.clock.now()
    assert check(world.root, base, now=now), "without a registry too"
    assert check(world.root, base, now=now, target=world.target)
    with pytest.raises(IntegrityError):
        world.run("staging")
    assert world.served("staging") == 1
    with pytest.raises(IntegrityError):
        promote(world.root, world.target, world.forge, "prod", MODEL, actor="ada", now=now, release=version)
    assert world.forge.list_open() == []
