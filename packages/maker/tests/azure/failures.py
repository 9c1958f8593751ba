"""What goes wrong with Azure: how the emulator does it, for the sentences of `failures.yaml`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.azure.emulator import Answer, Emulator

FILE = Path(__file__).with_name("failures.yaml")
_WORKSPACE = "/workspaces/mlw-flights-mlops-dev-we"
_VOLATILE = (
    (re.compile(r"/subscriptions/[0-9a-f-]{36}/\S+/"), "/subscriptions/…/"),
    (re.compile(r"\bfreight-prd-[0-9a-f]+"), "freight-prd-…"),
    (re.compile(r"\b[a-z]+_[a-z]+_[0-9a-z]{10}\b"), "…"),
    # Depends on where in the exchange the proxy of the emulator has let go.
    (re.compile(r"\('[\w ]+\.?', (RemoteDisconnected\([^)]*\))\)"), r"\1"),
)

Provoke = Callable[[Emulator], Any]


def steady(sentence: str) -> str:
    """Without what differs from run to run: ids of subscriptions, names of jobs and endpoints."""
    for pattern, text in _VOLATILE:
        sentence = pattern.sub(text, sentence)
    return sentence


def _answers(method: str, part: str, status: int, code: str, message: str, **headers: str) -> Provoke:
    body = {"error": {"code": code, "message": message}}
    return lambda azure: azure.fail(method, part, Answer(status, body, headers), times=99)


def _nothing(azure: Emulator) -> None:
    """The model or the step itself is broken."""


PROVOKED: Mapping[str, Provoke] = {
    "401": _answers("GET", _WORKSPACE, 401, "InvalidAuthenticationToken", "The access token is invalid."),
    "401 of a federated login": lambda azure: azure.entra.renew_assertion(seconds=-1),
    "403": lambda azure: azure.arm.deny(_WORKSPACE),
    "404": lambda azure: azure.arm.remove(next(iter(azure.workspaces.workspaces))),
    "409": _answers("PUT", "/deployments/blue", 409, "Conflict", "Another operation is in progress."),
    "429 with Retry-After": _answers(
        "GET", _WORKSPACE, 429, "TooManyRequests", "Slow down.", **{"retry-after": "1"}
    ),
    "5xx": _answers("GET", _WORKSPACE, 503, "ServiceUnavailable", "Try later."),
    "connection dropped in a long operation": lambda azure: azure.fail(
        "GET", "/mfeOperationsStatus/", ConnectionError, times=99
    ),
    "deployment failed": _nothing,
    "quota exceeded": _answers(
        "PUT", "/deployments/blue", 400, "OutOfQuota", "Not enough quota available for Standard_DS3_v2."
    ),
    "token expired in mid-job": lambda azure: azure.entra.renew_assertion(seconds=-1),
    "job failed": _nothing,
}
