"""Azure ML's real inference server with `score.py`, as a deployment runs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlops.serving.azure
from mlops.serving.http.client import Unreachable, call
from mlops.spec.digest import tree_digest

SCRIPT = Path(mlops.serving.azure.__file__).with_name("score.py")
COMMAND = Path(sys.executable).with_name("azmlinfsrv")


@dataclass
class AzureServer:
    """One that is ready."""

    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def azure_serving(model: Path, root: Path) -> Iterator[AzureServer]:
    """Serve a model artifact; `root` is its working directory."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    environment = {
        **os.environ,
        "AZUREML_MODEL_DIR": str(model),
        "MLOPS_MODEL_DIGEST": tree_digest(model),
        "MLOPS_MODEL_VERSION": "1",
        "WORKER_COUNT": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [str(COMMAND), "--entry_script", str(SCRIPT), "--port", str(port)]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=root, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                call(port, "GET", "/", timeout=2)
                break
            except Unreachable:
                assert process.poll() is None and time.monotonic() < deadline, (root / "log").read_text()
                time.sleep(0.1)
        yield AzureServer(port, process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(15)
