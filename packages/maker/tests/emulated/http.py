"""Requests and answers of an emulated service."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    host: str = ""
    """Where a proxy was asked to go; empty without one."""

    @property
    def json(self) -> Any:
        """The body as JSON, None when it is empty; raises `ValueError`."""
        return json.loads(self.body) if self.body else None


@dataclass
class Answer:
    """What goes back: `body` is bytes, None, or anything that becomes JSON."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, str]:
        """The bytes and their content type."""
        if self.body is None:
            return b"", ""
        if isinstance(self.body, bytes):
            return self.body, "application/octet-stream"
        return json.dumps(self.body).encode(), "application/json"


class Refused(Exception):
    """A refusal as an answer; each service has a form of its own."""

    def __init__(self, answer: Answer, message: str) -> None:
        super().__init__(message)
        self.answer = answer
