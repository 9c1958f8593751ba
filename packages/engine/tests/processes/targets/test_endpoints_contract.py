"""The laptop's endpoints keep the contract of all endpoints."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.serving.score.lock import owner
from mlops.targets.local.endpoints import LocalEndpoints
from tests.contracts.endpoints import ENV, MODEL, EndpointsContract, write_artifacts


class _Bench:
    def __init__(self, folder: Path, artifacts: dict[str, Path]) -> None:
        self.endpoints = LocalEndpoints(folder)
        self.artifacts = artifacts

    def publish(self, version: int, artifact: Path) -> None: ...


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def bench(tmp_path: Path, artifacts: dict[str, Path]) -> Iterator[_Bench]:
    yield _Bench(tmp_path, artifacts)
    folder = tmp_path / ENV / MODEL
    while (server := owner(folder)) is not None:
        os.kill(server.pid, signal.SIGKILL)
        time.sleep(0.02)


class TestLocalEndpoints(EndpointsContract):
    """`LocalEndpoints`."""
