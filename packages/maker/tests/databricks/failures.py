"""What goes wrong with Databricks: how the emulator does it, and what the user is told, word for word."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.databricks.emulator import Answer, Emulator

FILE = Path(__file__).with_name("failures.yaml")
# How a connection ends depends on how far the exchange had gone.
_ABORTED = re.compile(r"\(\('Connection.*?\)\)\)")
_ENDPOINT = "/serving-endpoints/"

Provoke = Callable[[Emulator], Any]


def steady(sentence: str) -> str:
    """Without what differs from run to run."""
    return _ABORTED.sub("(…)", sentence)


def _answers(method: str, part: str, status: int, code: str, message: str) -> Provoke:
    answer = Answer(status, {"error_code": code, "message": message}, {"retry-after": "1"})
    return lambda workspace: workspace.fail(method, part, answer, times=99)


def _nothing(workspace: Emulator) -> None:
    """The model itself is broken."""


def _no_capacity(workspace: Emulator) -> None:
    workspace.serving.most = 0


PROVOKED: dict[str, Provoke] = {
    "401": _answers("GET", _ENDPOINT, 401, "UNAUTHENTICATED", "The token is expired."),
    "403": _answers("GET", _ENDPOINT, 403, "PERMISSION_DENIED", "No CAN MANAGE on endpoint."),
    "403 on a catalog": lambda workspace: workspace.unity.denied.add("prod"),
    "403 on the model of a catalog": lambda workspace: workspace.unity.read_only.add("prod"),
    "404 of a catalog": lambda workspace: workspace.unity.catalogs.discard("prod"),
    "409": _answers("PUT", "/config", 409, "RESOURCE_CONFLICT", "is being updated."),
    "429": _answers("GET", _ENDPOINT, 429, "REQUEST_LIMIT_EXCEEDED", "Too many."),
    "5xx": _answers("GET", _ENDPOINT, 503, "TEMPORARILY_UNAVAILABLE", "Try later."),
    "connection dropped": lambda workspace: workspace.fail("GET", _ENDPOINT, ConnectionError, times=99),
    "quota exceeded": _no_capacity,
    "endpoint update failed": _nothing,
}
