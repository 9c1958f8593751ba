"""The short way of a scoring request through the server: from the parsed bytes to the socket without ASGI.

An ASGI task, its events and its messages cost more than the prediction. So a request that is complete and
admissible is handed to `Scoring` as soon as its last byte is parsed, and its answer is written when the
model has it. Everything else (refusals by headers, chunked or large bodies, pipelined requests, HEAD,
HTTP/1.0, a server that drains) goes through uvicorn and `App`, which give the same answers.

Most clients send the same head with every request, but for the ids that a gateway or a tracer gives it.
Parsing it costs as much as the rest of the lane, so a head that has passed the parser is remembered by its
bytes without these ids; what may have changed since (the keys, a drain, a full socket) is asked each time.
"""

from __future__ import annotations

import asyncio
import math
import re
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

from mlops.serving.http.exchange import Headers
from mlops.serving.http.guard import KEEP_ALIVE_SECONDS, GuardedProtocol
from mlops.serving.http.scoring import PATHS, Answer, Identity, Scoring
from mlops.serving.score.request import Protocol, RequestError

BODY = 256 << 10
"""Longest body of the lane; a longer one is counted against the memory for bodies."""

HEAD = 2 << 10
"""Longest head that is remembered."""
HEADS = 512
"""Heads that are remembered; one more, and all are forgotten."""

_END = b"\r\n\r\n"
_IDS = re.compile(rb"\r\n(?i:(traceparent|x-request-id)): ?([\x21-\x7e]{1,128})(?=\r\n)")
"""Lines with an id of the request. The parser refuses a line that continues one: it is never remembered."""
_PATHS = {path.encode(): protocol for path, protocol in PATHS.items()}
_STATUS = {
    s.value: b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\n" % (s, s.phrase.encode())
    for s in HTTPStatus
}


class _Turn:
    """One request of the lane, with the attributes by which uvicorn knows its own."""

    __slots__ = (
        "chunks", "disconnected", "headers", "identity", "keep_alive", "message_event", "protocol",
        "response_complete", "response_started",
    )  # fmt: skip

    def __init__(
        self, protocol: Protocol, headers: Headers, identity: Identity, event: asyncio.Event
    ) -> None:
        self.protocol = protocol
        self.headers = headers
        self.identity = identity
        self.chunks: list[bytes] = []
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False
        self.message_event = event


Ids = tuple[bytes | None, bytes | None]
"""`x-request-id` and `traceparent` as they were sent."""


class _Head(NamedTuple):
    """What the parser made of a head without ids: a function of its bytes alone."""

    protocol: Protocol
    headers: Headers
    length: int
    """Bytes of the body."""


