"""`python …/warm_client.py SOCKET PROGRAM ARGUMENT…`: a Python program, forked from the server of `warm.py`.

It is as if PROGRAM had been started here: the same arguments, folder, variables, streams, signals and exit
code. Where there is no server, or one that cannot stand for this process, PROGRAM is started as ever. Run
by path, with the standard library only: what it would import is what it saves.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

ADDRESS = "MLOPS_WARM"
"""The variable by which a process finds the server that it came from."""
PATIENCE = 120.0
"""Seconds that a server may take for its imports before it answers; on a busy machine others take as long."""


def connect(address: str, variables: Mapping[str, str]) -> socket.socket | None:
    """A connection that speaks what `zygote.py` speaks; None when this process has to start its own."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(address)
        hello = b""
        while not hello.endswith(b"\n"):
            more = connection.recv(1)
            if not more:
                raise ConnectionResetError
            hello += more
    except ConnectionRefusedError:
        # A server that was killed left its name: without it, the next one is started.
        connection.close()
        with contextlib.suppress(OSError):
            os.unlink(address)  # noqa: PTH108 (pathlib would be an import)
        return None
    except OSError:
        connection.close()
        return None
    said = json.loads(hello)
    prefixes = tuple(said["prefixes"])
    here = {n: v for n, v in variables.items() if n.startswith(prefixes) and n not in said["except"]}
    if here != said["early"]:
        connection.close()
        return None
    connection.settimeout(None)
    return connection


def run(connection: socket.socket, address: str, program: list[str], variables: Mapping[str, str]) -> int:
    """Run it to its end with these variables; its exit code, 128 and more for a signal as in a shell."""
    request = {
        "id": "1", "argv": program, "cwd": os.getcwd(), "env": {**variables, ADDRESS: address},  # noqa: PTH109
    }  # fmt: skip

    def forward(number: int, _: FrameType | None) -> None:
        connection.sendall(json.dumps({"kill": "1", "signal": number}).encode() + b"\n")

    socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], [0, 1, 2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    return _exit_code(connection)


def _exit_code(connection: socket.socket) -> int:
    answers = connection.makefile("rb")
    for line in answers:
        answer: dict[str, Any] = json.loads(line)
        if "exit" in answer:
            code: int = answer["exit"]
            return code if code >= 0 else 128 - code
    sys.stderr.write("the process that ran this command ended unexpectedly\n")
    return 1


def main() -> int:
    """Entry point."""
    address, program = sys.argv[1], sys.argv[2:]
    connection = connect(address, os.environ)
    if connection is None:
        os.execv(program[0], program)  # noqa: S606 (no shell around it)
    return run(connection, address, program, os.environ)


if __name__ == "__main__":
    sys.exit(main())
