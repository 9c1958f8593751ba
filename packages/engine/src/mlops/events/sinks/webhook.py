"""CloudEvents over HTTP: structured mode, signed as https://www.standardwebhooks.com says.

The signature covers id, time and body, so that a receiver can refuse what was changed or recorded and sent
again. Keys are base64 text, with or without the prefix `whsec_`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import socket
import time
import urllib.request
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlops.errors import InvalidInput, TargetError
from mlops.events import envelope
from mlops.events.sinks.base import Refused, Undelivered, retry_after, retryable
from mlops.spec.sinks import WebhookSink, check_url, leads_astray, sink_name

if TYPE_CHECKING:
    import httpx
    from cloudevents.core.v1.event import CloudEvent

TIMEOUT = 5.0
"""Seconds for one request; a receiver acknowledges first and works later."""
_PREFIX = "whsec_"
_SHORTEST_KEY = 24
"""Bytes, as Standard Webhooks asks for."""


def open_webhook(settings: WebhookSink) -> Webhook:
    """Raises `TargetError` when a variable is not set, `InvalidInput` when it holds what it must not."""
    url = settings.url
    if settings.url_env:
        try:
            url = check_url(_variable(settings.url_env))
        except ValueError as error:
            raise InvalidInput(f"{settings.url_env}: {error}") from None
    key = decode_key(_variable(settings.secret_env), settings.secret_env) if settings.sign else None
    return Webhook(sink_name(settings), url, key)


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise TargetError(f"the variable {name} is not set")
    return value


def decode_key(text: str, name: str) -> bytes:
    """The bytes of a signing key; the error tells the variable `name`, never the key."""
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < _SHORTEST_KEY:
        raise InvalidInput(
            f"{name} must be at least {_SHORTEST_KEY} random bytes in base64; "
            "make one with: openssl rand -base64 32"
        )
    return key


def sign(key: bytes, identity: str, stamp: int, body: bytes) -> str:
    """The value of `webhook-signature` for a message of this id, Unix time and body."""
    content = f"{identity}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


class Webhook:
    """One receiver. Redirects are not followed: a signed message goes where the settings say, or nowhere.

    The name is looked up here, judged, and the address that was judged is called: a name that a stranger
    owns may lead to the cloud's own addresses, or begin to between two look-ups.
    """

    batches = False

    def __init__(self, name: str, url: str, key: bytes | None) -> None:
        import httpx

        self._name, self._url, self._key = name, url, key
        self._client: httpx.Client = httpx.Client(timeout=TIMEOUT, follow_redirects=False)

    def send(self, events: Sequence[CloudEvent]) -> None:
        import httpx

        for event in events:
            body = envelope.to_json(event)
            try:
                answer = self._post(body, self._headers(event, body))
            except httpx.HTTPError as error:
                # Not the address: it may be the secret of a chat's incoming webhook.
                raise Undelivered(f"no answer ({type(error).__name__})") from None
            self._read(answer)

    def _post(self, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """To the first of the name's addresses that answers; raises `Undelivered` for one that is astray."""
        import httpx

        url = httpx.URL(self._url)
        if _by_proxy(url.scheme, url.host):
            return self._client.post(url, content=body, headers=headers)
        named = {**headers, "host": url.netloc.decode("ascii")}
        *others, last = self._addresses(url.host, url.port or {"https": 443}.get(url.scheme, 80))
        for address in others:
            with contextlib.suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return self._ask(url, address, body, named)
        return self._ask(url, last, body, named)

    def _ask(self, url: httpx.URL, address: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        # The certificate is compared with the name.
        with_name = {"sni_hostname": url.raw_host.decode("ascii")}
        there = url.copy_with(host=address)
        return self._client.post(there, content=body, headers=headers, extensions=with_name)

    @staticmethod
    def _addresses(host: str, port: int) -> list[str]:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Undelivered("no answer (nobody knows the name)") from None
        addresses = list(dict.fromkeys(str(row[4][0]) for row in rows))
        if any(leads_astray(host, address) for address in addresses):
            raise Undelivered("its name leads to an address of this machine or its cloud")
        return addresses

    def _headers(self, event: CloudEvent, body: bytes) -> Mapping[str, str]:
        headers = {"content-type": envelope.CONTENT_TYPE, "user-agent": "mlops"}
        if self._key is None:
            return headers
        stamp = int(time.time())
        identity = event.get_id()
        return {
            **headers,
            "webhook-id": identity,
            "webhook-timestamp": str(stamp),
            "webhook-signature": sign(self._key, identity, stamp, body),
        }

    @staticmethod
    def _read(answer: httpx.Response) -> None:
        if answer.is_success:
            return
        said = f"it answered {answer.status_code}"
        if answer.is_redirect or not retryable(answer.status_code):
            raise Refused(said)
        raise Undelivered(said, retry_after(answer.headers.get("retry-after")))

    def close(self) -> None:
        self._client.close()


def _by_proxy(scheme: str, host: str) -> bool:
    """Whether a proxy of the environment looks the name up; where it may lead is the proxy's to say."""
    proxies = urllib.request.getproxies()
    return bool(proxies.get(scheme) or proxies.get("all")) and not urllib.request.proxy_bypass(host)
