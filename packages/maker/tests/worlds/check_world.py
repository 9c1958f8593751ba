"""Two releases in a git repository, and what `mlops check` says of it."""

from __future__ import annotations

import pytest
from engine_world import write_artifact
from git_world import GitWorld, git

from mlops.lifecycle.desired.check import check

STAGING, PROD = "environments/staging/freight.yaml", "environments/prod/freight.yaml"


def problems(world: GitWorld, base: str | None = "HEAD", *, asks: bool = False) -> list[str]:
    """`asks`: the registry and the journals too."""
    target = world.target if asks else None
    return [str(p) for p in check(world.root, base, now=world.clock.now(), target=target)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[GitWorld, str]:
    folder = tmp_path_factory.mktemp("check")
    world = GitWorld(folder, write_artifact(folder / "artifact"))
    world.stage(world.released())
    world.stage(1, env="prod")
    return world, world.stage(world.released(), replaces=1)


@pytest.fixture
def two(built: tuple[GitWorld, str]) -> GitWorld:
    """Two releases; staging asks for the second, prod for the first."""
    world, head = built
    git(world.root, "reset", "-q", "--hard", head)
    git(world.root, "clean", "-qfd")
    return world


def edit(world: GitWorld, name: str, old: str, new: str) -> None:
    path = world.root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def promote(world: GitWorld) -> None:
    edit(world, PROD, "release: 1", "release: 2")
    edit(world, PROD, "replaces: null", "replaces: 1")
