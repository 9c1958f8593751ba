"""How the network cuts bytes into segments is nothing that a client can choose, so it changes no answer: the
same bytes, cut anywhere, get the same answers. What is counted is the head, the framing and the body of this
request, and an endless one ends before it has cost much, with or without a key."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from mlops.serving.http.guard import FRAMING_BYTES, HEADER_BYTES, UNWANTED_BYTES
from mlops.serving.http.lane import LaneProtocol

SEED = 20260
KEY = b"authorization: Bearer k\r\n"


class Wire(asyncio.Transport):
    """The socket of a connection, as far as a protocol sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body; 401 without a key, before the body is read."""
    headers = dict(scope["headers"])
    status, said = 401, b"no key"
    if headers.get(b"authorization") == b"Bearer k":
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        status, said = 200, b"%d %d" % (len(headers), len(body))
    length = (b"content-length", b"%d" % len(said))
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": said})


CONFIG = uvicorn.Config(
    app, http=LaneProtocol, lifespan="off", log_config=None, server_header=False, date_header=False
)
CONFIG.load()


async def answers(segments: Sequence[bytes]) -> tuple[bytes, bool, LaneProtocol]:
    """What comes back, and whether the server closed."""
    wire = Wire()
    connection = LaneProtocol(CONFIG, ServerState(), {}, asyncio.get_running_loop())
    connection.connection_made(wire)
    for segment in segments:
        if wire.closed:
            break
        connection.data_received(segment)
        for _ in range(4):
            await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    connection.timeout_keep_alive_task and connection.timeout_keep_alive_task.cancel()
    return wire.sent, wire.closed, connection


def said(segments: Sequence[bytes]) -> tuple[bytes, bool]:
    return asyncio.run(answers(segments))[:2]


def head(*lines: bytes, method: bytes = b"POST", key: bytes = KEY) -> bytes:
    return b"%b /score HTTP/1.1\r\nhost: x\r\n%b%b\r\n" % (
        method,
        key,
        b"".join(b"%b\r\n" % n for n in lines),
    )


def plain(size: int, *lines: bytes, fill: bytes = b"\r\n\r\n") -> bytes:
    body = (fill * (size // len(fill) + 1))[:size]
    return head(b"content-length: %d" % size, *lines) + body


def chunked(*sizes: int, trailer: bytes = b"", extension: bytes = b"", key: bytes = KEY) -> bytes:
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (n, extension, b"\r" * n) for n in sizes)
    return head(b"transfer-encoding: chunked", key=key) + chunks + b"0\r\n" + trailer + b"\r\n"


def wide(size: int) -> bytes:
    """A header line."""
    return b"x-wide: " + b"w" * size


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(set(cuts)), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


BAD_CHUNK = head(b"transfer-encoding: chunked") + b"5\r\nhelloxx0\r\n\r\n"

STREAMS = {
    "get": head(method=b"GET"),
    "one body": plain(90),
    "no body": plain(0),
    "two": plain(40) + plain(5),
    "chunked": chunked(1, 20, 60),
    "chunked, empty lines inside": chunked(64, 4) + plain(3),
    "trailer": chunked(5, trailer=b"x-sum: 1\r\nx-more: 2\r\n") + head(method=b"GET"),
    "extension": chunked(5, 6, extension=b";a=b"),
    "blank lines before": b"\r\n\r\n\r\n" + plain(9),
    "no key": plain(40).replace(KEY, b"") + plain(7),
    "no key, chunked": chunked(4, 4, key=b"") + plain(7),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    "both lengths": head(b"content-length: 3", b"transfer-encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    "close": plain(5, b"connection: close") + plain(5),
    "expect": plain(5, b"expect: 100-continue"),
    "good, then no HTTP": plain(5) + b"\x16\x03\x01 hello\r\n\r\n",
    "good, good, then no HTTP": plain(5) + plain(6) + b"no HTTP\r\n\r\n" + plain(7),
    "good, then no path": plain(5) + b"CONNECT  HTTP/1.1\r\nhost: x\r\n\r\n",
    "good, then a bad chunk": plain(5) + BAD_CHUNK + plain(7),
    "bad chunk": BAD_CHUNK + plain(7),
    "bad chunk without a key": BAD_CHUNK.replace(KEY, b"") + plain(7),
    "good, then too long a head": plain(5) + head(wide(HEADER_BYTES + 1)),
    "good, then two hosts": plain(5) + plain(5, b"host: y") + plain(7),
}


@pytest.mark.parametrize("name", STREAMS)
def test_the_same_bytes_cut_once_anywhere_get_the_same_answers(name: str) -> None:
    data = STREAMS[name]
    wanted = said([data])
    assert wanted[0], "there is an answer to compare"
    for cut in range(1, len(data), 1 + len(data) // 400):
        assert said(pieces(data, [cut])) == wanted, f"cut at {cut}"
    if len(data) < 400:
        assert said([data[i : i + 1] for i in range(len(data))]) == wanted, "byte by byte"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("good, then no HTTP", [200, 400]),
        ("good, good, then no HTTP", [200, 200, 400]),
        ("good, then no path", [200, 400]),
        ("good, then a bad chunk", [200, 400]),
        ("bad chunk", [400]),
        ("bad chunk without a key", [401]),
        ("good, then too long a head", [200, 431]),
        ("good, then two hosts", [200, 400]),
    ],
)
def test_a_refusal_waits_for_the_answers_before_it(name: str, status: list[int]) -> None:
    """A client takes answers in the order of its requests, so none may overtake."""
    sent, closed = said([STREAMS[name]])
    assert [int(part[:3]) for part in sent.split(b"HTTP/1.1 ")[1:]] == status and closed


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (plain(5).replace(b"host: x\r\n", b""), b"one host"),
        (plain(5, b"Host: y"), b"one host"),
        (plain(5, b"authorization: Bearer other"), b"one authorization"),
        (chunked(5).replace(b": chunked", b": gzip, chunked"), b"only chunked"),
        (plain(5).replace(b"HTTP/1.1", b"HTTP/2.0"), b"Versions"),
    ],
    ids=["no host", "two hosts", "two keys", "another coding", "another version"],
)
def test_what_a_proxy_may_read_in_another_way_is_refused(wrong: bytes, says: bytes) -> None:
    """Whoever stands in front may route by the first host, and take away the body of a coding it knows."""
    sent, closed = said([wrong])
    assert sent.startswith(b"HTTP/1.1 400 ") and says in sent and closed
    assert sent.count(b"HTTP/1.1 ") == 1


def test_an_old_client_names_no_host() -> None:
    sent, _ = said([plain(5).replace(b"host: x\r\n", b"").replace(b"HTTP/1.1", b"HTTP/1.0")])
    assert sent.startswith(b"HTTP/1.1 200 ")


LINES = (
    *(b"content-length: 5", b"content-length: +5", b"content-length: 5, 5", b"content-length: -1"),
    *(b"content-length: 99999999999999999999", b"transfer-encoding: chunked", b"Transfer-Encoding: Chunked"),
    *(b"transfer-encoding: gzip, chunked", b"transfer-encoding: identity", b"transfer-encoding : chunked"),
    *(b" folded: chunked", b"connection: close", b"connection: upgrade", b"upgrade: websocket", b"x: \x00"),
    *(b": no name", b"no colon", b"x\x0b: y", b"upgrade: h2c", b"host: y", wide(2000)),
)
SIZES = (b"5", b"05", b"0x5", b"5 ", b"+5", b"-5", b"5;a=b", b"ffffffffffffffff", b"", b"5 5", b"5\n")


def drawn(draw: random.Random) -> bytes:
    """A request that may be wrong in any part, with a key."""
    method = draw.choice((b"POST", b"GET", b"HEAD", b"post", b"CONNECT", b"P\x00ST"))
    path = draw.choice((b"/score", b"*", b"http://x/score", b"/%00", b"/a b", b""))
    version = draw.choice((b"HTTP/1.1",) * 6 + (b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 "))
    lines = [b"host: x", KEY.strip(), *draw.sample(LINES, draw.randrange(4))]
    end = draw.choice((b"\r\n",) * 8 + (b"\n", b"\r"))
    chunks = b"".join(
        draw.choice((b"5", draw.choice(SIZES))) + b"\r\nhello" + draw.choice((b"\r\n", b"\r\n", b"\n", b"xx"))
        for _ in range(draw.randrange(4))
    )
    body = draw.choice((b"", b"hello", chunks + b"0\r\n\r\n"))
    return b" ".join((method, path, version)) + end + b"".join(n + end for n in lines) + end + body


@pytest.mark.parametrize("number", range(8))
def test_requests_that_are_wrong_anywhere_get_the_same_answers_however_they_are_cut(number: int) -> None:
    draw = random.Random(f"{SEED} {number}")  # noqa: S311
    for _ in range(60):
        data = b"".join(draw.choice((drawn(draw), plain(3))) for _ in range(draw.randrange(1, 4)))
        wanted = said([data])
        assert b"HTTP/1.1 5" not in wanted[0]
        for count in (1, 2, 5, 30):
            cuts = [draw.randrange(1, len(data)) for _ in range(count)]
            assert said(pieces(data, cuts)) == wanted, (data, cuts)


LARGE = {
    "body between": plain(80_000) + plain(70_000, fill=b"{}") + plain(10),
    "head just right": head(wide(HEADER_BYTES - len(head(b"x-wide: ")))) + plain(3),
    "head one too long": head(wide(HEADER_BYTES - len(head(b"x-wide: ")) + 1)) + plain(3),
    "head of 100 KiB": head(wide(100 << 10)),
    "head of many lines": head(*[b"x-%d: y" % i for i in range(12_000)]),
    "blanks in a head": head(b"x-wide:" + b" " * (100 << 10) + b"y"),
    "blank lines before": b"\r\n" * (40 << 10) + plain(3),
    "trailer of 100 KiB": chunked(5, trailer=wide(100 << 10) + b"\r\n"),
    "trailer of many lines": chunked(5, trailer=b"x: y\r\n" * 30_000),
    "trailer just right": chunked(5, trailer=b"x: " + b"y" * (HEADER_BYTES - 5) + b"\r\n") + plain(3),
    "small chunks": chunked(*[100] * 2000) + plain(3),
    "too much framing": chunked(*[1] * 60_000),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_too_large_is_so_however_it_is_cut(name: str) -> None:
    data, draw = LARGE[name], random.Random(f"{SEED} {name}")  # noqa: S311
    wanted = said([data])
    for count in (1, 2, 7, 60):
        assert said(pieces(data, [draw.randrange(1, len(data)) for _ in range(count)])) == wanted
    assert said([data[i : i + 1400] for i in range(0, len(data), 1400)]) == wanted, "as a network cuts them"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("body between", [200, 200, 200]),
        ("head just right", [200, 200]),
        ("head one too long", [431]),
        ("head of 100 KiB", [431]),
        ("blanks in a head", [431]),
        ("blank lines before", [431]),
        ("trailer of 100 KiB", [431]),
        ("trailer just right", [200, 200]),
        ("small chunks", [200, 200]),
        ("too much framing", [431]),
    ],
)
def test_the_limits_are_those_of_the_page(name: str, status: list[int]) -> None:
    found = [int(part[:3]) for part in said([LARGE[name]])[0].split(b"HTTP/1.1 ")[1:]]
    assert found == status


@pytest.mark.parametrize("key", [KEY, b""], ids=["key", "no key"])
@pytest.mark.parametrize("endless", [b"x: y\r\n", b"y" * 4096], ids=["lines", "one line"])
def test_a_trailer_that_does_not_end_costs_little(key: bytes, endless: bytes) -> None:
    start = chunked(5, key=key)[:-2]

    async def run() -> tuple[int, LaneProtocol]:
        segments = [start] + [endless * (65_536 // len(endless))] * 100
        wire = Wire()
        connection = LaneProtocol(CONFIG, ServerState(), {}, asyncio.get_running_loop())
        connection.connection_made(wire)
        taken = 0
        for segment in segments:
            if wire.closed:
                break
            connection.data_received(segment)
            taken += len(segment)
            await asyncio.sleep(0)
        return taken, connection

    taken, connection = asyncio.run(run())
    assert taken <= max(HEADER_BYTES, FRAMING_BYTES) + 2 * 65_536
    assert len(connection.headers) < 10, "a trailer does not grow the request"


def test_a_body_that_nobody_wants_ends_the_connection() -> None:
    segment = b"10000\r\n" + b"z" * 65_536 + b"\r\n"
    start = head(b"transfer-encoding: chunked", key=b"")
    sent, closed = said([start, *[segment] * (2 + UNWANTED_BYTES // len(segment))])
    assert sent.startswith(b"HTTP/1.1 401") and closed
    assert said([start, *[segment] * 4])[1] is False
