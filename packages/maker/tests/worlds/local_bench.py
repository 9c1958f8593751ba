"""Endpoints of the local target, and requests to them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlops.serving import testing
from mlops.serving.http.state import read_keys
from mlops.serving.score.lock import owner
from mlops.spec.digest import tree_digest
from mlops.spec.release import Data, Release, Source
from mlops.targets.local.endpoints import LocalEndpoints

ENV, MODEL = "prod", "freight"


def release(version: int, digest: str) -> Release:
    """A release record of one version; only model, version and digest matter to an endpoint."""
    source = Source(commit="0" * 40, actor="a", run_id="r", pipeline="p", pipeline_digest=digest)
    data = Data(name="d", version="1", digest=digest, window="2013-01..2013-03", test_window="2013-04")
    return Release.model_construct(
        model=MODEL, version=version, digest=digest, created=datetime.now(UTC), source=source, data=data,
        environment=digest, metrics={}, gates=[],
    )  # fmt: skip


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("artifacts")
    testing.write_onnx(root / "one")
    testing.write_onnx(root / "two", bias=2.0)
    testing.write_onnx(root / "slow", work=1000)
    testing.write_onnx(root / "failing", fails_from=2)
    testing.write_pyfunc(root / "python", "slow", seconds=0.3)
    return {p.name: p for p in root.iterdir()}


class Bench:
    """The endpoints under test with short names for what the tests do."""

    def __init__(self, root: Path, artifacts: dict[str, Path]) -> None:
        self.root = root
        self.endpoints = LocalEndpoints(root)
        self.artifacts = artifacts
        self.folder = root / ENV / MODEL

    def create(self, name: str, version: int, artifact: str) -> None:
        folder = self.artifacts[artifact]
        self.endpoints.create(ENV, name, release(version, tree_digest(folder)), folder)

    def traffic(self, mirror: dict[str, int] | None = None, **shares: int) -> None:
        self.endpoints.set_traffic(ENV, MODEL, shares, mirror)

    def shares(self) -> dict[str, int]:
        return {d.name: d.traffic for d in self.endpoints.state(ENV, MODEL).deployments}

    def kill(self) -> None:
        server = owner(self.folder)
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        while owner(self.folder) is not None:
            time.sleep(0.01)

    def post(
        self, body: Any = None, key: str | None = "", path: str = "/score", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """One request; `key` "" means the right one."""
        server, keys = owner(self.folder), read_keys(self.folder)
        assert server is not None and keys is not None
        sent = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if key is not None:
            sent["authorization"] = f"Bearer {key or keys.primary}"
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("POST", path, json.dumps(body or testing.body()), sent)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        return answer.status, dict(answer.headers), json.loads(raw)


@pytest.fixture
def bench(tmp_path: Path, artifacts: dict[str, Path]) -> Iterator[Bench]:
    made = Bench(tmp_path / "endpoints", artifacts)
    yield made
    if owner(made.folder) is not None:
        made.kill()
