"""JSON over HTTP on 127.0.0.1: one function answers all that a stand-in for a service is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Sent:
    """One request; `target` is path and query as they were sent, names of headers are in lower case.

    `body` is what JSON says, None when there is none, and bytes when it is said to be no JSON.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: Any


Answer = Callable[[Sent], tuple[int, Any]]
"""Status, and what is sent as JSON; None is an empty body."""


class JsonServer:
    """`url` is known before it is started."""

    def __init__(self, answer: Answer) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answer))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items()}
            plain = "json" not in headers.get("content-type", "")
            body = None if not raw else raw if plain else json.loads(raw)
            status, told = answer(Sent(self.command, self.path, headers, body))
            shown = b"" if told is None else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(shown)))
            self.end_headers()
            self.wfile.write(shown)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815  names of the standard library

        def log_message(self, *args: object) -> None:
            """Quiet."""

    return Handler
