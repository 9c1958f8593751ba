"""A head that the parser has seen is not parsed again, and nothing that may change is taken from memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from mlops.serving.http import lane
from mlops.serving.http.lane import HEAD, LaneProtocol
from mlops.serving.http.scoring import Answer
from mlops.serving.score.request import RequestError
from tests.serving.test_lane import Wire

REFUSED = b"no longer"


class Echo:
    """An app that answers with the body, in the lane and around it."""

    def __init__(self) -> None:
        self.scoring = self
        self.draining = False
        self.admits = True
        self.later: list[Any] | None = None
        self.seen: list[tuple[bytes | None, bytes | None]] = []
        """Ids of each request that took the lane."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"] if self.admits and not self.draining else REFUSED
        length = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": body})

    def identity(self, headers: Any) -> list[Any]:
        self.seen.append((headers.request_id, headers.traceparent))
        return []

    def admit(self, headers: Any) -> None:
        if not self.admits:
            raise RequestError(403, "the key is wrong")

    def submit(self, protocol: Any, headers: Any, identity: Any, body: bytes, done: Any) -> None:
        if self.later is None:
            done(Answer(200, body, []))
        else:
            self.later.append(lambda: done(Answer(200, body, [])))


class Parser:
    """The protocol's parser, which counts the heads that it is given."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self.fed: list[bytes] = []

    def feed_data(self, data: bytes) -> None:
        # A head is a piece of its own, and so is its body: heads are what is counted.
        if b" HTTP/1.1" in data:
            self.fed.append(data)
        self._parser.feed_data(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


class Talk:
    """One connection to an `Echo`."""

    def __init__(self) -> None:
        self.app, self.wire = Echo(), Wire()
        config = uvicorn.Config(self.app, lifespan="off", log_config=None)
        config.load()
        self.protocol = LaneProtocol(config, ServerState(), {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.wire)
        self.parser = Parser(self.protocol.parser)
        self.protocol.parser = self.parser

    async def say(self, data: bytes) -> list[bytes]:
        """The bodies of what was answered."""
        self.wire.sent = b""
        self.protocol.data_received(data)
        for _ in range(10):
            await asyncio.sleep(0)
        return [part.split(b"HTTP/1.1")[0] for part in self.wire.sent.split(b"\r\n\r\n")[1:]]


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    LaneProtocol._heads.clear()
    yield
    LaneProtocol._heads.clear()


def post(body: bytes, *lines: bytes) -> bytes:
    head = [b"POST /score HTTP/1.1", b"host: x", *lines, b"content-length: %d" % len(body)]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


async def warmed() -> Talk:
    """A connection on which the head of `post(b"{}")` is known."""
    talk = Talk()
    for _ in range(3):
        assert await talk.say(post(b"{}")) == [b"{}"]
    return talk


def test_a_head_that_came_before_is_not_parsed_again_on_any_connection() -> None:
    async def run() -> None:
        talk = Talk()
        for body in (b"{1}", b"{2}", b"{3}", b"{4}"):
            assert await talk.say(post(body)) == [body]
        # A connection's first request is parsed in any case; the second one is remembered.
        assert len(talk.parser.fed) == 2
        other = Talk()
        for body in (b"{5}", b"{6}"):
            assert await other.say(post(body)) == [body]
        assert len(other.parser.fed) == 1
        assert await other.say(post(b"{longer}")) == [b"{longer}"]
        assert len(other.parser.fed) == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "wanted"),
    [("admits", REFUSED), ("draining", REFUSED)],
    ids=["the key was changed", "the server drains"],
)
def test_what_may_change_is_asked_each_time(change: str, wanted: bytes) -> None:
    async def run() -> None:
        talk = await warmed()
        setattr(talk.app, change, not getattr(talk.app, change))
        assert await talk.say(post(b"{}")) == [wanted]

    asyncio.run(run())


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_a_known_head_with_more_or_less_than_its_body_is_parsed(parts: int) -> None:
    async def run() -> None:
        talk = await warmed()
        several = post(b"{1}") + post(b"{}") + post(b"{2}")
        cut = [several[k * len(several) // parts : (k + 1) * len(several) // parts] for k in range(parts)]
        assert [body for part in cut for body in await talk.say(part)] == [b"{1}", b"{}", b"{2}"]
        whole = post(b"{}")
        assert await talk.say(whole[:-1]) == []
        assert await talk.say(whole[-1:]) == [b"{}"]

    asyncio.run(run())


def test_a_request_before_the_last_answer_waits_its_turn() -> None:
    async def run() -> None:
        talk = await warmed()
        talk.app.later = []
        assert await talk.say(post(b"{}")) == []
        assert await talk.say(post(b"[]")) == []
        talk.app.later.pop()()
        for _ in range(10):
            await asyncio.sleep(0)
        assert 0 < talk.wire.sent.index(b"{}") < talk.wire.sent.index(b"[]")

    asyncio.run(run())


TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = b"00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "lines",
    [
        [b"x-request-id: %d"],
        [b"X-Request-Id:%d"],
        [b"traceparent: 00-%032x-b7ad6b7169203331-01"],
        [b"Traceparent: 00-%032x-b7ad6b7169203331-01", b"x-request-id: a"],
    ],
)
def test_ids_of_a_request_do_not_make_its_head_another(lines: list[bytes]) -> None:
    async def run() -> None:
        talk = Talk()
        for n in range(1, 6):
            own = [line % n if b"%" in line else line for line in lines]
            assert await talk.say(post(b"{}", *own)) == [b"{}"]
        assert len(talk.parser.fed) == 2
        assert len(set(talk.app.seen)) == 5

    asyncio.run(run())


def test_ids_are_those_that_the_parser_would_have_found() -> None:
    pieces = [
        b"x-request-id: a", b"X-Request-ID: b", b"x-request-id:c", b"x-request-id:  d", b"x-request-id: e ",
        b"x-request-id: two words", b"x-request-id:", b"x-request-id: " + b"x" * 129, b"x-request-id: \xff",
        b"traceparent: " + TRACE, b"TraceParent:" + OTHER, b"traceparent: nonsense",
        b"traceparent: \t" + TRACE,
        b"x-my-traceparent: " + TRACE, b"x-other: 1", b"x-other: x-request-id: f",
    ]  # fmt: skip
    chance = random.Random(7)  # noqa: S311

    async def run() -> None:
        warm, hits = Talk(), 0
        await warm.say(post(b"{}"))
        for _ in range(800):
            request = post(b"{}", *chance.choices(pieces, k=chance.randint(0, 4)))
            parsed, before = Talk(), len(warm.parser.fed)
            assert await parsed.say(request) == await warm.say(request) == [b"{}"]
            assert warm.app.seen[-1] == parsed.app.seen[-1], request
            hits += len(warm.parser.fed) == before
        assert hits > 80

    asyncio.run(run())


@pytest.mark.parametrize("line", [b"x-request-id: a\r\n b", b"traceparent: " + TRACE + b"\r\n\tb"])
def test_a_line_that_is_continued_goes_to_the_parser_which_refuses_it(line: bytes) -> None:
    async def run() -> None:
        talk = await warmed()
        fed = len(talk.parser.fed)
        await talk.say(post(b"{}", line))
        assert len(talk.parser.fed) == fed + 1
        assert talk.wire.sent.startswith(b"HTTP/1.1 400 ")

    asyncio.run(run())


@pytest.mark.parametrize("line", [b"x-long: " + b"x" * HEAD, b"x-request-id: two words"], ids=["long", "odd"])
def test_a_head_that_is_long_or_odd_is_not_remembered(line: bytes) -> None:
    async def run() -> None:
        talk = Talk()
        for _ in range(4):
            assert await talk.say(post(b"{}", line)) == [b"{}"]
        assert len(talk.parser.fed) == 4
        assert not LaneProtocol._heads

    asyncio.run(run())


def test_bytes_before_a_head_never_become_part_of_it() -> None:
    async def run() -> None:
        talk = await warmed()
        request = post(b"{new}", b"x-new: 1")
        # The end of one request's body, and the next request, in one piece.
        whole = post(b"{}") + request
        await talk.say(whole[: len(post(b"{}")) - 1])
        assert await talk.say(b"}" + request) == [b"{}", b"{new}"]
        assert all(head.startswith(b"POST ") for head in LaneProtocol._heads)

    asyncio.run(run())


def test_no_more_heads_than_the_bound_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "HEADS", 3)

    async def run() -> None:
        talk = Talk()
        for n in range(20):
            assert await talk.say(post(b"{}", b"x-n: %d" % n)) == [b"{}"]
            assert len(LaneProtocol._heads) <= 3

    asyncio.run(run())
