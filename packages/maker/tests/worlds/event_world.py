"""Small facts and a receiver of webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext

from mlops.events import envelope
from mlops.spec.events import ModelRegistered

SETTINGS = '[project]\nname = "freight-mlops"\n[models.freight]\nusecase = "freight"\n'
NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)


def fact(version: int = 1) -> ModelRegistered:
    return ModelRegistered(model="freight", version=version, digest="sha256:" + "a" * 64)


def event(version: int = 1):
    return envelope.make(fact(version), "/mlops/freight-mlops", NOW)


@dataclass
class Receiver:
    """Answers with `statuses` in turn, then 200; remembers what it was sent."""

    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def events(self) -> list[dict[str, object]]:
        return [json.loads(body) for _, _, body in self.got]


@contextmanager
def receiver(context: SSLContext | None = None) -> Iterator[Receiver]:
    heard = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status = heard.statuses.pop(0) if heard.statuses else 200
            self.send_response(status)
            for name, value in heard.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    scheme = "https" if context else "http"
    heard.url = f"{scheme}://localhost:{server.server_port}/hook"
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()
