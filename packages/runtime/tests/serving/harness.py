"""A real endpoint's server process for tests, and sockets that say exactly what a test wants to say."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.serving import testing
from mlops.serving.http.client import Unreachable, call
from mlops.serving.http.state import DeploymentState, Keys, ServerState, ensure_keys, write_state
from mlops.serving.score.lock import owner
from mlops.spec.capture import CaptureSettings
from mlops.spec.digest import tree_digest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass
class Server:
    """One server process that is ready."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int
    keys: Keys

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        return call(self.port, method, path, body, self.keys.primary, headers=headers)

    def control(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One call below `/-/`, which must succeed."""
        status, answer = call(self.port, method, f"/-/{path}", body, self.keys.admin)
        assert status == 200, answer
        return answer

    def raw(self, data: bytes, timeout: float = 10.0) -> bytes:
        """Send bytes as they are; what came back until the server closed, or the timeout."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as sock:
            sock.sendall(data)
            return drain(sock)

    def request(self, body: bytes, *lines: str, path: str = "/score", method: str = "POST") -> bytes:
        head = [
            f"{method} {path} HTTP/1.1", "host: x", "connection: close",
            f"authorization: Bearer {self.keys.primary}", f"content-length: {len(body)}", *lines,
        ]  # fmt: skip
        return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@dataclass
class Example:
    """A model artifact, all rows of the test set, and what scikit-learn itself predicts for them."""

    folder: Path
    inputs: pd.DataFrame
    wanted: np.ndarray
    """[N] probability of the last class, float64."""


@dataclass
class Reply:
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """One connection that is kept alive; connects again when the server has closed it."""

    def __init__(self, port: int, key: str = "", timeout: float = 10.0) -> None:
        self._port, self._key, self._timeout = port, key, timeout
        self._sock: socket.socket | None = None
        self._rest = b""

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock, self._rest = None, b""

    def post(self, path: str, body: bytes, *lines: str, chunked: bool = False) -> Reply:
        """`chunked` is the way around the lane: the same request has to get the same answer."""
        head = [f"POST {path} HTTP/1.1", "host: x", "content-type: application/json", *lines]
        if self._key:
            head.append(f"authorization: Bearer {self._key}")
        head.append("transfer-encoding: chunked" if chunked else f"content-length: {len(body)}")
        if chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        return self.say("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    def say(self, data: bytes) -> Reply:
        """Send bytes and read one answer."""
        if self._sock is None:
            self._sock = socket.create_connection(("127.0.0.1", self._port), timeout=self._timeout)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.sendall(data)
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            self._more()
        first, *pairs = self._rest[:end].decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (pair.split(": ", 1) for pair in pairs)}
        length = end + 4 + int(headers["content-length"])
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[end + 4 : length], self._rest[length:]
        if headers.get("connection") == "close":
            self.close()
        return Reply(int(first.split(" ")[1]), headers, body)

    def _more(self) -> None:
        assert self._sock is not None
        chunk = self._sock.recv(1 << 20)
        if not chunk:
            raise ConnectionError(f"the server closed in the middle of {self._rest[:200]!r}")
        self._rest += chunk


def drain(sock: socket.socket) -> bytes:
    found = b""
    try:
        while chunk := sock.recv(65536):
            found += chunk
    except TimeoutError:
        pass
    return found


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:80]
    return int(answer[9:12])


def start(
    root: Path, *options: str, model: Path | None = None, capture: CaptureSettings | None = None
) -> Server:
    """Serve `model`, or a small one that is made below `root`; ready when this returns."""
    if model is None:
        model = root / "model"
        testing.write_onnx(model)
    folder = root / "endpoint"
    folder.mkdir()
    blue = {"name": "blue", "release": 1, "digest": tree_digest(model), "folder": model, "traffic": 100}
    made = DeploymentState(**blue, created="2026-01-01T00:00:00Z")  # type: ignore[arg-type]
    write_state(folder, ServerState(environment="prod", model="freight", deployments=[made], capture=capture))
    keys = ensure_keys(folder)
    command = [sys.executable, "-m", "mlops.serving.http.server", "--state", str(folder), *options]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + 30
    while True:
        try:
            found = owner(folder)
            call(found.port if found else 0, "GET", "/readyz", timeout=2)
            break
        except Unreachable:
            assert process.poll() is None and time.monotonic() < deadline, (root / "log").read_text()
            time.sleep(0.02)
    server = owner(folder)
    assert server is not None
    return Server(process, folder, server.port, keys)


@contextmanager
def serving(
    root: Path, *options: str, model: Path | None = None, capture: CaptureSettings | None = None
) -> Iterator[Server]:
    """A server that ends with the block."""
    made = start(root, *options, model=model, capture=capture)
    try:
        yield made
    finally:
        made.process.terminate()
        try:
            made.process.wait(10)
        except subprocess.TimeoutExpired:
            made.process.kill()
            made.process.wait()
