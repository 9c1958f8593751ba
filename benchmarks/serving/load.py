"""A load generator that costs little beside the server: raw keep-alive connections on one event loop."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import uvloop


@dataclass
class Result:
    """One measurement. Latencies in seconds."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def answers(self) -> int:
        return len(self.latencies)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile(self, q: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


class _Client(asyncio.Protocol):
    """Sends the next request when an answer is complete; connects again when the server closes after one,
    and then counts the connecting as part of the latency, as its users feel it."""

    def __init__(self, port: int, wires: Iterator[bytes], result: Result, until: float) -> None:
        self._port, self._wires, self._result, self._until = port, wires, result, until
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._again: asyncio.Task[object] | None = None

    async def connect(self) -> None:
        """Open a connection; the first request follows at once."""
        self._begun = time.perf_counter()
        self._buffer = bytearray()
        self._idle = False
        await self._loop.create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(next(self._wires))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        if at < 0:
            raise RuntimeError(f"an answer without length: {head[:200]!r}")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        if head.startswith(b"http/1.1 200"):
            self._result.latencies.append(now - self._begun)
        else:
            self._result.failures += 1
        self._buffer.clear()
        self._idle = True
        if now >= self._until or b"connection: close" in head:
            self._transport.close()
            return
        self._idle, self._begun = False, now
        self._transport.write(next(self._wires))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._idle:
            self._result.failures += 1
        if time.perf_counter() < self._until:
            self._again = self._loop.create_task(self.connect())
        elif not self.done.done():
            self.done.set_result(None)


def drive(port: int, wires: Sequence[bytes], connections: int, seconds: float) -> Result:
    """Send `wires` in turn over `connections` for `seconds`, each as soon as an answer is there."""
    result = Result(seconds)
    each = itertools.cycle(wires)

    async def run() -> None:
        until = time.perf_counter() + seconds
        clients = [_Client(port, each, result, until) for _ in range(connections)]
        await asyncio.gather(*(client.connect() for client in clients))
        await asyncio.wait_for(asyncio.gather(*(client.done for client in clients)), seconds + 60)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    return result


def request(path: str, body: bytes, key: str | None, *, traced: bool = False) -> bytes:
    """The bytes of one POST; `traced` gives it a W3C trace of its own."""
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    if key:
        lines.append(f"authorization: Bearer {key}")
    if traced:
        lines.append(f"traceparent: 00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
    lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
