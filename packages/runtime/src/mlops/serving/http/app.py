"""The ASGI app of an endpoint: scoring for several deployments, health, description, metrics, control.

It is a bare ASGI callable because a framework's routing costs as much as the prediction does; see
docs/decisions. `Scoring` answers, `Router` decides which deployment does, `Loaded` predicts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import parse_qs

from mlops.serving.capture.recorder import FOLDER, Capture, open_capture
from mlops.serving.http.admin import Admin
from mlops.serving.http.exchange import (
    CLOSE,
    TEXT,
    Disconnected,
    Header,
    Headers,
    Keyring,
    Memory,
    Receive,
    Scope,
    Send,
    answer,
    json_bytes,
    read_body,
)
from mlops.serving.http.metrics import Captured, render
from mlops.serving.http.openapi import document
from mlops.serving.http.router import Router
from mlops.serving.http.scoring import PATHS, Answer, Identity, Scoring, refusal
from mlops.serving.http.state import Keys
from mlops.serving.score.request import Limits, Protocol, RequestError
from mlops.spec.capture import CaptureSettings

READ_MEMORY = 256 << 20
PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = b"application/openmetrics-text; version=1.0.0; charset=utf-8"

_GET = ("GET", "HEAD")
_READING = ("/", "/livez", "/readyz", "/swagger.json", "/openapi.json", "/metrics")
_OPEN = ("/", "/livez", "/readyz")
"""What a probe may ask without a key."""


class App:
    """One endpoint. `keys` None means that somebody in front authenticates (Azure ML does)."""

    def __init__(
        self, router: Router, keys: Keys | None, limits: Limits, capture: Capture | None = None
    ) -> None:
        self.router = router
        self.limits = limits
        self.draining = False
        self._keyring = Keyring([keys.primary, keys.secondary]) if keys else None
        self._control = Keyring([keys.admin]) if keys else None
        self._admin = Admin(router, self._control, self._recapture) if self._control else None
        self._memory = Memory(READ_MEMORY)
        self.scoring = Scoring(router, self._keyring, capture)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope["headers"])
        path, method = scope["path"], scope["method"]
        identity = self.scoring.identity(headers)
        try:
            protocol = PATHS.get(path)
            if protocol is not None and method == "POST":
                await self._score(protocol, headers, identity, receive, send)
            elif path in _READING and method in _GET:
                await self._read(path, scope, headers, self._leaving(identity), send)
            elif path.startswith("/-/") and self._admin is not None:
                status, value = await self._admin.handle(path, method, headers, receive)
                await answer(send, status, json_bytes(value), self._leaving(identity))
            else:
                raise _no_route(path, method)
        except RequestError as error:
            await self._send(send, refusal(error, identity))
        except Disconnected:
            return

    def rekey(self, good: Sequence[Keys]) -> None:
        """Take these keys and no others; a request that was let in goes on."""
        if self._keyring is not None and self._control is not None:
            self._keyring.accept([key for keys in good for key in (keys.primary, keys.secondary)])
            self._control.accept([keys.admin for keys in good])

    async def _score(
        self, protocol: Protocol, headers: Headers, identity: Identity, receive: Receive, send: Send
    ) -> None:
        self.scoring.admit(headers)
        body = await read_body(receive, headers, self.limits, self._memory)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        # The client may be gone, and its task with it, before the answer is there.
        self.scoring.submit(
            protocol,
            headers,
            identity,
            body,
            lambda found: None if future.done() else future.set_result(found),
        )
        await self._send(send, await future)

    async def _send(self, send: Send, found: Answer) -> None:
        await answer(send, found.status, found.body, self._leaving(found.headers))

    def _leaving(self, headers: list[Header]) -> list[Header]:
        """`headers`, and the word that the connection ends when the server does."""
        return [*headers, CLOSE] if self.draining and CLOSE not in headers else headers

    async def _recapture(self, settings: CaptureSettings) -> None:
        if settings == self.router.state.capture:
            return
        fresh = await asyncio.to_thread(open_capture, self.router.folder / FOLDER, settings)
        await self.router.set_capture(settings)
        old, self.scoring.capture = self.scoring.capture, fresh
        if old is not None:
            await asyncio.to_thread(old.close)

    async def _read(self, path: str, scope: Scope, headers: Headers, reply: list[Header], send: Send) -> None:
        if path not in _OPEN and self._keyring is not None:
            self._keyring.check(headers.authorization)
        if path in ("/", "/livez"):
            await answer(send, 200, b"Healthy", reply, TEXT)
        elif path == "/readyz":
            if self.draining:
                raise RequestError(503, "the server is shutting down")
            if not self.router.table.live:
                raise RequestError(503, "no deployment of this endpoint is ready")
            await answer(send, 200, b"Ready", reply, TEXT)
        elif path == "/metrics":
            # Prometheus asks for OpenMetrics first; whoever does not name it gets the older format.
            newer = OPEN_METRICS.split(b";")[0] in dict(scope["headers"]).get(b"accept", b"")
            text = self._metrics(open_metrics=newer)
            await answer(send, 200, text, reply, OPEN_METRICS if newer else PROMETHEUS)
        else:
            main = self.router.table.main()
            if main is None:
                raise RequestError(503, "no deployment of this endpoint is ready")
            wanted = parse_qs(scope["query_string"]).get(b"version", [b"2"])[0]
            swagger = path == "/swagger.json" and wanted != b"3"
            described = document(main.scorer.schema, main.version, swagger=swagger)
            await answer(send, 200, json_bytes(described), [*reply, *main.headers])

    def _metrics(self, *, open_metrics: bool) -> bytes:
        state, capture = self.router.state, self.scoring.capture
        at = {"environment": state.environment, "model": state.model}
        rows = [
            ({**at, "deployment": d.name, "version": str(d.version)}, d.counters)
            for d in self.router.table.loaded.values()
        ]
        captured = Captured(at, {"written": capture.written, "dropped": capture.dropped}) if capture else None
        return render(rows, captured, open_metrics=open_metrics)


def _no_route(path: str, method: str) -> RequestError:
    methods = "POST" if path in PATHS else "GET" if path in _READING else ""
    if methods:
        return RequestError(
            405, f"{path} is asked by {methods}", field="method", value=method, allowed=methods
        )
    return RequestError(
        404, "there is no such path", field="path", value=path[:200],
        allowed=", ".join((*PATHS, *_READING)),
    )  # fmt: skip
