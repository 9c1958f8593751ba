"""`python …/warm.py SOCKET SECONDS MODULE…`: imports modules once, then is a step server for each connection.

Importing MLflow takes longer than most of what a verb does. Where many short processes follow each other, as
in the jobs of the local forge, they are forked from here. Run by path, with the standard library only, for
the reason that `zygote.py` gives. Ends when its socket's file is gone, or when nobody came for SECONDS.

The first line to a client is {early: {variable: value}, prefixes, except}: the variables that had been read
when the modules were imported and cannot be changed in a fork, and how they are told from others. A client
for whom they differ goes without. So does everybody once a file that was imported is another one on disk:
the server then ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time

import zygote  # type: ignore[import-not-found]  # beside this script

_LOOK = 1.0
"""Seconds between two looks at whether it is still wanted."""


def main() -> None:
    """Entry point."""
    path, idle, modules = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    hello = {"early": zygote.early(os.environ), "prefixes": zygote.EARLY, "except": zygote.LATE}
    for name, value in zygote.BETTER.items():
        os.environ.setdefault(name, value)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        draft = f"{path}.{os.getpid()}"
        listener.bind(draft)
        listener.listen(64)
        # The name appears with somebody behind it, and takes over from one that is there.
        os.rename(draft, path)  # noqa: PTH104 (pathlib would be an import)
        _serve(listener, path, idle, modules, json.dumps(hello).encode() + b"\n")


def _serve(listener: socket.socket, path: str, idle: float, modules: list[str], hello: bytes) -> None:
    own = os.stat(path).st_ino  # noqa: PTH116
    busy: set[int] = set()
    last = time.monotonic()
    imported: dict[str, tuple[int, int] | None] = {}
    while time.monotonic() - last < idle and _inode(path) == own:
        if modules:
            # Who comes meanwhile waits: a fork of now would import the rest a second time.
            zygote.import_next(modules)
            files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
            imported |= {f: _seen(f) for f in files if isinstance(f, str) and f not in imported}
            last = time.monotonic()
            continue
        listener.settimeout(_LOOK)
        with contextlib.suppress(TimeoutError):
            connection, _ = listener.accept()
            if any(_seen(name) != seen for name, seen in imported.items()):
                connection.close()
                break
            pid = os.fork()
            if pid == 0:
                listener.close()
                connection.settimeout(None)
                connection.sendall(hello)
                zygote.answer(connection)
            connection.close()
            busy.add(pid)
        busy = {pid for pid in busy if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        if busy:
            last = time.monotonic()
    if _inode(path) == own:
        os.unlink(path)  # noqa: PTH108


def _seen(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino  # noqa: PTH116
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
