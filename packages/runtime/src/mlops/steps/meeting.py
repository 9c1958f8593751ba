"""The processes of a distributed step find each other. Azure ML tells each its number and the address of the
first; LightGBM wants the addresses of all. See docs/scaling.md."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

from mlops.errors import TargetError

PATIENCE = 120.0
"""Seconds until all processes must be there."""
_SHORT = 4096
"""Bytes of what a process says of itself, at most."""


def lightgbm(patience: float = PATIENCE) -> dict[str, Any]:
    """Parameters with which LightGBM trains one model in all processes of this step; none for a single one.

    Each process gives its own share of the rows. Raises `TargetError` when they do not meet in time.
    """
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return {}
    port = _free_port()
    machines = meet(rank, count, port, patience)
    return {
        "num_machines": count,
        "machines": ",".join(machines),
        "local_listen_port": port,
        "tree_learner": "data",
        "pre_partition": True,
        "time_out": max(1, round(patience / 60)),
    }


def meet(rank: int, count: int, port: int, patience: float = PATIENCE) -> list[str]:
    """`address:port` of each process, by rank; `port` is where this one will listen."""
    first = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    until = time.monotonic() + patience
    try:
        if rank == 0:
            return _receive(first, count, port, until)
        return _ask(first, rank, port, until)
    except (OSError, ValueError) as error:
        raise TargetError(
            f"process {rank} of {count} did not meet the others at {first[0]}:{first[1]} in {patience:g} s "
            f"({error}); see in their logs why one did not come"
        ) from None


def _receive(first: tuple[str, int], count: int, port: int, until: float) -> list[str]:
    machines = {0: f"{first[0]}:{port}"}
    waiting: list[socket.socket] = []
    with socket.create_server(first) as server:
        try:
            while len(machines) < count:
                server.settimeout(max(0.01, until - time.monotonic()))
                one, (address, _) = server.accept()
                one.settimeout(5)
                try:
                    said = json.loads(one.makefile().readline(_SHORT))
                    rank, theirs = int(said["rank"]), int(said["port"])
                except (OSError, ValueError, KeyError, TypeError):
                    one.close()  # whoever that is: no process of this step
                    continue
                waiting.append(one)
                if 0 < rank < count:
                    machines[rank] = f"{address}:{theirs}"
            everyone = [machines[rank] for rank in range(count)]
            for one in waiting:
                one.sendall(json.dumps(everyone).encode() + b"\n")
            return everyone
        finally:
            for one in waiting:
                one.close()


def _ask(first: tuple[str, int], rank: int, port: int, until: float) -> list[str]:
    while True:
        left = max(0.01, until - time.monotonic())
        try:
            connection = socket.create_connection(first, timeout=left)
            break
        except ConnectionError:  # the first process is not there yet
            if left <= 0.01:
                raise
            time.sleep(0.05)
    with connection:
        connection.sendall(json.dumps({"rank": rank, "port": port}).encode() + b"\n")
        connection.settimeout(max(0.01, until - time.monotonic()))
        return [str(machine) for machine in json.loads(connection.makefile().readline())]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
