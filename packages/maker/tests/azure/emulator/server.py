"""The proxy: ends TLS for Azure's hosts, answers by routes, refuses every other host, records everything."""

from __future__ import annotations

import ssl
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from . import (
    arm,
    assets,
    batch,
    blobs,
    entra,
    history,
    identity,
    jobs,
    monitor,
    online,
    schedules,
    subscription,
    tracking,
    vaults,
    workspaces,
)
from .certs import Authority
from .http import Answer, Refused, Request, Router


@dataclass
class Exchange:
    """One request with its answer; `problems` is what Azure's official types say about its body."""

    request: Request
    status: int = 0
    problems: list[str] = field(default_factory=list)


Fault = Callable[[Request], Answer | None]
"""Answers in place of the route, or None to let the request pass. Raise `ConnectionError` to drop it."""


class Emulator:
    """A context manager. `env` is what makes this machine's clients talk to it.

    `faults`: functions that are asked before the routes, in order (see `fail`); a test adds and removes them.
    `refused`: hosts that were asked for and are not Azure's. `errors`: tracebacks of the emulator's own bugs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exchanges: list[Exchange] = []
        self.refused: list[str] = []
        self.errors: list[str] = []
        self.faults: list[Fault] = []
        self.router = Router()
        self.authority = Authority(_made(folder / "tls"))
        self.entra = entra.install(self)
        self.blobs = blobs.install(self)
        self.monitor = monitor.install(self)
        self.arm = arm.install(self)
        self.subscription = subscription.install(self)
        self.identity, self.vaults = identity.install(self), vaults.install(self)
        self.workspaces = workspaces.install(self)
        self.assets = assets.install(self)
        self.tracking = tracking.install(self)
        self.history = history.install(self)
        self.jobs = jobs.install(self)
        self.online = online.install(self)
        self.batch = batch.install(self)
        schedules.install(self)
        self._lock = threading.Lock()
        self._server = _Server(self)

    def __enter__(self) -> Emulator:
        threading.Thread(target=self._server.serve_forever, name="azure-emulator", daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.jobs.close()
        self.online.close()
        self.batch.close()
        self.entra.close()
        self._server.shutdown()
        self._server.server_close()

    @property
    def env(self) -> dict[str, str]:
        """Variables for a client: the proxy, the CA, and a federated login as a workload has it."""
        proxy, bundle = f"http://127.0.0.1:{self._server.server_port}", str(self.authority.bundle)
        return {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": bundle,
            "CURL_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
            "AZURE_AI_ML_DISABLE_TELEMETRY": "1",
            **self.entra.login,
        }

    def answer(self, request: Request) -> Answer:
        """Faults first, then routes. Raises `ConnectionError` when the connection is to be dropped."""
        exchange = Exchange(request)
        with self._lock:
            self.exchanges.append(exchange)
        try:
            answer = self._answer(request, exchange)
        except Refused as refusal:
            answer = refusal.answer
        exchange.status = answer.status
        return answer

    def _answer(self, request: Request, exchange: Exchange) -> Answer:
        for fault in list(self.faults):
            if (given := fault(request)) is not None:
                return given
        try:
            exchange.problems = self.arm.problems(request)
            return self.router(request)
        except (Refused, ConnectionError):
            raise
        except Exception:  # noqa: BLE001  a bug of the emulator must fail the test that meets it, not hang its client
            self.errors.append(traceback.format_exc())
            raise Refused(500, "EmulatorBug", traceback.format_exc()[-1000:]) from None

    def fail(self, method: str, part: str, answer: Answer | type[ConnectionError], times: int = 1) -> None:
        """Answer the next `times` requests of `method` whose host and path contain `part` with `answer`."""
        left = [times]

        def fault(request: Request) -> Answer | None:
            if left[0] <= 0 or request.method != method or part not in request.host + request.path:
                return None
            left[0] -= 1
            if isinstance(answer, Answer):
                return answer
            raise answer(f"{request.path} was dropped")

        self.faults.append(fault)

    def calls(self, method: str, part: str) -> list[Exchange]:
        """What was asked by `method` of a host and path that contain `part`."""
        return [
            e
            for e in self.exchanges
            if e.request.method == method and part in e.request.host + e.request.path
        ]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, emulator: Emulator) -> None:
        class Handler(_Handler):
            owner = emulator

        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients close connections when they please."""


class _Handler(BaseHTTPRequestHandler):
    owner: Emulator
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # head and body go in two writes; together they would wait 40 ms for an ACK
    )
    tunnel = ""

    def do_CONNECT(self) -> None:
        host = self.path.partition(":")[0].lower()
        if not self.owner.router.knows(host):
            self.owner.refused.append(host)
            self.send_error(403, "not a host of Azure")
            return
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = self.owner.authority.context(host).wrap_socket(
                self.connection, server_side=True
            )
        except (ssl.SSLError, OSError):
            self.close_connection = True
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)  # type: ignore[assignment]
        self.tunnel = host
        self.close_connection = False

    def handle_any(self) -> None:
        if not self.tunnel:
            self.owner.refused.append(self.path)
            self.send_error(403, "only https goes through this proxy")
            return
        try:
            answer = self.owner.answer(self._request())
        except ConnectionError:
            self.close_connection = True
            return
        body, kind = answer.encoded()
        self.send_response(answer.status)
        headers = {k.lower(): v for k, v in answer.headers.items()}
        if kind:
            headers.setdefault("content-type", kind)
        headers.setdefault("content-length", str(len(body)))
        headers.setdefault("x-ms-request-id", "00000000-0000-0000-0000-000000000000")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815  http.server's names

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self._chunks()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return Request(
            method=self.command,
            host=self.tunnel,
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={k.lower(): v for k, v in self.headers.items()},
            body=body,
            target=self.path,
        )

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean; `exchanges` has it all."""


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
