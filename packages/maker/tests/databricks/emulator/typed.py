"""Bodies held to the clients' own types: what does not come out as it went in, is nothing that they know."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.protobuf.json_format import ParseError

from .http import Refused, Request

_heard = threading.local()


@contextmanager
def held() -> Iterator[set[str]]:
    """The types to which bodies are held meanwhile in this thread, by their full names."""
    _heard.kinds = kinds = set[str]()
    try:
        yield kinds
    finally:
        del _heard.kinds


def _hold(kind: str) -> None:
    if (kinds := getattr(_heard, "kinds", None)) is not None:
        kinds.add(kind)


def of_sdk(kind: Any, body: Any) -> Any:
    """`body` as a dataclass of `databricks.sdk.service`; refused unless it is one whole."""
    try:
        made = kind.from_dict(body)
    except Exception as error:  # noqa: BLE001  whatever it stumbles over, the body is not of its kind
        raise Refused(400, "MALFORMED_REQUEST", f"no {kind.__name__}: {error!r}") from None
    if made.as_dict() != body:
        wrong = _differs(body, made.as_dict())
        raise Refused(400, "MALFORMED_REQUEST", f"{kind.__name__} has no such field or value: {wrong}")
    _hold(f"{kind.__module__.rsplit('.', 1)[-1]}.{kind.__name__}")
    return made


def only(body: dict[str, Any], *fields: str) -> None:
    """Refuse a body with other fields than these."""
    if unknown := sorted(body.keys() - set(fields)):
        raise Refused(400, "MALFORMED_REQUEST", f"unknown fields: {', '.join(unknown)}")


def of_mlflow(kind: Any, request: Request) -> Any:
    """Body or query of a request as a message of MLflow's protocol; a field that it lacks is refused."""
    from google.protobuf.json_format import ParseDict

    given: Any = request.json if request.body else dict(request.query)
    try:
        made = ParseDict(given, kind())
    except ParseError as error:
        raise Refused(400, "INVALID_PARAMETER_VALUE", f"no {kind.DESCRIPTOR.name}: {error}") from None
    _hold(f"mlflow.{kind.DESCRIPTOR.name}")
    return made


def plain(message: Any) -> dict[str, Any]:
    """A message of MLflow's protocol as its clients read it."""
    import json

    from mlflow.utils.proto_json_utils import message_to_json

    found: dict[str, Any] = json.loads(message_to_json(message))
    return found


def _differs(given: Any, made: Any, place: str = "") -> str:
    if isinstance(given, dict) and isinstance(made, dict):
        for key in sorted(given.keys() | made.keys()):
            if given.get(key) != made.get(key):
                return _differs(given.get(key), made.get(key), f"{place}.{key}")
    if isinstance(given, list) and isinstance(made, list) and len(given) == len(made):
        for index, (one, other) in enumerate(zip(given, made, strict=True)):
            if one != other:
                return _differs(one, other, f"{place}[{index}]")
    return f"{place.lstrip('.') or 'all of it'} = {given!r}"
