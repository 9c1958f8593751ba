from __future__ import annotations

from pathlib import Path

import pytest
from event_world import SETTINGS

from mlops.events.outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "events" / "outbox.db")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "mlops.toml").write_text(SETTINGS)
    return tmp_path
