"""A distributed step on one machine: its processes, with the variables that Azure ML gives them.

A laptop is one instance: `instance_count` is for Azure ML, and the step says so.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mlops.errors import TargetError
from mlops.pipeline.parts import Step
from mlops.pipeline.run.executor import Invocation, StepServer

_HOST = "127.0.0.1"
_MPI = {
    # As many processes as asked for, whatever the number of cores; Open MPI 4 and 5.
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


@dataclass(frozen=True)
class Spread:
    """How a step runs here: the extra variables of each process, what starts them, what to tell."""

    variables: tuple[Mapping[str, str], ...] = ({},)
    launcher: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def note(self) -> str:
        return "; ".join(self.notes)


def spread(step: Step) -> Spread:
    """What the step's distribution amounts to here. Raises `TargetError` when it cannot be had."""
    chosen = step.distribution
    instances = (step.resources.instance_count if step.resources else None) or 1
    notes = (f"1 instance here, {instances} on Azure ML",) if instances > 1 else ()
    if chosen is None:
        return Spread(notes=notes)
    count = chosen.process_count_per_instance or 1
    if chosen.type == "pytorch":
        started = (f"{count} processes",) if count > 1 else ()
        return Spread(_torch(count), notes=(*started, *notes))
    if chosen.type == "mpi":
        return Spread(*_mpi(step.name, count), (*((f"{count} processes",) if count > 1 else ()), *notes))
    if chosen.type == "ray":
        return Spread(notes=("1 process; ray.init() starts Ray on this machine", *notes))
    workers = (chosen.worker_count or instances) + (chosen.parameter_server_count or 0)
    if workers > 1:
        raise TargetError(
            f"step {step.name!r} is distributed by TensorFlow over {workers} processes, which this machine "
            "does not start; run it on Azure ML (--target azure), or set worker_count to 1 to try it here"
        )
    return Spread(notes=notes)


def run(
    server: StepServer,
    planned: Spread,
    invocation: Invocation,
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    stop: Callable[[], bool] | None = None,
    record: Path | None = None,
) -> tuple[int, Path]:
    """Run all processes of a step; the exit code of the first that failed, or 0, and its log.

    When one fails the others are ended, for they would wait for it; all are once `stop` says yes.
    `record`: see `StepServer.run`.
    """
    if planned.launcher:
        given = invocation.shell or shlex.join(("python", *invocation.argv))
        invocation = Invocation(shell=shlex.join((*planned.launcher, "bash", "-c", given)))
    if len(planned.variables) == 1:
        return server.run(invocation, cwd, {**env, **planned.variables[0]}, log, stop, record=record), log
    failed = threading.Event()
    ended: list[tuple[int, Path]] = []

    def ends() -> bool:
        return failed.is_set() or (stop is not None and stop())

    def one(rank: int) -> None:
        own = log if rank == 0 else log.with_suffix(f".rank{rank}.log")
        if rank:
            own.write_text(f"$ rank {rank} of {log.name}\n", encoding="utf-8")
        code = server.run(invocation, cwd, {**env, **planned.variables[rank]}, own, ends)
        if code:
            ended.append((code, own))
            failed.set()

    with ThreadPoolExecutor(len(planned.variables), thread_name_prefix="rank") as pool:
        for future in [pool.submit(one, rank) for rank in range(len(planned.variables))]:
            future.result()
    return ended[0] if ended else (0, log)


def _torch(count: int) -> tuple[Mapping[str, str], ...]:
    """What `torch.distributed.init_process_group(init_method="env://")` reads."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port = str(probe.getsockname()[1])
    common = {"MASTER_ADDR": _HOST, "MASTER_PORT": port, "WORLD_SIZE": str(count), "NODE_RANK": "0"}
    return tuple({**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count))


def _mpi(name: str, count: int) -> tuple[tuple[Mapping[str, str], ...], tuple[str, ...]]:
    if count == 1:
        return ({},), ()
    program = shutil.which("mpirun")
    if program is None:
        raise TargetError(
            f"step {name!r} starts {count} processes by MPI, and mpirun is not on PATH; install it "
            "(apt-get install openmpi-bin), run the step on Azure ML (--target azure), or set "
            "process_count_per_instance to 1"
        )
    return ({**_MPI, **(_ROOT if os.geteuid() == 0 else {})},), (program, "-n", str(count))
