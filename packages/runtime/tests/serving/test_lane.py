"""The short way of a scoring request keeps to HTTP: order, fragments, methods, clients that leave.

It skips the framework's own bookkeeping, so what that would have guarded is proven here. That both ways
give the same answers is proven by the corpus.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from mlops.serving import testing
from mlops.serving.http import guard
from mlops.serving.http.lane import BODY, LaneProtocol
from mlops.serving.http.scoring import Answer
from tests.serving.harness import Line, Server, drain, serving, status


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("lane")) as made:
        yield made


def scoring(server: Server, miles: float, *lines: str, rows: int = 1) -> bytes:
    body = json.dumps(testing.body(rows, "AA", miles)).encode()
    head = ["POST /score HTTP/1.1", "host: x", f"authorization: Bearer {server.keys.primary}", *lines]
    return "\r\n".join([*head, f"content-length: {len(body)}"]).encode() + b"\r\n\r\n" + body


def split(stream: bytes) -> list[tuple[int, bytes]]:
    """Status and body of each answer in a stream of them."""
    found = []
    while stream:
        head, _, rest = stream.partition(b"\r\n\r\n")
        (line,) = [x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")]
        length = int(line.split(b":")[1])
        found.append((status(head), rest[:length]))
        stream = rest[length:]
    return found


@pytest.mark.parametrize("seed", range(6))
def test_pipelined_requests_are_answered_in_order_however_they_are_cut(server: Server, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    kinds, wanted = [], []
    for n in range(30):
        miles = float(n * 10)
        kinds.append(chance.choice(["score", "score", "score", "refused", "probe", "wrong key"]))
        match kinds[-1]:
            case "score":
                wanted.append((200, testing.expected("AA", miles)))
            case "refused":
                wanted.append((422, None))
            case "probe":
                wanted.append((200, None))
            case _:
                wanted.append((403, None))
    key = f"authorization: Bearer {server.keys.primary}"
    parts = {
        "refused": f"POST /score HTTP/1.1\r\nhost: x\r\n{key}\r\ncontent-length: 2\r\n\r\n[]".encode(),
        "probe": b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n",
        "wrong key": b"POST /score HTTP/1.1\r\nhost: x\r\nauthorization: x\r\ncontent-length: 2\r\n\r\n{}",
    }
    stream = b"".join(parts.get(kind) or scoring(server, n * 10.0) for n, kind in enumerate(kinds))
    stream += b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while stream:
            size = len(stream) if seed == 0 else chance.choice([1, 7, 50, 300, 2000])
            sock.sendall(stream[:size])
            stream = stream[size:]
            if chance.random() < 0.1:
                time.sleep(0.002)
        answers = split(drain(sock))
    assert [code for code, _ in answers] == [code for code, _ in wanted] + [200]
    for (_, body), (_, value) in zip(answers, wanted, strict=False):
        if value is not None:
            assert json.loads(body)["predictions"] == [pytest.approx(value, abs=1e-6)]


def test_a_request_may_arrive_byte_by_byte(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in scoring(server, 500.0, "connection: close"):
            sock.sendall(bytes([byte]))
        ((code, body),) = split(drain(sock))
    assert code == 200
    assert json.loads(body)["predictions"] == [pytest.approx(testing.expected("AA", 500), abs=1e-6)]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ((b"POST /score HTTP/1.1", b"POST /score HTTP/1.0"), 200),
        ((b"POST /score HTTP/1.1", b"GET /score HTTP/1.1"), 405),
        ((b"POST /score HTTP/1.1", b"HEAD /score HTTP/1.1"), 405),
        ((b"POST /score HTTP/1.1", b"POST /score?x=1 HTTP/1.1"), 200),
        ((b"POST /score HTTP/1.1", b"POST /sc%6fre HTTP/1.1"), 200),
        ((b"POST /score HTTP/1.1", b"POST /score/ HTTP/1.1"), 404),
        ((b"host: x", b"host: x\r\nupgrade: h2c"), 200),
        ((b"host: x", b"host: x\r\ncontent-length: 3"), 400),
        ((b"host: x", b"host: x\r\ntransfer-encoding: chunked"), 400),
        ((b"host: x", b"host: x\r\ncontent-type: text/csv"), 415),
    ],
)
def test_what_is_no_plain_post_goes_the_other_way(
    server: Server, change: tuple[bytes, bytes], wanted: int
) -> None:
    assert status(server.raw(scoring(server, 1.0, "connection: close").replace(*change))) == wanted


def test_a_body_too_long_for_the_lane_is_answered_alike(server: Server) -> None:
    body = json.dumps(testing.body(9_000), indent=2).encode()
    assert len(body) > BODY
    with Line(server.port, server.keys.primary) as line:
        reply = line.post("/score", body)
    assert reply.status == 200 and len(reply.json()["predictions"]) == 9_000


def test_clients_that_leave_before_their_answer_leave_nothing_behind(tmp_path_factory: Any) -> None:
    root = tmp_path_factory.mktemp("leaving")
    testing.write_onnx(root / "model", work=500)
    digest = testing.write_onnx(root / "other", bias=1.0)
    with serving(root, model=root / "model") as server:
        for _ in range(40):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
                sock.sendall(scoring(server, 1.0))
        # What is in flight would keep the old deployment from being removed.
        wish = {"release": 2, "digest": digest, "folder": str(root / "other")}
        server.control("PUT", "deployments/green", wish)
        server.control("PUT", "traffic", {"traffic": {"green": 100}})
        begun = time.monotonic()
        server.control("DELETE", "deployments/blue")
        assert time.monotonic() - begun < 10
        with Line(server.port, server.keys.primary) as line:
            assert line.post("/score", json.dumps(testing.body()).encode()).status == 200


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Constant:
    """An app whose scoring answers at once."""

    draining = False

    def __init__(self) -> None:
        self.scoring = self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("everything here takes the lane")

    def identity(self, headers: Any) -> list[Any]:
        return [(b"x-request-id", b"1")]

    def admit(self, headers: Any) -> None:
        pass

    def submit(self, protocol: Any, headers: Any, identity: Any, body: bytes, done: Any) -> None:
        done(Answer(200, body, identity))


async def connected(state: ServerState) -> tuple[LaneProtocol, Wire]:
    config = uvicorn.Config(Constant(), lifespan="off", log_config=None)
    config.load()
    protocol, wire = LaneProtocol(config, state, {}, asyncio.get_running_loop()), Wire()
    protocol.connection_made(wire)
    return protocol, wire


def test_an_idle_connection_is_closed_without_a_word_and_a_silent_one_with_408() -> None:
    async def run() -> None:
        state = ServerState()
        (idle, spoken), (silent, unspoken) = await connected(state), await connected(state)
        idle.data_received(b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        before = spoken.sent
        assert before.startswith(b"HTTP/1.1 200 OK\r\n") and before.endswith(b"\r\n\r\n{}")
        now = asyncio.get_running_loop().time()
        for protocol in (idle, silent):
            protocol.sweep(now + 5)
        assert not spoken.closed and not unspoken.closed
        for protocol in (idle, silent):
            protocol.sweep(now + 100)
        assert spoken.closed and spoken.sent == before
        assert unspoken.closed and unspoken.sent.startswith(b"HTTP/1.1 408 ")

    asyncio.run(run())


def test_connections_beyond_the_bound_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "CONNECTIONS", 2)

    async def run() -> None:
        state = ServerState()
        wires = [wire for _, wire in [await connected(state) for _ in range(3)]]
        assert [wire.closed for wire in wires] == [False, False, True]
        assert wires[2].sent.startswith(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n")

    asyncio.run(run())
