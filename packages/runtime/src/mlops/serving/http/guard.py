"""What uvicorn lacks: deadlines for slow clients, bounds on headers and connections, a drain.

A client owes its headers, its body, and that it takes its answer. The deadlines cost a request a few
attribute writes; one sweep twice a second looks at all connections.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from mlops.serving.http.app import App

log = logging.getLogger("mlops.serving")

HEADER_SECONDS = 10.0
BODY_SECONDS = 20.0
ANSWER_SECONDS = 20.0
HEADER_BYTES = 64 << 10
"""Of a request's head, from the first byte after the request before; and of a trailer's fields."""
FRAMING_BYTES = 256 << 10
"""Of a chunked body that are not body: sizes, extensions, the trailer. A body of 2 MiB in pieces of 64 bytes
has fewer."""
UNWANTED_BYTES = 2 << 20
"""Of a body that still comes when its request is answered, for lack of a key for example: a client that
reads only when it has sent all sees the answer. Beyond them the connection ends."""
CONNECTIONS = 1000
KEEP_ALIVE_SECONDS = 75
_EMPTY_LINE = b"\r\n\r\n"


class JoinedTransport:
    """A transport that sends the head of an answer together with its body: one system call, one segment.

    It counts what was written, so that a client that does not read can be told from a slow one.
    """

    __slots__ = (
        "_head", "_transport", "get_extra_info", "is_closing", "pause_reading", "resume_reading", "unsent",
        "written",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.written = 0
        self.unsent = transport.get_write_buffer_size
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info

    def write(self, data: bytes) -> None:
        """Hold a final head until what follows; everything else goes out."""
        if not self._head and data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._head = data
            return
        self.send(self._head + data)
        self._head = b""

    def send(self, data: bytes) -> None:
        """Send a complete answer."""
        self.written += len(data)
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that nothing follows (the answer to HEAD)."""
        if self._head:
            self.send(self._head)
            self._head = b""

    def close(self) -> None:
        """Send what is held, then close; a client that takes nothing keeps it open until `abort`."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close now, whatever was not taken."""
        self._transport.abort()


