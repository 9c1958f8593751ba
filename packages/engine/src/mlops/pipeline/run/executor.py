"""Processes of steps, run through the step server (`zygote.py`) that forks instead of importing anew."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import TargetError
from mlops.pipeline.run import warm_start
from mlops.pipeline.run.zygote import BETTER, EARLY
from mlops.spec import engine

PRELOAD = (
    "pandas",
    "pyarrow.parquet",
    "narwhals",
    "duckdb",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "pandera.pandas",
    "pandera.backends.pandas.builtin_checks",
    "sklearn.ensemble",
    "sklearn.pipeline",
    "mlflow.sklearn",
    "skops.io",
    "onnx",
    "onnxruntime",
    "skl2onnx",
    "matplotlib.pyplot",
)
"""Third-party modules that steps use, in the order in which the first steps need them."""
_AT_ONCE = PRELOAD.index("mlflow.store.tracking.sqlalchemy_store") + 1
"""So many of them every first step needs: a step that came before would import them a second time."""

_ZYGOTE = Path(__file__).with_name("zygote.py")
_QUOTED = re.compile(r"'[^']*'")
_SHELL = frozenset('$`*?~[]{}()<>|&;#!\n"\\')
_WATCH = 0.25
"""Seconds between two questions whether a process shall end."""
_GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""


@dataclass(frozen=True)
class Invocation:
    """A step's process: one of `argv` (after `python`) and `shell`."""

    argv: tuple[str, ...] = ()
    shell: str = ""


def plan_invocation(command: str, variables: Mapping[str, str]) -> Invocation:
    """Fork when `command` is one plain `python x.py …` or `python -m x …`, else `bash -c`.

    `variables` are those that the step itself sets: one that is read at start-up needs a process of its own.
    """
    joined = command.replace("\\\n", " ").strip()
    plain = not _SHELL & set(_QUOTED.sub("", joined)) and not any(v.startswith(EARLY) for v in variables)
    words = shlex.split(joined) if plain else []
    if len(words) >= 2 and words[0] in ("python", "python3"):
        if words[1] == "-m" and len(words) >= 3:
            return Invocation(argv=tuple(words[1:]))
        if words[1].endswith(".py"):
            return Invocation(argv=tuple(words[1:]))
    return Invocation(shell=command)


class StepServer:
    """One step server process. `run` and `warm` may be called from several threads at once.

    `preload`: third-party modules that steps find imported already, once `warm` was called.
    """

    def __init__(self, preload: Sequence[str] = PRELOAD) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        # The warm server makes a step server at once.
        self._socket = warm_start.connect() or self._start()
        self._write = threading.Lock()
        self._changed = threading.Condition()
        self._exits: dict[str, int] = {}
        self._gone = False
        self._count = 0
        self._running: set[str] = set()
        self._preload = list(preload)
        threading.Thread(target=self._read, name="step-server", daemon=True).start()

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        # Read when OpenMP loads, which is here and not in the fork.
        env = {**BETTER, **os.environ, "PYTHONUNBUFFERED": "1"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(_ZYGOTE), str(theirs.fileno())],
                env=env,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return ours

    def run(
        self,
        invocation: Invocation,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        stop: Callable[[], bool] | None = None,
        *,
        record: Path | None = None,
    ) -> int:
        """Run to the end; the exit code, negative for a signal. Raises `TargetError` when the server died.

        `stop` is asked a few times a second; once it says yes, this process is ended. `record`: where the
        process writes what it used; not written when that cannot be known.
        """
        with self._changed:
            self._count += 1
            name = str(self._count)
            self._running.add(name)
        request: dict[str, object] = {"id": name, "cwd": str(cwd), "env": dict(env), "log": str(log)}
        if record is not None and not invocation.shell:
            request["record"] = str(record)
            request["engine"] = [os.path.join(root, "") for root in engine.roots()]  # noqa: PTH118
        request |= {"shell": invocation.shell} if invocation.shell else {"argv": list(invocation.argv)}
        self._send(request)
        if stop is not None:
            self._stop_when(name, stop)
        with self._changed:
            self._changed.wait_for(lambda: name in self._exits or self._gone)
            if name not in self._exits:
                raise TargetError(
                    "the process that starts the steps ended unexpectedly (often: the machine ran out of "
                    "memory); run again, finished steps are kept"
                )
            return self._exits.pop(name)

    def _stop_when(self, name: str, stop: Callable[[], bool]) -> None:
        """Return when the process has ended, or has been told to."""
        while not self._ended(name, _WATCH):
            if stop():
                for number in (signal.SIGTERM, signal.SIGKILL):
                    self._send({"kill": name, "signal": int(number)}, quiet=True)
                    if self._ended(name, _GRACE):
                        return
                return

    def _ended(self, name: str, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: name in self._exits or self._gone, seconds)

    def warm(self) -> None:
        """Start the imports; a step that comes meanwhile starts between two of them, and after the first."""
        with self._changed:
            modules, self._preload = self._preload, []
        if modules:
            at_once = _AT_ONCE if tuple(modules) == PRELOAD else 0
            self._send({"preload": modules, "at_once": at_once})

    @property
    def alive(self) -> bool:
        """Whether it can run steps."""
        with self._changed:
            return not self._gone

    def stop_steps(self) -> None:
        """End all steps: SIGTERM to their process groups, SIGKILL after a moment."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self._changed:
                names = list(self._running)
            for name in names:
                self._send({"kill": name, "signal": int(number)}, quiet=True)
            with self._changed:
                self._changed.wait_for(lambda: self._gone or not self._running, _GRACE)

    def close(self) -> None:
        """End the server and whatever still runs."""
        self._socket.shutdown(socket.SHUT_RDWR)
        if self._process is not None:
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                # It is inside an import and will not look at its socket soon.
                self._process.kill()
                self._process.wait()
        self._socket.close()

    def _send(self, message: Mapping[str, object], *, quiet: bool = False) -> None:
        try:
            with self._write:
                self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            if not quiet:
                raise TargetError("the process that starts the steps has ended; run again") from None

    def _read(self) -> None:
        buffer = b""
        while True:
            try:
                chunk = self._socket.recv(1 << 16)
            except OSError:
                chunk = b""
            if not chunk:
                break
            buffer += chunk
            *lines, buffer = buffer.split(b"\n")
            with self._changed:
                for line in lines:
                    message = json.loads(line)
                    if "exit" in message:
                        self._exits[message["id"]] = message["exit"]
                        self._running.discard(message["id"])
                self._changed.notify_all()
        with self._changed:
            self._gone = True
            self._changed.notify_all()
