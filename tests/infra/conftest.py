"""What the tests of `infra/` share: the repository on the path, and the plans of all stacks, captured
once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from infra.plan.model import Captured  # noqa: E402  the path is set above
from infra.plan.stacks import capture_stacks  # noqa: E402  the path is set above

# Read before HOME is replaced: checkov's environment is made once a machine, not once a test.
_CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")


@pytest.fixture(autouse=True)
def _real_cache(_clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", _CACHE)


@pytest.fixture(scope="session")
def stacks() -> Mapping[str, Captured]:
    """Every stack of the repository, as the program registers it."""
    return {c.stack: c for c in capture_stacks(ROOT)}
