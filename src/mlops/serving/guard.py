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
    from mlops.serving.app import App

log = logging.getLogger("mlops.serving")

HEADER_SECONDS = 10.0
BODY_SECONDS = 20.0
ANSWER_SECONDS = 20.0
HEADER_BYTES = 64 << 10
CONNECTIONS = 1000
KEEP_ALIVE_SECONDS = 75


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
        self._header_bytes = 0
        self._in_headers = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._joined = JoinedTransport(transport)
        super().connection_made(self._joined)  # type: ignore[arg-type]
        self.deadline = self.loop.time() + self.header_seconds
        if len(self.connections) > CONNECTIONS:
            self._end(b"503 Service Unavailable\r\nretry-after: 1", b"Too many connections.")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._end(b"431 Request Header Fields Too Large", b"The headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0
        self.deadline = self.loop.time() + self.header_seconds

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_headers = False
        self.deadline = self.loop.time() + self.body_seconds

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.deadline = math.inf

    def on_response_complete(self) -> None:
        self._joined.flush()
        super().on_response_complete()

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
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            head = (
                b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head % (status, len(text)) + text)
        self.transport.close()


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