class GuardedProtocol(HttpToolsProtocol):
    """One connection with a deadline for whatever the client owes."""

    header_seconds = HEADER_SECONDS
    body_seconds = BODY_SECONDS
    answer_seconds = ANSWER_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deadline = math.inf
        self._taken_by = math.inf
        self._to_take = 0
        self._spent = 0
        """Bytes of the head that is being read, or those of a chunked body that are not body."""
        self._piece = 0
        """Bytes that the parser is given now and that no callback has counted yet."""
        self._left: int | None = None
        """Bytes that a body with a length still has; None in a head and in a chunked body."""
        self._body = self._trailer = self._unwanted = 0
        self._in_headers = True
        self._last = b""
        self._refusal = b""
        """What the connection ends with, once the requests before have their answers."""
        self.reading: Any = None
        """The cycle of the request whose body is being read; None in a head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._joined = JoinedTransport(transport)
        super().connection_made(self._joined)  # type: ignore[arg-type]
        self.deadline = self.loop.time() + self.header_seconds
        if len(self.connections) > CONNECTIONS:
            self._end(b"503 Service Unavailable\r\nretry-after: 1", b"Too many connections.")

    def data_received(self, data: bytes) -> None:
        """Give the parser one piece after the other, each of one request: what is counted does not depend on
        how the network cuts the bytes.

        A head ends with an empty line, and so does a chunked body. A body with a length is known by it.
        """
        start = 0
        while start < len(data) and not self._refusal and not self.transport.is_closing():
            if self._left:
                end = min(len(data), start + self._left)
                self._left -= end - start
            else:
                end = _after_empty_line(self._last, data, start)
                self._last = (self._last + data[max(start, end - 3) : end])[-3:]
            self._feed(data[start:end] if start or end < len(data) else data)
            start = end

    def _feed(self, piece: bytes) -> None:
        self._piece = len(piece)
        late = self.cycle is not None and self.cycle.response_complete and not self._in_headers
        super().data_received(piece)
        if late:
            self._unwanted += len(piece)
            if self._unwanted > UNWANTED_BYTES:
                self.transport.close()
        if self._left is None:
            # What neither a head nor a body nor an end has taken.
            self._spend()

    def _spend(self) -> bool:
        """Count what the parser was given; whether it is not too much."""
        self._spent += self._piece - self._body
        self._piece = self._body = 0
        return self._within(self._spent <= (HEADER_BYTES if self._in_headers else FRAMING_BYTES))

    def _within(self, bounds: bool) -> bool:
        if not bounds:
            self._end(b"431 Request Header Fields Too Large", b"The headers are too large.")
        return bounds

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.deadline = self.loop.time() + self.header_seconds

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_headers:
            super().on_header(name, value)
            return
        # Of a trailer. Nobody here reads one, and an endless one must not grow the request.
        self._trailer += len(name) + len(value) + 4
        self._within(self._trailer <= HEADER_BYTES)

    def head_ends(self) -> bool:
        """Begin to count the body; False when the head was too large or can be read in two ways, and the
        connection is answered."""
        if not self._spend():
            return False
        if why := _ambiguous(self.headers, self.parser.get_http_version()):
            self._end(b"400 Bad Request", why)
            return False
        self._in_headers, self._last = False, b""
        self._spent = self._trailer = self._unwanted = 0
        self._left = next((int(v) for n, v in self.headers if n == b"content-length"), None)
        self.deadline = self.loop.time() + self.body_seconds
        return True

    def message_ends(self) -> bool:
        """Begin to count the next head; False when the end of a chunked body was too large."""
        fine = self._left is not None or self._spend()
        if self._refusal:
            return False
        self._in_headers, self._left, self._last, self.reading = True, None, b"", None
        self._spent = self._piece = self._body = 0
        self.deadline = math.inf
        return fine and not self.transport.is_closing()

    def on_headers_complete(self) -> None:
        if self.head_ends():
            super().on_headers_complete()
            self.reading = self.cycle

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.message_ends():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self._joined.flush()
        last = not self.pipeline
        super().on_response_complete()
        if not last or not self._refusal:
            return
        if self.reading is self.cycle:
            self.transport.close()  # this was its answer
        else:
            self.refuse()

    def refuse(self) -> None:
        """Send the refusal that waited for the answers before it."""
        if self._refusal and not self.transport.is_closing():
            self._joined.send(self._refusal)
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._end(b"400 Bad Request", msg.encode())

    def sweep(self, now: float) -> None:
        """End the connection if its client owes something for too long."""
        if self.deadline < now:
            self.expire()
        unsent = self._joined.unsent()
        if not unsent:
            self._taken_by = math.inf
        elif self._taken_by == math.inf or self._joined.written - unsent >= self._to_take:
            # All that waited when the deadline was set has left: what waits now has its own.
            self._taken_by, self._to_take = now + self.answer_seconds, self._joined.written
        elif self._taken_by < now:
            self._joined.abort()

    def expire(self) -> None:
        """The client did not send what it owed in time."""
        self._end(b"408 Request Timeout", b"The request did not arrive in time.")

    def _end(self, status: bytes, text: bytes) -> None:
        self.deadline = math.inf
        if self._refusal or self.transport.is_closing():
            return
        head = b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        refusal = head % (status, len(text)) + text
        cycle, mine = self.cycle, self.reading is not None
        if mine and self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # it gets no turn
            mine, self.reading = False, None
        if mine and not cycle.response_complete:
            # A refusal for its head, as for lack of a key, is under way and comes first.
            self._refusal = refusal
            self.loop.call_soon(self._refuse_this)
        elif mine:
            self.transport.close()
        elif cycle is not None and not cycle.response_complete:
            # A client takes answers in the order of its requests.
            self._refusal = refusal
            self.flow.pause_reading()
        else:
            self.transport.write(refusal)
            self.transport.close()

    def _refuse_this(self) -> None:
        if self.cycle is not None and self.cycle.response_started:
            self.transport.close()
        else:
            self.refuse()


def _ambiguous(headers: list[tuple[bytes, bytes]], version: str) -> bytes:
    """Why a proxy in front may read a head in another way, where the parser takes it; else empty."""
    if version not in ("1.0", "1.1"):
        return b"Versions 1.0 and 1.1 of HTTP are understood."
    hosts = keys = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"authorization":
            keys += 1
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            return b"Of transfer codings only chunked is understood."
    if hosts > 1 or (not hosts and version == "1.1"):
        return b"A request names one host."
    return b"A request has one authorization." if keys > 1 else b""


def _after_empty_line(before: bytes, data: bytes, start: int) -> int:
    """Where the first empty line ends in `data` from `start` on, or its end; `before` came just before."""
    if before:
        seam = before + data[start : start + 3]
        if (at := seam.find(_EMPTY_LINE)) >= 0:
            return start + at + len(_EMPTY_LINE) - len(before)
    at = data.find(_EMPTY_LINE, start)
    return at + len(_EMPTY_LINE) if at >= 0 else len(data)


class GuardedServer(uvicorn.Server):
    """uvicorn with the sweep of deadlines and a drain that resets no connection.

    On SIGTERM the server says so first (`/readyz` 503, `Connection: close` in each answer) while it goes on
    serving for `notice` seconds; then it stops listening, finishes what is in flight, and exits.
    """

    def __init__(self, config: uvicorn.Config, app: App, notice: float) -> None:
        super().__init__(config)
        self._app = app
        self._notice = notice

    async def on_tick(self, counter: int) -> bool:
        if counter % 5 == 0:
            self._sweep()
        return await super().on_tick(counter)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, GuardedProtocol):
                connection.sweep(now)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the drain; a second signal ends it at once."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._app.draining = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("draining: no new work after %.1f s", self._notice)
        waited = 0.0
        while waited < self._notice and not self.force_exit:
            await asyncio.sleep(0.1)
            waited += 0.1
            self._sweep()
        await super().shutdown(sockets)
