"""A server of documented operations: each has a method, a path and, for a body, a JSON schema."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft202012Validator

from tests.json_http import JsonServer, Sent


class No(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Asked:
    """One request; `groups` are the named groups of its path."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    groups: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Asked], tuple[int, Any]]


class Forge:
    """A context manager; `url` is where clients go. It must meet no request that the API does not document.

    `faults` are asked before the routes; `asked` has every request with its status.
    """

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Mapping[str, Any] | None, Handler]] = []
        self._lock = threading.RLock()
        self.asked: list[tuple[Asked, int]] = []
        self.wrong: list[str] = []
        self.faults: list[Callable[[Asked], tuple[int, Any] | None]] = []
        self._server = JsonServer(self._sent)

    @property
    def url(self) -> str:
        return self._server.url

    def __enter__(self) -> Any:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        self._server.stop()
        if kind is None:
            assert not self.wrong, "\n".join(self.wrong)

    def route(
        self, method: str, path: str, handler: Handler, schema: Mapping[str, Any] | None = None
    ) -> None:
        self._routes.append((method, re.compile(path), schema, handler))

    def admit(self, asked: Asked) -> None:
        """Raise `No` for a request without what every one must carry."""

    def writes(self) -> list[str]:
        """Every request that changed something, as `METHOD path`."""
        return [f"{a.method} {a.path}" for a, status in self.asked if a.method != "GET" and status < 300]

    def _sent(self, sent: Sent) -> tuple[int, Any]:
        parts = urlsplit(sent.target)
        query = dict(parse_qsl(parts.query))
        return self.answer(Asked(sent.method, unquote(parts.path), query, sent.headers, sent.body))

    def answer(self, asked: Asked) -> tuple[int, Any]:
        with self._lock:
            status, body = self._answer(asked)
            self.asked.append((asked, status))
        return status, body

    def _answer(self, asked: Asked) -> tuple[int, Any]:
        for fault in list(self.faults):
            if (given := fault(asked)) is not None:
                return given
        try:
            self.admit(asked)
            for method, path, schema, handler in self._routes:
                found = path.fullmatch(asked.path)
                if method == asked.method and found:
                    self._judge(asked, schema)
                    return handler(Asked(**{**vars(asked), "groups": found.groupdict()}))
        except No as no:
            return no.status, {"message": str(no)}
        self.wrong.append(f"{asked.method} {asked.path} is no operation of the API that is documented here")
        return 404, {"message": "Not Found"}

    def _judge(self, asked: Asked, schema: Mapping[str, Any] | None) -> None:
        if schema is None:
            problems = ["a body that is not asked for"] if asked.body is not None else []
        else:
            problems = [e.message for e in Draft202012Validator(dict(schema)).iter_errors(asked.body)]
        if problems:
            self.wrong.append(f"{asked.method} {asked.path}: {'; '.join(problems)}")
            raise No(422, problems[0])


def strict(required: list[str], **properties: Any) -> dict[str, Any]:
    """A JSON schema of an object with these properties and no others."""
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}
