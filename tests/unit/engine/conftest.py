from __future__ import annotations

from pathlib import Path

import pytest
from engine_world import World, write_artifact
from git_world import GitWorld


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return write_artifact(tmp_path / "artifact")


@pytest.fixture
def world(artifact: Path) -> World:
    return World(artifact)


@pytest.fixture
def repository(tmp_path: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch) -> GitWorld:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    return GitWorld(tmp_path, artifact)
