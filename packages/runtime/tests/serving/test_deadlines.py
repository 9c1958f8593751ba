"""A client owes three things, and none of them may hold the server for ever: its headers, its body, and
that it takes its answer. One that never reads would otherwise keep its answer in memory, its connection in
the table, and a drain waiting.

Slow headers and bodies: `packages/runtime/tests/processes/serving/test_server.py`.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from mlops.serving import testing
from tests.serving.harness import Line, Server, serving

SECONDS = 1.0
BIG = json.dumps(testing.body(10_000)).encode()
SMALL = json.dumps(testing.body(1)).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("deadlines"), "--answer-seconds", str(SECONDS)) as made:
        yield made


def asked(server: Server, body: bytes, *, close: bool = False) -> bytes:
    head = ["POST /score HTTP/1.1", "host: x", f"authorization: Bearer {server.keys.primary}"]
    head += [f"content-length: {len(body)}", *(["connection: close"] if close else [])]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def connect(server: Server) -> socket.socket:
    """A client with so small a buffer that an answer does not fit into the kernel on its way."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", server.port))
    return sock


def established(server: Server, sock: socket.socket) -> bool:
    """Whether the server still holds its end of a connection."""
    port = sock.getsockname()[1]
    mine, theirs = f":{server.port:04X}", f":{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:  # noqa: PTH123 - not a file that Path reads well
        for line in table.readlines()[1:]:
            _, local, remote, state, *_ = line.split()
            if local.endswith(mine) and remote.endswith(theirs):
                return state == "01"
    return False


def flood(server: Server, sock: socket.socket, close: bool) -> None:
    """Ask, without reading, for more than all buffers between the two hold."""
    sock.setblocking(False)
    data = asked(server, BIG) * 40 + (asked(server, BIG, close=True) if close else b"")
    sent, until = 0, time.monotonic() + 5
    while sent < len(data) and time.monotonic() < until:
        try:
            sent += sock.send(data[sent:])
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            return


@pytest.mark.parametrize("close", [False, True])
def test_a_client_that_never_reads_is_cut_off(server: Server, close: bool) -> None:
    with connect(server) as sock:
        flood(server, sock, close)
        deadline = time.monotonic() + 15
        while established(server, sock):
            assert time.monotonic() < deadline, "the server still holds a connection that nobody reads"
            time.sleep(0.1)
    with Line(server.port, server.keys.primary) as line:
        assert line.post("/score", SMALL).status == 200


def test_a_hundred_large_requests_that_nobody_reads_are_no_long_queue_for_others(server: Server) -> None:
    """A million rows are asked for at once: some of them get a 429, and nobody waits for all of them."""
    idle = [connect(server) for _ in range(100)]
    slowest, seen = 0.0, []
    try:
        for sock in idle:
            sock.sendall(asked(server, BIG))
        with Line(server.port, server.keys.primary) as line:
            while 200 not in seen[-50:] or len(seen) < 100:
                begun = time.monotonic()
                seen.append(line.post("/score", SMALL).status)
                slowest = max(slowest, time.monotonic() - begun)
                assert len(seen) < 5_000
    finally:
        for sock in idle:
            sock.close()
    assert set(seen) <= {200, 429}
    assert slowest < 3.0


def test_a_slow_but_steady_reader_gets_all_of_its_answers(server: Server) -> None:
    """Each answer has its own deadline: a busy connection with something unsent at every look is no idler."""
    with connect(server) as sock:
        for _ in range(4):
            sock.sendall(asked(server, BIG))
            answer, begun = b"", time.monotonic()
            while b"\r\n\r\n" not in answer or len(answer) < _length(answer):
                answer += sock.recv(16_384)
                # Two thirds of the time that an answer may take, whatever its size.
                time.sleep(max(0.0, SECONDS * 0.66 * len(answer) / 220_000 - (time.monotonic() - begun)))
            assert answer.startswith(b"HTTP/1.1 200")
            assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]) == 10_000


def test_the_server_ends_in_time_although_a_client_does_not_read(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with serving(tmp_path_factory.mktemp("drain"), "--answer-seconds", "1") as made, connect(made) as sock:
        flood(made, sock, close=False)
        made.process.terminate()
        assert made.process.wait(20) == 0


def _length(answer: bytes) -> int:
    head, _, _ = answer.partition(b"\r\n\r\n")
    (line,) = [x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")]
    return len(head) + 4 + int(line.split(b":")[1])
