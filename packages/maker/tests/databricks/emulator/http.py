"""Requests, answers and routes of the emulator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request as it came in. Header names are lower case; a repeated query key keeps its last value."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    target: str = ""
    """Path and query as they were sent, not decoded."""

    @property
    def json(self) -> Any:
        """The body as JSON, an empty object when there is none."""
        return json.loads(self.body) if self.body else {}


@dataclass
class Answer:
    """What goes back: `body` is bytes, None, or anything that becomes JSON."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, str]:
        """The bytes and their content type."""
        if isinstance(self.body, bytes):
            return self.body, "application/octet-stream"
        return json.dumps({} if self.body is None else self.body).encode(), "application/json"


class Refused(Exception):
    """A refusal in the form that Databricks' REST API has."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"error_code": code, "message": message}, dict(headers or {}))


Handler = Callable[..., Answer]


class Router:
    """Routes by method and path, a regular expression that must match whole."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """`handler(request, **named groups of path)`; `method` may be `*`. The first match wins."""
        self._routes.append((method, re.compile(path), handler))

    def __call__(self, request: Request) -> Answer:
        """The route's answer; a refusal when there is none."""
        for method, path, handler in self._routes:
            if method in ("*", request.method) and (found := path.fullmatch(request.path)):
                return handler(request, **found.groupdict())
        raise Refused(404, "ENDPOINT_NOT_FOUND", f"No API found for {request.method} {request.path}")
