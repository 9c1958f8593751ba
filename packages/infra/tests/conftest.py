"""What the tests of the parts and of the composition share: the plans of all stacks, captured once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlops.infra.model import Captured
from mlops.infra.plan.stacks import capture_stacks

ROOT = Path(__file__).resolve().parents[3]
# Read before HOME is replaced: checkov's environment is made once a machine, not once a test.
_CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")


@pytest.fixture(autouse=True)
def _real_cache(_clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", _CACHE)


@pytest.fixture(scope="session")
def stacks() -> Mapping[str, Captured]:
    """Every stack of the repository, as the program registers it."""
    return {c.stack: c for c in capture_stacks(ROOT)}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The stacks of this repository, to be changed; the program is its own."""
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    return tmp_path
