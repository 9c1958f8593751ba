"""The few pieces of HTTP that the app needs: one pass over the headers, a bounded body, an answer."""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from mlops.serving.score.request import Limits, RequestError, too_large

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

CLOSE: Header = (b"connection", b"close")
JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
DISCARD = 64 << 20
"""Bytes of an oversized body that are read and thrown away, so that the client can read the refusal."""

# W3C Trace Context; an id of zeros and the version ff are void.
_TRACE = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class Disconnected(Exception):
    """The client went away before its request was complete."""


class Headers:
    """The headers that matter here, found in one pass."""

    __slots__ = (
        "authorization", "content_type", "deployment", "encoding", "expect", "length", "request_id",
        "traceparent",
    )  # fmt: skip

    def __init__(self, raw: Iterable[Header]) -> None:
        by_name: dict[bytes, bytes] = dict(raw)
        get = by_name.get
        self.authorization: bytes | None = get(b"authorization")
        self.content_type: bytes | None = get(b"content-type")
        self.deployment: bytes | None = get(b"azureml-model-deployment")
        self.encoding: bytes | None = get(b"content-encoding")
        self.length: bytes | None = get(b"content-length")
        self.expect = b"expect" in by_name
        self._identify(get(b"x-request-id"), get(b"traceparent"))

    def with_ids(self, request_id: bytes | None, traceparent: bytes | None) -> Headers:
        """The same but for the ids, which are as they were sent."""
        other = Headers.__new__(Headers)
        other.authorization = self.authorization
        other.content_type = self.content_type
        other.deployment = self.deployment
        other.encoding = self.encoding
        other.length = self.length
        other.expect = self.expect
        other._identify(request_id, traceparent)
        return other

    def _identify(self, given: bytes | None, trace: bytes | None) -> None:
        self.request_id = given if given and _REQUEST_ID.fullmatch(given) else None
        self.traceparent = trace if trace and _TRACE.fullmatch(trace) else None


class Keyring:
    """Bearer keys, compared in constant time."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.accept(keys)

    def accept(self, keys: Iterable[str]) -> None:
        """From the next request on, these keys and no others."""
        self._expected = [f"Bearer {key}".encode() for key in keys]

    def check(self, authorization: bytes | None) -> None:
        """Raises `RequestError` 401 without a key and 403 with a wrong one."""
        if authorization is None:
            raise RequestError(
                401, "no key was given", field="authorization", allowed="Authorization: Bearer <key>"
            )
        good = False
        for expected in self._expected:
            # No early exit: the time must not tell which key was nearly right.
            good |= hmac.compare_digest(authorization, expected)
        if not good:
            raise RequestError(
                403, "the key is wrong", field="authorization", allowed="a key of this endpoint"
            )


class Memory:
    """Bytes of request bodies that are being read now, over all connections."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


async def read_body(receive: Receive, headers: Headers, limits: Limits, memory: Memory) -> bytes:
    """The whole body. Raises `RequestError` 413 over the limit and 429 when memory is short.

    An oversized body is read to its end (within reason) before it is refused: closing a connection that
    still sends resets it, and the client would never see why.
    """
    if headers.length is not None and int(headers.length) > limits.body:
        if int(headers.length) <= DISCARD and not headers.expect:
            await _discard(receive)
        raise too_large(limits)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message["body"]
    if not message["more_body"]:
        return body
    chunks, size = [body], len(body)
    memory.held += size
    try:
        while message["more_body"]:
            if size > limits.body:
                await _discard(receive)
                raise too_large(limits)
            if memory.held > memory.limit:
                await _discard(receive)
                raise RequestError(429, "too many large requests are being read; come back later")
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunks.append(message["body"])
            size += len(message["body"])
            memory.held += len(message["body"])
    finally:
        memory.held -= size
    return b"".join(chunks)


async def _discard(receive: Receive) -> None:
    dropped = 0
    while dropped < DISCARD:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        dropped += len(message["body"])
        if not message["more_body"]:
            return


async def answer(
    send: Send, status: int, body: bytes, headers: list[Header], content_type: bytes = JSON
) -> None:
    """Send one complete response."""
    start = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


def json_bytes(value: Any) -> bytes:
    """Compact JSON."""
    return msgspec.json.encode(value)
