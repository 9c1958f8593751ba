"""One JSON request to an endpoint of this machine, with the standard library alone."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from mlops.errors import TargetError


class Unreachable(TargetError):
    """Nobody answered; `__cause__` is the reason."""


def call(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    key: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> tuple[int, dict[str, Any]]:
    """Status and decoded answer ({} when it is no JSON object). Raises `Unreachable`."""
    sent = {"content-type": "application/json", "connection": "close", **(headers or {})}
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        response = connection.getresponse()
        raw = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"127.0.0.1:{port} does not answer ({error or type(error).__name__})") from error
    finally:
        connection.close()
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = {}
    return response.status, answer if isinstance(answer, dict) else {}
