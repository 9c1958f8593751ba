"""The tiny pipeline as a fixture."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_pipeline import MemoryTracker, Project, write_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    write_project(tmp_path)
    counter = tmp_path / "counter"
    monkeypatch.setenv("COUNTER", str(counter))
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, MemoryTracker(), counter)
