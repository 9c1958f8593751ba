"""The ASGI app of an endpoint: scoring for several deployments, health, description, metrics, control.

It is a bare ASGI callable because a framework's routing costs as much as the prediction does; see
docs/decisions. `Router` decides which deployment answers, `Loaded` predicts.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from urllib.parse import parse_qs

from mlops.serving.admin import Admin
from mlops.serving.capture import FOLDER, Capture, open_capture
from mlops.serving.deployment import Loaded, ModelFailure, QueueFull
from mlops.serving.http import (
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
from mlops.serving.metrics import Outcome, render, render_capture
from mlops.serving.openapi import document
from mlops.serving.request import Limits, Protocol, RequestError, check_content_type
from mlops.serving.router import Router
from mlops.serving.state import Keys
from mlops.spec.capture import CaptureSettings

MIRROR_QUEUE = 64
READ_MEMORY = 256 << 20
RETRY_AFTER: Header = (b"retry-after", b"1")

_GET = ("GET", "HEAD")
_SCORING: dict[str, Protocol] = {"/score": "score", "/invocations": "invocations"}
_READING = ("/", "/livez", "/readyz", "/swagger.json", "/openapi.json", "/metrics")
_OPEN = ("/", "/livez", "/readyz")
"""What a probe may ask without a key."""


class App:
    """One endpoint. `keys` None means that somebody in front authenticates (Azure ML does)."""

    def __init__(
        self, router: Router, keys: Keys | None, limits: Limits, capture: Capture | None = None
    ) -> None:
        self.router = router
        self.capture = capture
        self.limits = limits
        self.draining = False
        self._keyring = Keyring([keys.primary, keys.secondary]) if keys else None
        self._admin = Admin(router, Keyring([keys.admin]), self._recapture) if keys else None
        self._memory = Memory(READ_MEMORY)
        process = os.urandom(6).hex()
        self._ids = (f"{process}-{n:x}".encode() for n in itertools.count(1))
        self._background: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope["headers"])
        path, method = scope["path"], scope["method"]
        request_id = headers.request_id or next(self._ids)
        reply: list[Header] = [(b"x-request-id", request_id)]
        if self.draining:
            reply.append((b"connection", b"close"))
        try:
            protocol = _SCORING.get(path)
            if protocol is not None and method == "POST":
                await self._score(protocol, headers, reply, receive, send)
            elif path in _READING and method in _GET:
                await self._read(path, scope, headers, reply, send)
            elif path.startswith("/-/") and self._admin is not None:
                status, value = await self._admin.handle(path, method, headers, receive)
                await answer(send, status, json_bytes(value), reply)
            else:
                raise _no_route(path, method)
        except RequestError as error:
            if error.status in (413, 429) and (b"connection", b"close") not in reply:
                reply.append((b"connection", b"close"))
            await _refuse(send, error, reply)
        except Disconnected:
            return

    async def _score(
        self, protocol: Protocol, headers: Headers, reply: list[Header], receive: Receive, send: Send
    ) -> None:
        if self._keyring is not None:
            self._keyring.check(headers.authorization)
        check_content_type(headers.content_type)
        if headers.encoding not in (None, b"identity"):
            raise RequestError(
                415, "compressed bodies are not understood", field="content-encoding", allowed="identity"
            )
        body = await read_body(receive, headers, self.limits, self._memory)
        table = self.router.table
        if headers.deployment is None:
            chosen = table.choose()
        else:
            chosen = table.loaded.get(name := headers.deployment.decode("latin-1"))
            if chosen is None:
                raise RequestError(
                    404, "this deployment does not exist",
                    field="azureml-model-deployment", value=name[:200], allowed=", ".join(table.loaded),
                )  # fmt: skip
        if chosen is None:
            raise RequestError(503, "no deployment of this endpoint is ready")
        # A deployment is removed only when none is in flight, so no answer can be lost on the way.
        chosen.in_flight += 1
        try:
            await self._predict(chosen, protocol, body, reply, send)
        finally:
            chosen.in_flight -= 1
        if headers.deployment is None:
            for mirror, share in table.mirrors:
                if random.random() * 100 < share:  # noqa: S311 - sampling, no secret
                    self._copy(mirror, protocol, body)

    async def _predict(
        self, chosen: Loaded, protocol: Protocol, body: bytes, reply: list[Header], send: Send
    ) -> None:
        start = time.perf_counter()
        reply += chosen.headers
        outcome: Outcome = "ok"
        try:
            rows = chosen.parser.parse(body, protocol)
            predictions = await chosen.predict(rows)
        except RequestError:
            outcome = "refused"
            raise
        except QueueFull:
            outcome = "rejected"
            reply.append(RETRY_AFTER)
            raise RequestError(429, "too many requests wait for this deployment; come back later") from None
        except ModelFailure:
            outcome = "error"
            raise RequestError(
                500, "the model failed on this request; its operator finds the reason in the log"
            ) from None
        finally:
            chosen.counters.answered(outcome, time.perf_counter() - start)
        await answer(send, 200, json_bytes({"predictions": predictions.tolist()}), reply)
        if self.capture is not None:
            self.capture.record(chosen.origin, reply[0][1], rows, predictions, len(body))

    async def _recapture(self, settings: CaptureSettings) -> None:
        if settings == self.router.state.capture:
            return
        fresh = await asyncio.to_thread(open_capture, self.router.folder / FOLDER, settings)
        await self.router.set_capture(settings)
        old, self.capture = self.capture, fresh
        if old is not None:
            await asyncio.to_thread(old.close)

    def _copy(self, mirror: Loaded, protocol: Protocol, body: bytes) -> None:
        if mirror.mirroring >= MIRROR_QUEUE:
            mirror.counters.mirror_dropped += 1
            return
        mirror.mirroring += 1
        task = asyncio.create_task(self._mirror(mirror, protocol, body))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _mirror(self, mirror: Loaded, protocol: Protocol, body: bytes) -> None:
        start = time.perf_counter()
        outcome: Outcome = "ok"
        try:
            await mirror.predict(mirror.parser.parse(body, protocol))
        except RequestError:
            outcome = "refused"
        except QueueFull:
            outcome = "rejected"
        except ModelFailure:
            outcome = "error"
        finally:
            mirror.mirroring -= 1
        mirror.counters.mirrored += 1
        mirror.counters.answered(outcome, time.perf_counter() - start)

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
            state = self.router.state
            at = {"environment": state.environment, "model": state.model}
            rows = [
                ({**at, "deployment": d.name, "version": str(d.version)}, d.counters)
                for d in self.router.table.loaded.values()
            ]
            text = render(rows)
            if self.capture is not None:
                text += render_capture(at, self.capture.written, self.capture.dropped)
            await answer(send, 200, text, reply, b"text/plain; version=0.0.4; charset=utf-8")
        else:
            main = self.router.table.main()
            if main is None:
                raise RequestError(503, "no deployment of this endpoint is ready")
            wanted = parse_qs(scope["query_string"]).get(b"version", [b"2"])[0]
            swagger = path == "/swagger.json" and wanted != b"3"
            described = document(main.scorer.schema, main.version, swagger=swagger)
            await answer(send, 200, json_bytes(described), [*reply, *main.headers])


def _no_route(path: str, method: str) -> RequestError:
    methods = "POST" if path in _SCORING else "GET" if path in _READING else ""
    if methods:
        return RequestError(
            405, f"{path} is asked by {methods}", field="method", value=method, allowed=methods
        )
    return RequestError(
        404, "there is no such path", field="path", value=path[:200],
        allowed=", ".join((*_SCORING, *_READING)),
    )  # fmt: skip


async def _refuse(send: Send, error: RequestError, reply: list[Header]) -> None:
    if error.status == 401:
        reply.append((b"www-authenticate", b"Bearer"))
    if error.status == 405:
        reply.append((b"allow", str(error.error["allowed"]).encode()))
    if error.status in (429, 503) and RETRY_AFTER not in reply:
        reply.append(RETRY_AFTER)
    body = json_bytes({**error.body(), "request_id": dict(reply)[b"x-request-id"].decode()})
    await answer(send, error.status, body, reply)
