"""Requests, answers and routes of the emulator."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.emulated.http import Answer, Request
from tests.emulated.http import Refused as AnyRefused

__all__ = ["WHICH", "Answer", "Refused", "Request", "Router"]


class Refused(AnyRefused):
    """A refusal in the form that Databricks' REST API has."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        body = {"error_code": code, "message": message}
        super().__init__(Answer(status, body, dict(headers or {})), message)


Handler = Callable[..., Answer]
WHICH = "call"
"""Group of a path that says which operation it is, not of what."""


class Router:
    """Routes by method and path, a regular expression that must match whole."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """`handler(request, **named groups of path)`; `method` may be `*`. The first match wins."""
        self._routes.append((method, re.compile(path), handler))

    def __call__(self, request: Request) -> Answer:
        """The route's answer; a refusal when there is none."""
        handler, found = self._find(request)
        return handler(request, **found.groupdict())

    def operation(self, request: Request) -> str:
        """Method and path without names and numbers; a refusal when there is no route."""
        _, found = self._find(request)
        path = request.path
        for name in sorted(found.re.groupindex, key=found.start, reverse=True):
            if name != WHICH and found[name]:
                slash = "/" if found[name].startswith("/") else ""
                path = f"{path[: found.start(name)]}{slash}{{{name}}}{path[found.end(name) :]}"
        return f"{request.method} {path}"

    def _find(self, request: Request) -> tuple[Handler, re.Match[str]]:
        for method, path, handler in self._routes:
            if method in ("*", request.method) and (found := path.fullmatch(request.path)):
                return handler, found
        raise Refused(404, "ENDPOINT_NOT_FOUND", f"No API found for {request.method} {request.path}")
