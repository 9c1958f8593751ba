"""A server that answers recorded requests in their order, and refuses and remembers everything else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.json_http import JsonServer

FIXTURES = Path(__file__).parent / "fixtures"


class Replay:
    """`url` is where the client must go. The context fails when something was refused or never asked."""

    def __init__(self, name: str) -> None:
        self.exchanges: list[dict[str, Any]] = json.loads((FIXTURES / f"{name}.json").read_text())
        self.refused: list[str] = []
        self.url = ""

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: Any) -> tuple[int, Any]:
        split = urlsplit(target)
        asked = {"method": method, "path": split.path, "query": dict(parse_qsl(split.query)), "body": body}
        if self.exchanges:
            wanted = self.exchanges[0]["request"]
            expected = {key: wanted.get(key, {} if key == "query" else None) for key in asked}
            missing = {k: v for k, v in wanted.get("headers", {}).items() if headers.get(k.lower()) != v}
            if expected == asked and not missing:
                response = self.exchanges.pop(0)["response"]
                return response["status"], response.get("body")
            self.refused.append(f"asked {asked}, headers lack {missing}; the recording has {expected}")
        else:
            self.refused.append(f"asked {asked}; the recording has ended")
        return 501, {"message": "not in the recording"}


@contextmanager
def replay(name: str) -> Iterator[Replay]:
    recording = Replay(name)

    server = JsonServer(lambda sent: recording.answer(sent.method, sent.target, sent.headers, sent.body))
    recording.url = server.url
    server.start()
    try:
        yield recording
    finally:
        server.stop()
    assert not recording.refused, recording.refused
    assert not recording.exchanges, f"never asked: {[e['request'] for e in recording.exchanges]}"
