"""Requests, answers and routes of the emulator."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.emulated.http import Answer, Request
from tests.emulated.http import Refused as AnyRefused

__all__ = ["Answer", "Refused", "Request", "Router"]


class Refused(AnyRefused):
    """A refusal in the form that ARM and the data plane use; `detail` goes into `error.details`."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        body = {"error": {"code": code, "message": message}}
        super().__init__(Answer(status, body, dict(headers or {})), message)


Handler = Callable[..., Answer]


class Router:
    """Routes by method, host and path; both are regular expressions that must match whole, ignoring case."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], re.Pattern[str], Handler]] = []

    def add(self, method: str, host: str, path: str, handler: Handler, *, first: bool = False) -> None:
        """`handler(request, **named groups of path)`; `method` may be `*`. The first match wins.

        `first`: before what was added already, for an exception from a route that takes everything.
        """
        route = (method, re.compile(host, re.I), re.compile(path, re.I), handler)
        self._routes.insert(0 if first else len(self._routes), route)

    def knows(self, host: str) -> bool:
        """Whether any route is for this host: all others are refused."""
        return any(pattern.fullmatch(host) for _, pattern, _, _ in self._routes)

    def __call__(self, request: Request) -> Answer:
        """The route's answer; 404 when there is none."""
        for method, host, path, handler in self._routes:
            if method in ("*", request.method) and host.fullmatch(request.host):
                found = path.fullmatch(request.path)
                if found:
                    return handler(request, **found.groupdict())
        raise Refused(404, "NoRoute", f"{request.method} {request.host}{request.path}")
