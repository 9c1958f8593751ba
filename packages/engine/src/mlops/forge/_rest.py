"""JSON over HTTPS with errors that are sentences; shared by the forges that have a REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops.errors import Blocked, NotFound, TargetError

TIMEOUT = 30.0
"""Seconds for one request."""
_ATTEMPTS = 3
"""For reads only: a write that got no answer may have happened."""


class Denied(TargetError):
    """The forge does not let this token do that."""


class Rest:
    """A client of one API; `token_name` is the variable that the errors talk about."""

    def __init__(self, base: str, headers: Mapping[str, str], token_name: str) -> None:
        self._base, self._headers, self._token_name = base.rstrip("/"), dict(headers), token_name
        self._tls: Any = None

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer's JSON, None when it is empty. `content` are the bytes to send in place of `body`.

        Raises `NotFound` (404), `Denied` (401, 403), `Blocked` (405, 409: the forge forbids it now), and
        `TargetError` for the rest.
        """
        import httpx

        url = self._base + path
        # Reading the certificates takes longer than the request: once for all of them.
        self._tls = self._tls or httpx.create_ssl_context()
        attempts = _ATTEMPTS if method == "GET" else 1
        for attempt in range(1, attempts + 1):
            try:
                answer = httpx.request(
                    method,
                    url,
                    params=params,
                    json=body,
                    content=content,
                    headers={**self._headers, **(headers or {})},
                    timeout=TIMEOUT,
                    verify=self._tls,
                )
            except httpx.HTTPError as error:
                if attempt == attempts:
                    raise TargetError(f"{method} {url}: no answer ({error})") from None
                continue
            if answer.status_code < 500 or attempt == attempts:
                break
        return self._read(answer, method, url)

    def _read(self, answer: Any, method: str, url: str) -> Any:
        status, said = answer.status_code, answer.text[:500]
        # Azure DevOps answers a bad token with a sign-in page and 203.
        if status in (203, 401, 403):
            raise Denied(
                f"{method} {url}: refused ({status}); {self._token_name} is wrong, or may not do this: {said}"
            )
        if status == 404:
            raise NotFound(
                f"{method} {url}: not found; does the repository exist, and may {self._token_name} see it?"
            )
        if status in (405, 409):
            raise Blocked(f"{method} {url}: the forge does not allow it now: {said}")
        if status >= 400:
            raise TargetError(f"{method} {url}: {status}: {said}")
        return answer.json() if answer.content else None
