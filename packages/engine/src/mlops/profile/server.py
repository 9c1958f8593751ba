"""CPU time and memory of a server on this machine: its process and all that it started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil


@dataclass(frozen=True)
class Usage:
    """At one moment."""

    cpu_seconds: Mapping[int, float]
    """By process, since it was started; a process that has ended keeps what it had used."""
    memory_bytes: int
    """Proportional share (PSS) where the system tells it, resident size elsewhere."""


class ServerProcess:
    """The process tree that listens on the port of a URL of this machine."""

    def __init__(self, root: psutil.Process) -> None:
        self._root = root
        self._seen: dict[int, float] = {}

    @classmethod
    def behind(cls, url: str) -> ServerProcess | None:
        """None when the URL is of another machine, or its process may not be looked at."""
        parts = urlsplit(url)
        if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            return None
        try:
            listening = {
                c.pid
                for c in psutil.net_connections("tcp")
                if c.status == psutil.CONN_LISTEN and c.pid is not None and c.laddr[1:2] == (parts.port,)
            }
            # Workers that share a socket all listen; their common parent is the server.
            roots = [p for p in map(psutil.Process, listening) if p.ppid() not in listening]
        except psutil.Error:
            return None
        return cls(roots[0]) if len(roots) == 1 else None

    def usage(self) -> Usage:
        """Raises `psutil.NoSuchProcess` when the server has ended."""
        tree = [self._root, *self._root.children(recursive=True)]
        memory = alive = 0
        for process in tree:
            try:
                times = process.cpu_times()
                memory += _memory(process)
            except psutil.NoSuchProcess:
                continue
            self._seen[process.pid] = times.user + times.system
            alive += 1
        if not alive:
            raise psutil.NoSuchProcess(self._root.pid)
        return Usage(dict(self._seen), memory)


def _memory(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    return int(getattr(full, "pss", 0) or full.rss)
