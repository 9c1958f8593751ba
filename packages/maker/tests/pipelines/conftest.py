"""Components take the engine along as a copy that git ignores; a verb brings it, and here nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.spec.engine import export


@pytest.fixture(autouse=True, scope="session")
def _engine() -> None:
    export(Path(__file__).parents[4])
