"""The step server: imports heavy libraries once, then forks a process for each step.

Run by path as a script of its own, with the standard library only: nothing of the project may be loaded here,
because a step must import the project from its code snapshot. It never starts a thread, so that forking is
safe: libraries are imported, not used (OpenBLAS's pool, which `import numpy` starts, stops around a fork).

Requests and answers are JSON lines on the socket whose descriptor is the argument.
Request: {id, argv | shell, cwd, env, log}, {kill: id, signal} or {preload: [module], at_once: count}. In
place of a log three descriptors may come with the request: its standard input, output and error. With
`record`, a path, and `engine`, folders, the process writes there which Python files it used and whether it
started others (see `used.py`).
Answers: {id, pid}, {id, exit}.
Requests are served between two imports too: a step that comes early imports what is missing itself.
When the socket closes, the runner is gone: all steps are killed, so that a `kill -9` leaves no orphan.
"""

from __future__ import annotations

import _posixsubprocess
import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NoReturn

# Read while an interpreter starts or a library loads: too late in a fork.
EARLY = (
    "PYTHON",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "KMP_",
    "NUMEXPR_",
    "LD_",
    "DYLD_",
    "MALLOC_",
    "LC_",
    "LANG",
    "TZ",
)
LATE = ("PYTHONPATH", "PYTHONUNBUFFERED")
"""What `run` makes up for."""
# Threads that wait must not burn a core that the next step could use: on two busy cores a fit took ten times
# as long.
BETTER = {"OMP_WAIT_POLICY": "PASSIVE", "MLFLOW_DISABLE_TELEMETRY": "true", "MPLBACKEND": "agg"}