class LaneProtocol(GuardedProtocol):
    """A connection whose scoring requests take the lane when the app has a `scoring`."""

    _heads: ClassVar[dict[bytes, _Head]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._server_app: Any = self.config.app
        self._scoring: Scoring | None = getattr(self._server_app, "scoring", None)
        self._turn: _Turn | None = None
        """The request of the lane whose body is being read."""
        self._complete: _Turn | None = None
        self._idle = False
        self._event = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        head = b""
        # Only between two requests of the lane do these bytes begin with a head, and the parser with nothing.
        end = data.find(_END, 0, HEAD) + len(_END) if self._idle else 0
        if end >= len(_END):
            head, ids = _parted(data[:end])
            if (known := self._heads.get(head)) is not None and self._again(known, ids, data[end:]):
                return
        super().data_received(data)
        # Not in the parser's callback: an exception there would be taken for a malformed request.
        turn = self._complete
        if turn is not None:
            self._complete = None
            body = turn.chunks[0] if len(turn.chunks) == 1 else b"".join(turn.chunks)
            if head and end + len(body) == len(data):
                self._remember(head, turn, len(body))
            self._submit(turn, body)

    def _again(self, head: _Head, ids: Ids | None, body: bytes) -> bool:
        """Take a request whose head is known past the parser; False when it is not complete or admissible."""
        if len(body) != head.length:
            return False
        turn = self._welcome(head.protocol, head.headers if ids is None else head.headers.with_ids(*ids))
        if turn is None:
            return False
        self._idle = False
        self.deadline = math.inf
        self.cycle = turn  # type: ignore[assignment]
        self._submit(turn, body)
        return True

    def _remember(self, head: bytes, turn: _Turn, length: int) -> None:
        if b"traceparent" in (low := head.lower()) or b"x-request-id" in low:
            # Written in a way that `_IDS` does not know: left to the parser.
            return
        if len(self._heads) >= HEADS:
            self._heads.clear()
        self._heads[head] = _Head(turn.protocol, turn.headers.with_ids(None, None), length)

    def _submit(self, turn: _Turn, body: bytes) -> None:
        if self._scoring is not None:
            self._scoring.submit(
                turn.protocol, turn.headers, turn.identity, body, lambda answer: self._answer(turn, answer)
            )

    # --- the parser's callbacks -------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        # What uvicorn prepares here is only needed for requests that do not take the lane.
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._idle = False
        self.deadline = self.loop.time() + self.header_seconds

    def on_headers_complete(self) -> None:
        turn = self._admitted()
        if turn is None:
            self._prepare()
            super().on_headers_complete()
            return
        if not self.head_ends():
            return
        self._turn = self.cycle = self.reading = turn  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        if self._turn is None:
            super().on_body(body)
        else:
            self._turn.chunks.append(body)

    def on_message_complete(self) -> None:
        if self._turn is None:
            super().on_message_complete()
            return
        self.message_ends()
        self._complete, self._turn = self._turn, None

    # --- in and out of the lane -------------------------------------------------------------------------

    def _admitted(self) -> _Turn | None:
        protocol, parser = _PATHS.get(self.url), self.parser
        if (
            protocol is None
            or self._scoring is None
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.expect_100_continue
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
        ):
            return None
        headers = Headers(self.headers)
        if headers.length is None or int(headers.length) > BODY:
            return None
        return self._welcome(protocol, headers)

    def _welcome(self, protocol: Protocol, headers: Headers) -> _Turn | None:
        """A request of the lane, unless what may change from one to the next forbids it."""
        scoring = self._scoring
        if scoring is None or self._server_app.draining or self.flow.write_paused:
            return None
        try:
            scoring.admit(headers)
        except RequestError:
            return None
        return _Turn(protocol, headers, scoring.identity(headers), self._event)

    def _prepare(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers.extend(headers)

    def _answer(self, turn: _Turn, answer: Answer) -> None:
        turn.response_started = turn.response_complete = True
        if self.transport.is_closing():
            return
        if not turn.keep_alive:
            answer.headers.append((b"connection", b"close"))
        parts = [_STATUS[answer.status]]
        for name, value in (*self.server_state.default_headers, *answer.headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"content-length: %d\r\n\r\n" % len(answer.body), answer.body)
        self._joined.send(b"".join(parts))
        self.server_state.total_requests += 1
        if not turn.keep_alive or (b"connection", b"close") in answer.headers:
            self.transport.close()
        elif self.pipeline:
            self.flow.resume_reading()
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal:
            self.refuse()
        else:
            self._idle = True
            self.deadline = self.loop.time() + KEEP_ALIVE_SECONDS

    def expire(self) -> None:
        """An idle connection is closed without a word; it owes nothing."""
        if self._idle:
            self.deadline = math.inf
            self.transport.close()
        else:
            super().expire()


def _parted(head: bytes) -> tuple[bytes, Ids | None]:
    """A head without the lines of its ids, and these; None when it has none."""
    parts = _IDS.split(head)
    if len(parts) == 1:
        return head, None
    ids = {name.lower(): value for name, value in zip(parts[1::3], parts[2::3], strict=True)}
    return b"".join(parts[::3]), (ids.get(b"x-request-id"), ids.get(b"traceparent"))
