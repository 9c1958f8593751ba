"""A load generator that costs little beside the server: raw keep-alive connections on one event loop.

Closed loop: each connection sends its next request when the answer is there, so the rate is what the server
gives at that concurrency. Latencies are those of the client, from the first byte sent to the last received.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from mlops.errors import InvalidInput, TargetError

CONNECT_SECONDS = 10.0
GRACE_SECONDS = 60.0
"""How long a request that was begun may take beyond the end of a measurement."""


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent over and over."""

    host: str
    port: int
    wire: bytes
    tls: bool = False


@dataclass
class Load:
    """What one measurement saw."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    """Seconds of each request that was answered with 200."""
    failures: int = 0
    """Other answers, and connections that broke."""
    reason: str = ""
    """The first failure, for people."""
    client_cpu: float = 0.0
    """CPU seconds of this process."""


def request(url: str, body: bytes, key: str | None) -> Request:
    """A POST of JSON. Raises `InvalidInput` for a URL that is neither http nor https."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(f"{url!r} is no http or https URL")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"POST {target} HTTP/1.1", f"host: {parts.netloc}", "content-type: application/json"]
    if key:
        lines.append(f"authorization: Bearer {key}")
    lines.append(f"content-length: {len(body)}")
    tls = parts.scheme == "https"
    wire = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    return Request(parts.hostname, parts.port or (443 if tls else 80), wire, tls)


def drive(one: Request, connections: int, seconds: float) -> Load:
    """Send over `connections` for `seconds`. Raises `TargetError` when nothing listens there."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(one, connections, seconds))


async def _drive(one: Request, connections: int, seconds: float) -> Load:
    load = Load(seconds)
    begun = time.process_time()
    until = time.perf_counter() + seconds
    context = ssl.create_default_context() if one.tls else None
    clients = [_Connection(one, load, until, context) for _ in range(connections)]
    try:
        await asyncio.wait_for(asyncio.gather(*(c.open() for c in clients)), CONNECT_SECONDS)
        await asyncio.wait_for(asyncio.gather(*(c.done for c in clients)), seconds + GRACE_SECONDS)
    except TimeoutError:
        raise TargetError(f"{one.host}:{one.port} does not answer") from None
    except OSError as error:
        raise TargetError(f"{one.host}:{one.port} cannot be reached: {error.strerror or error}") from None
    finally:
        for client in clients:
            client.close()
    load.client_cpu = time.process_time() - begun
    return load


class _Connection(asyncio.Protocol):
    """One connection; opened again when the server closes it, which then counts as part of the latency."""

    def __init__(self, one: Request, load: Load, until: float, context: ssl.SSLContext | None) -> None:
        self._one, self._load, self._until, self._context = one, load, until, context
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._again: asyncio.Task[None] | None = None
        self._begun = 0.0
        self._idle = True
        self._buffer = bytearray()
        self._needed = 0
        self._last = False

    async def open(self) -> None:
        self._begun, self._idle = time.perf_counter(), False
        self._buffer.clear()
        self._needed = 0
        one = self._one
        await self._loop.create_connection(lambda: self, one.host, one.port, ssl=self._context)

    def close(self) -> None:
        if self._again is not None:
            self._again.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, but have their methods.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._one.wire)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._needed and not self._head():
            return
        if len(self._buffer) < self._needed:
            return
        now = time.perf_counter()
        status = bytes(self._buffer[9:12])
        if status == b"200":
            self._load.latencies.append(now - self._begun)
        else:
            self._fail(f"answer {status.decode('latin-1')}")
        self._idle = True
        assert self._transport is not None  # noqa: S101 - data came over it
        if now >= self._until or self._last:
            self._transport.close()
            return
        self._buffer.clear()
        self._needed = 0
        self._idle, self._begun = False, now
        self._transport.write(self._one.wire)

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        self._last = b"connection: close" in head
        if at < 0:
            # Without a length the answer ends with its connection; one status is all that is wanted.
            self._last = True
            self._needed = end + 4
            return True
        self._needed = end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._idle:
            self._fail("the connection broke")
            self._idle = True
        if time.perf_counter() < self._until:
            self._again = self._loop.create_task(self._reopen())
        elif not self.done.done():
            self.done.set_result(None)

    async def _reopen(self) -> None:
        try:
            await self.open()
        except OSError as error:
            self._fail(f"cannot connect: {error.strerror or error}")
            if not self.done.done():
                self.done.set_result(None)

    def _fail(self, reason: str) -> None:
        self._load.failures += 1
        self._load.reason = self._load.reason or reason
