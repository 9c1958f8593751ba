"""A git repository around the world of the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from check_world import built, two
from git_world import GitWorld

from tests.unit.engine.conftest import artifact

__all__ = ["artifact", "built", "repository", "two"]


@pytest.fixture
def repository(tmp_path: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch) -> GitWorld:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    return GitWorld(tmp_path, artifact)
