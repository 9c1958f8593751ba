"""A server on 127.0.0.1 that answers as a service does, can be told to fail, and records everything."""

from __future__ import annotations

import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.emulated.http import Answer, Refused, Request


@dataclass
class Exchange:
    """One request with its answer; `problems` is what official types say about its body."""

    request: Request
    status: int = 0
    problems: list[str] = field(default_factory=list)


Fault = Callable[[Request], Answer | None]
"""Answers in place of the route, or None to let the request pass. Raise `ConnectionError` to drop it."""


class Emulator(ABC):
    """A context manager. A subclass adds what the service knows, and calls `super().__init__` first.

    `faults`: functions that are asked before the routes, in order (see `fail`); a test adds and removes them.
    `errors`: tracebacks of the emulator's own bugs.
    """

    name: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}
    """What every answer has that does not say otherwise."""

    def __init__(self, folder: Path, handler: type[Handler[Any]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.exchanges: list[Exchange] = []
        self.errors: list[str] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Bound", (handler,), {"owner": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name=f"{self.name}-emulator", daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()
        self._server.shutdown()
        self._server.server_close()

    @abstractmethod
    def close(self) -> None:
        """End what the service runs."""

    @abstractmethod
    def route(self, request: Request, exchange: Exchange) -> Answer:
        """The service's answer. Raises `Refused`, or `ConnectionError` to drop the connection."""

    @abstractmethod
    def bug(self, text: str) -> Refused:
        """How the service says that it failed by itself."""

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
            return self.route(request, exchange)
        except (Refused, ConnectionError):
            raise
        except Exception:  # noqa: BLE001  a bug of the emulator must fail the test that meets it, not hang its client
            self.errors.append(traceback.format_exc())
            raise self.bug(traceback.format_exc()[-1000:]) from None

    def fail(self, method: str, part: str, answer: Answer | type[ConnectionError], times: int = 1) -> None:
        """Answer the next `times` requests of `method` whose host and path contain `part` with `answer`."""

        def given(request: Request) -> Answer:
            if isinstance(answer, Answer):
                return answer
            raise answer(f"{request.path} was dropped")

        self._next(method, part, given, times)

    def lose(self, method: str, part: str) -> None:
        """Do what the next such request asks for, and lose the answer on its way."""

        def lost(request: Request) -> Answer:
            self.route(request, Exchange(request))
            raise ConnectionError(f"the answer to {request.path} was lost")

        self._next(method, part, lost, 1)

    def _next(self, method: str, part: str, answer: Callable[[Request], Answer], times: int) -> None:
        left = [times]

        def fault(request: Request) -> Answer | None:
            if left[0] <= 0 or request.method != method or part not in request.host + request.path:
                return None
            left[0] -= 1
            return answer(request)

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

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients close connections when they please."""


Owner = TypeVar("Owner", bound=Emulator)


class Handler(BaseHTTPRequestHandler, Generic[Owner]):
    """`owner` answers what comes in on one connection."""

    owner: Owner
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # head and body go in two writes; together they would wait 40 ms for an ACK
    )
    host = ""

    def handle_any(self) -> None:
        try:
            answer = self.owner.answer(self._request())
        except ConnectionError:
            self.close_connection = True
            return
        body, kind = answer.encoded()
        self.send_response_only(answer.status)
        headers = {k.lower(): v for k, v in answer.headers.items()}
        if kind:
            headers.setdefault("content-type", kind)
        defaults = {"date": formatdate(usegmt=True), "content-length": str(len(body)), **self.owner.headers}
        for name, value in {**defaults, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815  http.server's names

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        return Request(
            method=self.command,
            host=self.host,
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={k.lower(): v for k, v in self.headers.items()},
            body=self._body(),
            target=self.path,
        )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return chunks

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean; `exchanges` has it all."""
