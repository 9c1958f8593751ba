"""The warm server, started by the first who needs steps: they are forked from it, and so are later verbs.

A step server of its own would import the same libraries a second time. Standard library only, to start fast.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mlops.pipeline.run import warm_client

_APPEARS = 10.0
"""Seconds until a process that was started listens; it imports nothing before."""
_asked: list[tuple[Path, Mapping[str, str], Callable[[], None]]] = []


def may(place: Path, variables: Mapping[str, str], begin: Callable[[], None]) -> None:
    """Where nobody listens yet, and how to begin: for `connect`, should this process come to need it.

    `variables` are those that it was started with: libraries set some for themselves when they are imported.
    """
    _asked[:] = [(place, variables, begin)]


def connect() -> socket.socket | None:
    """To a server that is started now; None where nobody has said that there may be one."""
    if not _asked:
        return None
    place, variables, begin = _asked.pop()
    if not place.exists():
        begin()
    deadline = time.monotonic() + _APPEARS
    while not place.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return warm_client.connect(str(place), variables)