def early(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of `variables` that a fork cannot change."""
    return {n: v for n, v in variables.items() if n.startswith(EARLY) and n not in LATE}


class Server:
    """Single-threaded: one socket, one wake-up pipe for SIGCHLD, one child a step."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""
        self.children: dict[int, str] = {}
        self.modules: list[str] = []
        self.given: list[int] = []
        """Descriptors that came with the request that is being read."""
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_read, False)
        os.set_blocking(self.wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        # They reach the whole group of a terminal; the runner decides what becomes of the steps.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def serve(self, timeout: float | None) -> dict[str, Any] | None:
        """Handle what is pending. Returns a request in the process that must run it, None in the server."""
        sources: list[Any] = [self.connection, self.wake_read]
        ready, _, _ = select.select(sources, [], [], timeout)
        if self.wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake_read, 4096)
        self._reap()
        if self.connection not in ready:
            return None
        try:
            chunk, given, _, _ = socket.recv_fds(self.connection, 1 << 16, 3)
        except ConnectionError:  # a runner that was killed before it had read an answer
            self._leave()
        if not chunk:
            self._leave()
        self.buffer += chunk
        self.given += given
        while b"\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\n")
            request = json.loads(line)
            if "kill" in request:
                self._signal(request["kill"], request["signal"])
            elif "preload" in request:
                self.modules += request["preload"]
                for _ in range(request["at_once"]):
                    import_next(self.modules)
            elif self._fork(request):
                return {**request, "streams": self.given}
            else:
                while self.given:
                    os.close(self.given.pop())
        return None

    def _fork(self, request: dict[str, Any]) -> bool:
        """True in the child."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            return True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        self.children[pid] = request["id"]
        self._answer({"id": request["id"], "pid": pid})
        return False

    def _reap(self) -> None:
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if (name := self.children.pop(pid, None)) is not None:
                self._kill_group(pid, signal.SIGKILL)
                self._answer({"id": name, "exit": os.waitstatus_to_exitcode(status)})

    def _answer(self, message: dict[str, Any]) -> None:
        try:
            self.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._leave()

    def _signal(self, name: str, number: int) -> None:
        for pid, owner in self.children.items():
            if owner == name:
                self._kill_group(pid, number)

    def _kill_group(self, pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)

    def _leave(self) -> None:
        for pid in self.children:
            self._kill_group(pid, signal.SIGKILL)
        os._exit(0)

    def become_child(self) -> None:
        """Undo in the child what makes the server a server."""
        with contextlib.suppress(PermissionError):
            os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.connection.close()
        os.close(self.wake_read)
        os.close(self.wake_write)


def _take_streams(request: dict[str, Any]) -> None:
    streams = request["streams"]
    if not streams:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        streams = [os.open(os.devnull, os.O_RDONLY), log, os.dup(log)]
    for target, source in enumerate(streams):
        os.dup2(source, target)
        os.close(source)


def run(request: dict[str, Any]) -> None:
    """In the child: become the step that was asked for, as if `python` or `bash` had been started anew."""
    _take_streams(request)
    os.chdir(request["cwd"])
    if "shell" in request:
        os.execvpe("bash", ["bash", "-c", request["shell"]], request["env"])  # noqa: S606 (no shell around it)
    os.environ.clear()
    os.environ.update(request["env"])
    if "record" in request:
        _USED.begin()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=True)  # type: ignore[union-attr]
    if "numpy" in sys.modules:
        # Forked processes would otherwise draw the same "random" numbers.
        sys.modules["numpy"].random.seed()
    # An interpreter reads it when it starts.
    sys.path[1:1] = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    argv = request["argv"]
    if argv[0] == "-m":
        sys.argv = argv[1:]
        sys.path[0] = os.getcwd()  # noqa: PTH109 (pathlib would be an import)
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        script = os.path.abspath(argv[0])  # noqa: PTH100 (as the interpreter names it)
        sys.path[0] = os.path.dirname(script)  # noqa: PTH120
        runpy.run_path(script, run_name="__main__")


class Used:
    """What a process reads of Python, and whether it starts others, which may read more."""

    # Programs that tell about this machine or repository and run none of its modules.
    HARMLESS = frozenset(("uname", "git", "fc-list", "lscpu", "ldconfig", "hostname", "nvidia-smi"))
    STARTS = frozenset(
        ("os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.spawn", "os.system", "pty.spawn")
    )

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.folder = ""
        self.started = False

    def begin(self) -> None:
        """From now on. What multiprocessing starts raises no audit event."""
        self.folder = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118
        sys.addaudithook(self.listen)
        start = _posixsubprocess.fork_exec

        def fork_exec(*arguments: Any) -> Any:
            self.started = True
            return start(*arguments)

        _posixsubprocess.fork_exec = fork_exec

    def listen(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook."""
        if event == "open":
            name = arguments[0]
            if isinstance(name, str) and name.endswith(".py"):
                self.files.add(os.path.abspath(name))  # noqa: PTH100
        elif event == "subprocess.Popen":
            self.started |= os.path.basename(str(arguments[0])) not in self.HARMLESS  # noqa: PTH119
        elif event in self.STARTS:
            self.started = True

    def write(self, path: str, engine: list[str]) -> None:
        """Also what was imported in another way than by `open`; nothing where there is no room for it.

        `engine`: folders of the engine, whose modules count as the code does; this server's do not.
        """
        origins = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        self.files |= {os.path.abspath(o) for o in origins if isinstance(o, str)}  # noqa: PTH100
        own = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")  # noqa: PTH100, PTH118, PTH120
        counts = (name for name in self.files if name.startswith((self.folder, *engine)))
        files = sorted(name for name in counts if not name.startswith(own))
        with contextlib.suppress(OSError), open(path, "w", encoding="utf-8") as stream:  # noqa: PTH123
            json.dump({"files": files, "started": self.started}, stream)


_USED = Used()


def _exit_code(request: dict[str, Any]) -> int:
    """Run the step and answer as the interpreter would."""
    code = _ran(request)
    if code == 0 and "record" in request:
        _USED.write(request["record"], request["engine"])
    return code


def _ran(request: dict[str, Any]) -> int:
    try:
        run(request)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BaseException as error:  # noqa: BLE001 (the top of the process: report as the interpreter does)
        traceback.print_exception(type(error), error, _own(error.__traceback__))
        return 1
    return 0


def _own(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without this file and what starts a program: it begins in the step's code."""
    shown = trace
    while shown is not None and shown.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        shown = shown.tb_next
    return shown or trace


def _leave(code: int) -> NoReturn:
    """End without C++ destructors of preloaded libraries: they join threads that the fork did not copy."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def import_next(modules: list[str]) -> None:
    """Import and drop the first of `modules`; after the last one forks share their memory."""
    # A library that is absent or broken is for those to report who need it.
    with contextlib.suppress(Exception):
        importlib.import_module(modules.pop(0))
    if not modules:
        gc.collect()
        gc.freeze()


def answer(connection: socket.socket) -> NoReturn:
    """Serve one connection to its end; forks return from here as the processes that were asked for."""
    server = Server(connection)
    while True:
        request = server.serve(0 if server.modules else None)
        if request is not None:
            server.become_child()
            del server
            _leave(_exit_code(request))
        if server.modules:
            import_next(server.modules)


if __name__ == "__main__":
    answer(socket.socket(fileno=int(sys.argv[1])))
