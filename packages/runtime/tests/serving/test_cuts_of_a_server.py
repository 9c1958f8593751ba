"""What the unit test of cuts says of a connection holds of a real server and real sockets: good,
bad and pipelined requests get the same answers wherever the network cuts them."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import re
import socket
import time
from collections.abc import Iterator, Sequence

import pytest
from harness import Server, drain, serving

from mlops.serving import testing

ROUNDS = 40
ID = "x-request-id: one"
_OWN = re.compile(rb"\r\n(?:x-request-id|x-ms-request-id|date|x-ms-run-fn-exec-ms): [^\r]*", re.IGNORECASE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("cuts")) as made:
        yield made


def said(server: Server, segments: Sequence[bytes]) -> bytes:
    """The answer. Who is refused early may still be sending when the server closes: TCP then throws away
    what was not read yet, and the client asks again."""
    for _ in range(5):
        with contextlib.suppress(ConnectionResetError):
            return _said(server, segments)
    raise ConnectionResetError("five times in a row")


def _said(server: Server, segments: Sequence[bytes]) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, segment in enumerate(segments):
            if number:
                time.sleep(0.002)  # so that the next one is a segment of its own
            try:
                sock.sendall(segment)
            except OSError:
                break
        return _OWN.sub(b"", drain(sock))


def streams(server: Server) -> dict[str, bytes]:
    body = json.dumps(testing.body(3)).encode()
    large = json.dumps(testing.body(1800)).encode()
    last = server.request(body, ID)
    again = server.request(large, ID).replace(b"connection: close\r\n", b"")
    chunks = server.request(b"", ID, "transfer-encoding: chunked").replace(b"content-length: 0\r\n", b"")
    return {
        "one": last,
        "two": server.request(body, ID).replace(b"connection: close\r\n", b"") + last,
        "large and small": again + last,
        "chunked": chunks + b"%x\r\n%b\r\n0\r\nx-sum: 1\r\n\r\n" % (len(body), body),
        "no key": last.replace(b"Bearer ", b"Bearer x"),
        "wrong JSON": server.request(body[:-1], ID),
        "wide head": server.request(body, ID, "x-wide: " + "w" * 100_000),
    }


def test_cuts_change_no_answer_of_a_server(server: Server) -> None:
    draw = random.Random(22)  # noqa: S311
    for name, data in streams(server).items():
        wanted = said(server, [data])
        assert wanted.startswith(b"HTTP/1.1 "), name
        for _ in range(ROUNDS // 5):
            cuts = sorted(draw.sample(range(1, len(data)), draw.choice((1, 2, 5))))
            edges = [0, *cuts, len(data)]
            segments = [data[a:b] for a, b in itertools.pairwise(edges)]
            assert said(server, segments) == wanted, f"{name}, cut at {cuts}"
