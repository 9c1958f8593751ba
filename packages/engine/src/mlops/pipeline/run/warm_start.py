"""The warm server, started by the first who needs steps: they are forked from it, and so are verbs.

A process that went on by itself would import the same libraries a second time. Standard library only, to
start fast.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mlops.pipeline.run import warm_client

_APPEARS = 10.0
"""Seconds until a process that was started listens; it imports nothing before."""
_came: list[Mapping[str, str]] = []
_asked: list[tuple[Path, Mapping[str, str], Callable[[], None]]] = []


def came(variables: Mapping[str, str]) -> None:
    """This process was started with `variables`, which name the server that it came from.

    Libraries set more when they are imported, as for OpenMP: with those it would look like somebody else.
    """
    _came[:] = [variables]


def may(place: Path, variables: Mapping[str, str], begin: Callable[[], None]) -> None:
    """Where nobody listens yet, and how to begin: for `connect`, should this process come to need it.

    `variables` are those that it was started with: libraries set some for themselves when they are imported.
    """
    _asked[:] = [(place, variables, begin)]


def may_start() -> bool:
    """Whether this process may start one, and was not forked from one."""
    return bool(_asked)


def run_there(program: list[str]) -> int | None:
    """Run `program` as a fork of a server that is started now, after its imports; its exit code.

    None where no server can be had: the caller then goes on by itself.
    """
    if not _asked:
        return None
    place, variables, _ = _asked[0]
    connection = connect()
    if connection is None:
        return None
    return warm_client.run(connection, str(place), program, variables)


def connect() -> socket.socket | None:
    """To the server that this process came from, or to one that is started now.

    None where there is neither, as where nobody has said that there may be one.
    """
    if address := os.environ.get(warm_client.ADDRESS):
        return warm_client.connect(address, _came[0] if _came else os.environ)
    if not _asked:
        return None
    place, variables, begin = _asked.pop()
    if not place.exists():
        begin()
    deadline = time.monotonic() + _APPEARS
    while not place.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return warm_client.connect(str(place), variables)
