"""The server: answers by routes, refuses what none is for, records everything."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from . import files, jobs, login, serving, tracking, unity
from .http import Answer, Refused, Request, Router


@dataclass
class Exchange:
    """One request with the status of its answer."""

    request: Request
    status: int = 0


Fault = Callable[[Request], Answer | None]
"""Answers in place of the route, or None to let the request pass. Raise `ConnectionError` to drop it."""


class Emulator:
    """A context manager. `env` is what makes this machine's clients talk to it.

    `faults`: functions that are asked before the routes, in order (see `fail`). `errors`: tracebacks of the
    emulator's own bugs. `unknown`: what was asked for and has no route.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.exchanges: list[Exchange] = []
        self.errors: list[str] = []
        self.unknown: list[str] = []
        self.faults: list[Fault] = []
        self.router = Router()
        self.login = login.install(self)
        self.files = files.install(self)
        self.unity = unity.install(self)
        self.tracking = tracking.install(self)
        self.serving = serving.install(self)
        self.jobs = jobs.install(self)
        self._lock = threading.Lock()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Emulator:
        threading.Thread(target=self._server.serve_forever, name="databricks-emulator", daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.jobs.close()
        self._server.shutdown()
        self._server.server_close()

    @property
    def env(self) -> dict[str, str]:
        """Variables for a client: the workspace, and a federated login as a workload has it."""
        return {
            "DATABRICKS_HOST": self.url,
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
            **self.login.env,
        }

    def answer(self, request: Request) -> Answer:
        """Faults first, then routes. Raises `ConnectionError` when the connection is to be dropped."""
        exchange = Exchange(request)
        with self._lock:
            self.exchanges.append(exchange)
        try:
            answer = self._answer(request)
        except Refused as refusal:
            answer = refusal.answer
            if answer.body["error_code"] == "ENDPOINT_NOT_FOUND":
                self.unknown.append(f"{request.method} {request.path}")
        exchange.status = answer.status
        return answer

    def _answer(self, request: Request) -> Answer:
        for fault in list(self.faults):
            if (given := fault(request)) is not None:
                return given
        try:
            self.login.check(request)
            return self.router(request)
        except (Refused, ConnectionError):
            raise
        except Exception:  # noqa: BLE001  a bug of the emulator must fail the test that meets it, not hang its client
            self.errors.append(traceback.format_exc())
            raise Refused(500, "EMULATOR_BUG", traceback.format_exc()[-1000:]) from None

    def fail(self, method: str, part: str, answer: Answer | type[ConnectionError], times: int = 1) -> None:
        """Answer the next `times` requests of `method` whose path contains `part` with `answer`."""
        left = [times]

        def fault(request: Request) -> Answer | None:
            if left[0] <= 0 or request.method != method or part not in request.path:
                return None
            left[0] -= 1
            if isinstance(answer, Answer):
                return answer
            raise answer(f"{request.path} was dropped")

        self.faults.append(fault)

    def lose(self, method: str, part: str) -> None:
        """Do what the next such request asks for, and lose the answer on its way."""
        left = [1]

        def fault(request: Request) -> Answer | None:
            if left[0] <= 0 or request.method != method or part not in request.path:
                return None
            left[0] -= 1
            self.router(request)
            raise ConnectionError(f"the answer to {request.path} was lost")

        self.faults.append(fault)

    def calls(self, method: str, part: str) -> list[Exchange]:
        """What was asked by `method` of a path that contains `part`."""
        return [e for e in self.exchanges if e.request.method == method and part in e.request.path]


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
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={k.lower(): v for k, v in self.headers.items()},
            body=self._body(),
            target=self.path,
        )
        try:
            answer = self.owner.answer(request)
        except ConnectionError:
            self.close_connection = True
            return
        body, kind = answer.encoded()
        self.send_response_only(answer.status)
        headers = {k.lower(): v for k, v in answer.headers.items()}
        headers.setdefault("date", formatdate(usegmt=True))
        headers.setdefault("content-type", kind)
        headers.setdefault("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815  http.server's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean; `exchanges` has it all."""
