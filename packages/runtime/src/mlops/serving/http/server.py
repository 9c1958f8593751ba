"""The process of an endpoint: `python -m mlops.serving.http.server --state DIR`.

It loads what `endpoint.json` names, then listens; a SIGTERM drains it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from mlops.errors import InvalidInput, MlopsError, TargetError
from mlops.serving.capture.recorder import FOLDER, open_capture
from mlops.serving.http.app import App
from mlops.serving.http.guard import (
    ANSWER_SECONDS,
    BODY_SECONDS,
    HEADER_SECONDS,
    KEEP_ALIVE_SECONDS,
    GuardedProtocol,
    GuardedServer,
)
from mlops.serving.http.lane import LaneProtocol
from mlops.serving.http.router import DRAIN_SECONDS, Router
from mlops.serving.http.state import FOLLOWING, KEYS, ServerState, read_keys, read_state, write_state
from mlops.serving.score.lock import Lock
from mlops.serving.score.request import Limits

log = logging.getLogger("mlops.serving")

GARBAGE = 20_000
"""Allocations, less deallocations, after which the collector looks for cycles."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="mlops.serving.http.server", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the endpoint's state folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--notice", type=float, default=0.5, help="seconds of service after SIGTERM")
    parser.add_argument(
        "--header-seconds", type=float, default=HEADER_SECONDS, help="deadline for a request's headers"
    )
    parser.add_argument("--body-seconds", type=float, default=BODY_SECONDS, help="deadline for its body")
    parser.add_argument(
        "--answer-seconds", type=float, default=ANSWER_SECONDS, help="deadline for taking an answer"
    )
    parser.add_argument(
        "--keep-port", action="store_true", help="end where another process has the port; choose no other"
    )
    options = parser.parse_args(argv)
    GuardedProtocol.header_seconds = options.header_seconds
    GuardedProtocol.body_seconds = options.body_seconds
    GuardedProtocol.answer_seconds = options.answer_seconds
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    try:
        with Lock(options.state) as lock:
            state = read_state(options.state)
            if state is None:
                raise InvalidInput(f"{options.state} holds no endpoint")
            sock, state = _bind(options.state, state, options.host, keep=options.keep_port)
            _serve(options.state, lock, state, sock, options.notice)
    except MlopsError as error:
        log.critical("%s", error)
        return error.exit_code
    return 0


def _serve(folder: Path, lock: Lock, state: ServerState, sock: socket.socket, notice: float) -> None:
    limits = Limits()
    lock.announce(state.port)
    router = Router(folder, state, limits)
    app = App(router, read_keys(folder), limits, open_capture(folder / FOLDER, state.capture))
    config = uvicorn.Config(
        app,
        http=LaneProtocol,
        loop="uvloop",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(DRAIN_SECONDS),
    )
    server = GuardedServer(config, app, notice)

    async def run() -> None:
        await router.start()
        for name, reason in router.table.failed.items():
            log.error("deployment %s cannot be loaded: %s", name, reason)
        # What was loaded so far stays: the collector need not look at it again. A request leaves no cycle,
        # and its few objects need not be looked through for one every 700 allocations either.
        gc.freeze()
        gc.set_threshold(GARBAGE)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _rekey, folder, app)
        await server.serve(sockets=[sock])

    import uvloop

    host = sock.getsockname()[0]
    log.info("serving %s in %s on http://%s:%d", state.model, state.environment, host, state.port)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    if app.scoring.capture is not None:
        app.scoring.capture.close()


def _rekey(folder: Path, app: App) -> None:
    """Read the keys again: who wrote them asks for it by SIGHUP. What cannot be read changes nothing."""
    try:
        pairs = [read_keys(folder, name) for name in (KEYS, FOLLOWING)]
    except MlopsError as error:
        log.warning("the keys stay as they are: %s", error)
        return
    if any(pairs):
        app.rekey([keys for keys in pairs if keys is not None])
        log.info("the keys were read again")


def _bind(folder: Path, state: ServerState, host: str, *, keep: bool) -> tuple[socket.socket, ServerState]:
    """A bound socket on the persisted port; where another process has that one, on a new one, or none."""
    for port in (state.port,) if keep else dict.fromkeys((state.port, 0)):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            sock.close()
            if keep:
                raise TargetError(
                    f"port {port} of {host} can't be had ({error.strerror}); end what listens there, or set "
                    "MLOPS_PORT to another"
                ) from None
            log.warning("port %d of %s is not free (%s); choosing another", port, host, error.strerror)
            continue
        chosen = state.model_copy(update={"port": sock.getsockname()[1]})
        if chosen != state:
            write_state(folder, chosen)
        return sock, chosen
    raise TargetError(f"no port of {host} can be bound")


if __name__ == "__main__":
    sys.exit(main())
