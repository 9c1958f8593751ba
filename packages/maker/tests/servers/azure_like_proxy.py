"""An MLflow server as Azure ML is one: what a workspace lacks is answered 404 with an empty body.

Forwards the rest to a real server. `drop_next(path)` lets the server do the next call of `path` and then
breaks the connection instead of passing on the answer, as a network does.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

_API = r"/api/2\.0/(preview/)?mlflow/"
_ANSWERED = [
    re.compile(_API + calls)
    for calls in (
        r"experiments/(create|get|get-by-name|search|list|delete|restore|set-experiment-tag)",
        r"runs/(create|get|update|delete|restore|search|set-tag|delete-tag|log-metric|log-parameter|log-batch)",
        r"(metrics/get-history|artifacts/list)",
        r"registered-models/(create|get|search|update|get-latest-versions|set-tag|delete-tag)",
        r"model-versions/(create|get|search|update|delete|get-download-uri|transition-stage|set-tag|delete-tag)",
    )
]
_LOG_INPUTS = re.compile(_API + r"runs/log-inputs")
# Azure ML moves artifacts by blob storage, not by the tracking protocol; here they pass through.
_ARTIFACTS = re.compile(r"/api/2\.0/mlflow-artifacts/.*")


class AzureLikeProxy:
    """A context manager; `url` is the tracking URI, `refused` lists the paths that were answered 404."""

    def __init__(self, upstream: str, *, log_inputs: bool = False) -> None:
        self.refused: list[str] = []
        self.seen: list[str] = []
        self._drop: list[str] = []
        self._log_inputs = log_inputs
        self._client = httpx.Client(base_url=upstream, timeout=60, trust_env=False)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                proxy.handle(self)

            def log_message(self, *_: Any) -> None:
                """Keep the test's output clean."""

        for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.handle_any)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> AzureLikeProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    def drop_next(self, path: str) -> None:
        """Carry out the next call whose path ends with `path`, but lose its answer."""
        self._drop.append(path)

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Refuse, forward, or forward and break the connection."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        parts = urlsplit(request.path)
        self.seen.append(parts.path)
        refused = None if _ARTIFACTS.fullmatch(parts.path) else self._refusal(parts.path, parts.query, body)
        status, answer, kind = refused or self._forward(request, body)
        lost = next((p for p in self._drop if parts.path.endswith(p)), None)
        if lost is not None:
            self._drop.remove(lost)
            request.close_connection = True
            return
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, str]:
        headers = {k: v for k, v in request.headers.items() if k.lower() in ("content-type", "accept")}
        answer = self._client.request(request.command, request.path, content=body, headers=headers)
        return answer.status_code, answer.content, answer.headers.get("content-type", "application/json")

    def _refusal(self, path: str, query: str, body: bytes) -> tuple[int, bytes, str] | None:
        refused = verdict(path, query, body, self._log_inputs)
        if refused is not None and refused[0] == 404:
            self.refused.append(path)
        return refused


def verdict(path: str, query: str, body: bytes, log_inputs: bool) -> tuple[int, bytes, str] | None:
    """Status, body and content type of Azure ML's refusal; None when it answers the call."""
    if log_inputs and _LOG_INPUTS.fullmatch(path):
        return None
    if not any(pattern.fullmatch(path) for pattern in _ANSWERED):
        return 404, b"", "text/plain"
    asked = json.loads(body) if body.startswith(b"{") else {}
    terms = asked.get("filter") or parse_qs(query).get("filter", [""])[0]
    if path.endswith("registered-models/search") and re.search(r"\btags?\b|\bI?LIKE\b", terms, re.I):
        return _refusal(f"the filter {terms!r} is not supported")
    if path.endswith("model-versions/search") and re.search(r"\btags?\b|\bI?LIKE\b", terms, re.I):
        return _refusal(f"the filter {terms!r} is not supported")
    if path.endswith("runs/search") and any(
        re.match(r"(metrics|params|tags|parameters)\b", term) for term in asked.get("order_by") or []
    ):
        return _refusal("this order is not supported")
    return None


def _refusal(message: str) -> tuple[int, bytes, str]:
    return 400, json.dumps({"error_code": "BAD_REQUEST", "message": message}).encode(), "application/json"
