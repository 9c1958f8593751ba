"""A registry of versions that are judged, made once for the tests of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from judged_world import JudgedWorld


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with its database made, which takes seconds; each test works on a copy."""
    folder = tmp_path_factory.mktemp("empty")
    JudgedWorld(folder).tracker.find_runs("freight")
    return folder
