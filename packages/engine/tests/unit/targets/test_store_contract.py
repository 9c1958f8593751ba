"""The laptop's journal and lock keep the contract of all stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops.targets.local.store import LocalStore
from tests.contracts.store import StoreContract


class _Stores:
    def __init__(self, folder: Path) -> None:
        self._folder, self._later = folder, timedelta(0)

    def open(self) -> LocalStore:
        return LocalStore(self._folder, now=lambda: datetime.now(UTC) + self._later)

    def expire(self, environment: str) -> None:
        self._later += timedelta(seconds=61)


@pytest.fixture
def stores(tmp_path: Path) -> _Stores:
    return _Stores(tmp_path)


class TestLocalStore(StoreContract):
    """`LocalStore`."""
