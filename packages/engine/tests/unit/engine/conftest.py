from __future__ import annotations

from pathlib import Path

import pytest
from engine_world import World, write_artifact


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return write_artifact(tmp_path / "artifact")


@pytest.fixture
def world(artifact: Path) -> World:
    return World(artifact)
