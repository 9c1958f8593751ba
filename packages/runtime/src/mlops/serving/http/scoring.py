"""A scoring request from its admission to its answer, whichever way it came in.

`App` (plain ASGI) and `lane` (the short way for complete requests) call the same few functions, so that an
answer cannot depend on how it was asked for. Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from mlops.serving.capture.recorder import Capture
from mlops.serving.http.deployment import Loaded, ModelFailure, QueueFull
from mlops.serving.http.exchange import CLOSE, Header, Headers, Keyring, json_bytes
from mlops.serving.http.metrics import Outcome
from mlops.serving.http.router import Router
from mlops.serving.score.core import Predictions, Row
from mlops.serving.score.request import Protocol, RequestError, check_content_type

log = logging.getLogger("mlops.serving")

PATHS: dict[str, Protocol] = {"/score": "score", "/invocations": "invocations"}
MIRROR_QUEUE = 64
RETRY_AFTER: Header = (b"retry-after", b"1")


class Answer(NamedTuple):
    """What is sent: JSON, and the headers beside its type and length."""

    status: int
    body: bytes
    headers: list[Header]


Done = Callable[[Answer], None]
Identity = list[Header]
"""Headers by which a caller recognises its request; the first is `x-request-id`."""


class _Asked(NamedTuple):
    """A request that waits for its predictions."""

    chosen: Loaded
    rows: list[Row]
    identity: Identity
    body: bytes
    mirrored: Protocol | None
    """What the body is, if mirrors get a copy."""
    start: float
    done: Done


class Scoring:
    """Scores for one endpoint. `keyring` None means that somebody in front authenticates."""

    def __init__(self, router: Router, keyring: Keyring | None, capture: Capture | None) -> None:
        self.router = router
        self.capture = capture
        self._keyring = keyring
        process = os.urandom(6).hex()
        self._ids = (f"{process}-{n:x}".encode() for n in itertools.count(1))
        self._next_word = 0.0

    def identity(self, headers: Headers) -> Identity:
        """What each answer starts with: the caller's request id, else the id of its W3C trace, else one of
        our own; and the trace itself."""
        trace = headers.traceparent
        if trace is None:
            return [(b"x-request-id", headers.request_id or next(self._ids))]
        return [(b"x-request-id", headers.request_id or trace[3:35]), (b"traceparent", trace)]

    def admit(self, headers: Headers) -> None:
        """Raises `RequestError` for what the headers alone rule out."""
        if self._keyring is not None:
            self._keyring.check(headers.authorization)
        check_content_type(headers.content_type)
        if headers.encoding not in (None, b"identity"):
            raise RequestError(
                415, "compressed bodies are not understood", field="content-encoding",
                value=headers.encoding.decode("latin-1")[:200], allowed="identity",
            )  # fmt: skip

    def submit(
        self, protocol: Protocol, headers: Headers, identity: Identity, body: bytes, done: Done
    ) -> None:
        """Answer an admitted request by one call of `done`: at once when it is refused, later otherwise."""
        start = time.perf_counter()
        try:
            chosen = self._choose(headers)
        except RequestError as error:
            done(refusal(error, identity))
            return
        try:
            chosen.check_room()
            rows = chosen.parser.parse(body, protocol)
            mirrored = protocol if headers.deployment is None else None
            asked = _Asked(chosen, rows, identity, body, mirrored, start, done)
            chosen.submit(rows, partial(self._settled, asked))
        except RequestError as error:
            chosen.counters.answered("refused", time.perf_counter() - start)
            done(refusal(error, identity, chosen.headers))
        except QueueFull:
            chosen.counters.answered("rejected", time.perf_counter() - start)
            busy = RequestError(429, "too many requests wait for this deployment; come back later")
            done(refusal(busy, identity, chosen.headers))
        else:
            # A deployment is removed only when none is in flight, so no answer can be lost on the way.
            chosen.in_flight += 1

    def _choose(self, headers: Headers) -> Loaded:
        table = self.router.table
        if headers.deployment is None:
            chosen = table.choose()
            if chosen is None:
                raise RequestError(503, "no deployment of this endpoint is ready")
            return chosen
        name = headers.deployment.decode("latin-1")
        if name not in table.loaded:
            raise RequestError(
                404, "this deployment does not exist",
                field="azureml-model-deployment", value=name[:200], allowed=", ".join(table.loaded),
            )  # fmt: skip
        return table.loaded[name]

    def _settled(self, asked: _Asked, result: Predictions | ModelFailure) -> None:
        chosen = asked.chosen
        chosen.in_flight -= 1
        taken = time.perf_counter() - asked.start
        if isinstance(result, ModelFailure):
            chosen.counters.answered("error", taken)
            self._say_failed(chosen, asked.identity)
            text = "the model failed on this request; its operator finds the reason in the log"
            asked.done(refusal(RequestError(500, text), asked.identity, chosen.headers))
            return
        chosen.counters.answered("ok", taken)
        body = json_bytes(chosen.scorer.answer(result))
        asked.done(Answer(200, body, [*asked.identity, *chosen.headers]))
        if self.capture is not None:
            self.capture.record(chosen.origin, asked.identity[0][1], asked.rows, result, len(asked.body))
        if asked.mirrored is not None:
            for mirror, share in self.router.table.mirrors:
                if random.random() * 100 < share:  # noqa: S311 - sampling, no secret
                    self._copy(mirror, asked.mirrored, asked.body)

    def _say_failed(self, chosen: Loaded, identity: Identity) -> None:
        """One id a second is enough to follow a failure, and cannot fill a disk."""
        if time.monotonic() >= self._next_word:
            self._next_word = time.monotonic() + 1.0
            request = identity[0][1].decode("latin-1")
            log.warning("request %s was answered 500 by deployment %s", request, chosen.name)

    def _copy(self, mirror: Loaded, protocol: Protocol, body: bytes) -> None:
        if mirror.mirroring >= MIRROR_QUEUE:
            mirror.counters.mirror_dropped += 1
            return
        mirror.mirroring += 1
        # A turn later: the answer leaves before its copy is looked at.
        asyncio.get_running_loop().call_soon(_mirror, mirror, protocol, body)


def _mirror(mirror: Loaded, protocol: Protocol, body: bytes) -> None:
    start = time.perf_counter()

    def finished(outcome: Outcome) -> None:
        mirror.mirroring -= 1
        mirror.counters.mirrored += 1
        mirror.counters.answered(outcome, time.perf_counter() - start)

    def settled(result: Predictions | ModelFailure) -> None:
        finished("error" if isinstance(result, ModelFailure) else "ok")

    try:
        mirror.submit(mirror.parser.parse(body, protocol), settled)
    except RequestError:
        finished("refused")
    except QueueFull:
        finished("rejected")


def refusal(error: RequestError, identity: Identity, headers: Sequence[Header] = ()) -> Answer:
    """The answer that names field, value and what is allowed."""
    sent = [*identity, *headers]
    if error.status == 401:
        sent.append((b"www-authenticate", b"Bearer"))
    if error.status == 405:
        sent.append((b"allow", str(error.error["allowed"]).encode()))
    if error.status in (429, 503):
        sent.append(RETRY_AFTER)
    if error.status in (413, 429):
        # What is left of the body is not worth reading.
        sent.append(CLOSE)
    body = json_bytes({**error.body(), "request_id": identity[0][1].decode("latin-1")})
    return Answer(error.status, body, sent)
