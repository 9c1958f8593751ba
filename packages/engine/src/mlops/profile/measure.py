"""Drive an endpoint at rising concurrency and measure both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psutil

from mlops.errors import TargetError
from mlops.profile.client import Request, drive
from mlops.profile.model import Point
from mlops.profile.server import ServerProcess, Usage

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
WARM_UP = 0.5
WORKING = 0.05
"""Cores from which on a process counts as a worker; a parent that only waits is none."""


def measure(
    one: Request,
    server: ServerProcess | None,
    *,
    connections: Sequence[int] = CONNECTIONS,
    seconds: float = 3.0,
    enough: float | None = None,
    progress: Callable[[Point], None] = lambda point: None,
) -> list[Point]:
    """A point for each of `connections`; ends early after a p99 (seconds) four times over `enough`.

    Raises `TargetError` when the endpoint cannot be reached, or does not answer one request.
    """
    first = drive(one, 1, WARM_UP)
    if not first.latencies:
        raise TargetError(f"the endpoint does not answer a sample request: {first.reason or 'no answer'}")
    points: list[Point] = []
    for count in sorted(set(connections)):
        point = _point(one, server, count, seconds)
        points.append(point)
        progress(point)
        if enough is not None and point.p99 > 4 * enough:
            break
    return points


def _point(one: Request, server: ServerProcess | None, connections: int, seconds: float) -> Point:
    try:
        before = server.usage() if server is not None else None
        busy = _busy()
        load = drive(one, connections, seconds)
        after = server.usage() if server is not None else None
        busy = _busy() - busy
    except psutil.NoSuchProcess:
        raise TargetError("the server ended while it was measured; its log says why") from None
    used = _used(before, after)
    return Point(
        connections=connections,
        rate=len(load.latencies) / seconds,
        failures=load.failures,
        reason=load.reason,
        **quantiles(load.latencies),
        cpu=sum(used) / seconds if used else None,
        memory_bytes=after.memory_bytes if after is not None else None,
        workers=max(1, sum(cpu > WORKING * seconds for cpu in used)) if used else None,
        client_cpu=load.client_cpu / seconds,
        others_cpu=max(0.0, busy - sum(used) - load.client_cpu) / seconds if server is not None else 0.0,
    )


def _busy() -> float:
    """CPU seconds of all cores of this machine, since it was started."""
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "nice", 0.0))


def _used(before: Usage | None, after: Usage | None) -> list[float]:
    """CPU seconds in between, a process of the server each; empty when they are not known."""
    if before is None or after is None:
        return []
    return [used - before.cpu_seconds.get(pid, 0.0) for pid, used in after.cpu_seconds.items()]


def quantiles(latencies: Sequence[float]) -> dict[str, float]:
    """Nearest rank of 50, 90 and 99 %, and the worst; zeros when there is none."""
    ordered = sorted(latencies)
    if not ordered:
        return dict.fromkeys(("p50", "p90", "p99", "worst"), 0.0)

    def rank(share: float) -> float:
        return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1))]

    return {"p50": rank(0.5), "p90": rank(0.9), "p99": rank(0.99), "worst": ordered[-1]}
