"""A server that answers recorded requests in their order, and refuses and remembers everything else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

FIXTURES = Path(__file__).parent / "fixtures"


class Replay:
    """`url` is where the client must go. The context fails when something was refused or never asked."""

    def __init__(self, name: str) -> None:
        self.exchanges: list[dict[str, Any]] = json.loads((FIXTURES / f"{name}.json").read_text())
        self.refused: list[str] = []
        self.url = ""

    def answer(self, method: str, target: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        split = urlsplit(target)
        asked = {"method": method, "path": split.path, "query": dict(parse_qsl(split.query)), "body": body}
        if self.exchanges:
            wanted = self.exchanges[0]["request"]
            expected = {key: wanted.get(key, {} if key == "query" else None) for key in asked}
            missing = {k: v for k, v in wanted.get("headers", {}).items() if headers.get(k.lower()) != v}
            if expected == asked and not missing:
                response = self.exchanges.pop(0)["response"]
                return response["status"], response.get("body")
            self.refused.append(f"asked {asked}, headers lack {missing}; the recording has {expected}")
        else:
            self.refused.append(f"asked {asked}; the recording has ended")
        return 501, {"message": "not in the recording"}


@contextmanager
def replay(name: str) -> Iterator[Replay]:
    recording = Replay(name)

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {k.lower(): v for k, v in self.headers.items()}
            status, answer = recording.answer(self.command, self.path, headers, body)
            raw = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815  names of the standard library

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    recording.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield recording
    finally:
        server.shutdown()
        server.server_close()
    assert not recording.refused, recording.refused
    assert not recording.exchanges, f"never asked: {[e['request'] for e in recording.exchanges]}"
