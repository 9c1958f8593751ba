"""Stores on which the same calls must work: SQLite, MLflow's server, one that lacks what Azure ML lacks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from azure_like_proxy import AzureLikeProxy

from mlops.tracking import sqlite_uri


@pytest.fixture(scope="session")
def server(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real `mlflow server`; its start-up takes about 15 s, so all tests share it."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(database.read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", sqlite_uri(folder / "mlflow.db"), "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while not _healthy(url):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield url
    finally:
        # Its workers wait for idle connections to close; there is nothing to save.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def azure_like(server: str) -> Iterator[AzureLikeProxy]:
    """The server behind Azure ML's rules, without data-set inputs."""
    with AzureLikeProxy(server) as proxy:
        yield proxy


@pytest.fixture(params=["sqlite", "server", "azure-like", "azure-like-with-inputs"])
def uri(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each kind of store in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite")
    elif request.param == "server":
        yield request.getfixturevalue("server")
    else:
        upstream = request.getfixturevalue("server")
        with AzureLikeProxy(upstream, log_inputs=request.param.endswith("inputs")) as proxy:
            yield proxy.url
