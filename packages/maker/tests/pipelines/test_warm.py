"""A program that is forked from the warm server is as if it had been started here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mlops.pipeline.run
from mlops.pipeline.run import warm_start
from mlops.pipeline.run.executor import Invocation, StepServer
from mlops.pipeline.run.warm_client import ADDRESS, connect

CODE = Path(mlops.pipeline.run.__file__).parent
PATIENCE = 20.0
TELLS = """
import json, os, sys
import beside
json.dump({"argv": sys.argv[1:], "cwd": os.getcwd(), "mine": os.environ.get("MINE"), "read": sys.stdin.read(),
           "warm": "decimal" in sys.modules, "beside": beside.VALUE}, sys.stdout)
sys.stderr.write("to error")
sys.exit(7)
"""


def until(condition: Callable[[], bool]) -> bool:
    """Whether it became true in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class World:
    """A warm server with one small module, and programs for it."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.folder, self.address = folder, sockets / "warm"
        self.servers: list[subprocess.Popen[bytes]] = []

    def start(self, *modules: str, idle: float = 60.0) -> subprocess.Popen[bytes]:
        """A server that has imported `modules`."""
        last = self.folder / "last"
        last.unlink(missing_ok=True)
        (self.folder / "imported_last.py").write_text("open('last', 'w')\n")
        modules = (*modules, "imported_last")
        command = [sys.executable, str(CODE / "warm.py"), str(self.address), str(idle), *modules]
        # A path of modules is no variable for which a client goes without.
        server = subprocess.Popen(
            command, cwd=self.folder, env={**os.environ, "PYTHONPATH": str(self.folder)}
        )
        self.servers.append(server)
        assert until(last.exists)
        return server

    def program(self, text: str) -> Path:
        path = self.folder / "program"
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(0o755)
        return path

    def client(self, program: Path, *arguments: str) -> list[str]:
        script = str(CODE / "warm_client.py")
        return [sys.executable, "-SEs", script, str(self.address), str(program), *arguments]

    def stop(self) -> None:
        self.address.unlink(missing_ok=True)
        for server in self.servers:
            server.kill()
            server.wait()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    # A socket's name is short, and pytest's folders are not.
    sockets = Path(tempfile.mkdtemp(prefix="warm"))
    made = World(tmp_path, sockets)
    yield made
    made.stop()
    shutil.rmtree(sockets)


def told(world: World, tmp_path: Path, **variables: str) -> tuple[dict[str, object], str, int]:
    """What `TELLS` says of itself."""
    beside = tmp_path / "beside"
    beside.mkdir(exist_ok=True)
    (beside / "beside.py").write_text("VALUE = 5\n")
    done = subprocess.run(
        world.client(world.program(TELLS), "a b", "--c"), cwd=beside, input="said", text=True, check=False,
        capture_output=True, env={**os.environ, "MINE": "yes", "PYTHONPATH": str(beside), **variables},
    )  # fmt: skip
    return json.loads(done.stdout), done.stderr, done.returncode


def test_it_is_as_if_it_had_been_started_here(world: World, tmp_path: Path) -> None:
    server = world.start("decimal")
    said, error, code = told(world, tmp_path)
    assert said["argv"] == ["a b", "--c"]
    assert said["cwd"] == str(tmp_path / "beside")
    assert (said["mine"], said["read"], said["beside"]) == ("yes", "said", 5)
    assert (error, code) == ("to error", 7)
    assert said["warm"], "it was not forked from the server"
    assert server.poll() is None


def test_without_a_server_the_program_itself_is_started(world: World, tmp_path: Path) -> None:
    said, error, code = told(world, tmp_path)
    assert said["argv"] == ["a b", "--c"]
    assert (said["read"], error, code) == ("said", "to error", 7)
    assert not said["warm"]


def test_what_a_fork_cannot_change_starts_the_program_itself(world: World, tmp_path: Path) -> None:
    world.start("decimal")
    said, _, _ = told(world, tmp_path, OMP_NUM_THREADS="3")
    assert not said["warm"]
    assert told(world, tmp_path)[0]["warm"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_program(world: World, number: signal.Signals) -> None:
    world.start()
    text = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(9))\nprint('on', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(world.client(world.program(text)), stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "on\n"
        client.send_signal(number)
        assert client.wait(PATIENCE) == 9


def test_a_program_that_dies_of_a_signal_ends_as_in_a_shell(world: World) -> None:
    world.start()
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run(world.client(world.program(text)), capture_output=True, check=False)
    assert done.returncode == 128 + signal.SIGKILL


def test_whoever_is_killed_takes_its_program_along(world: World) -> None:
    server = world.start()
    text = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    with subprocess.Popen(world.client(world.program(text)), stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        assert alive(pid)
        client.kill()
    assert until(lambda: not alive(pid))
    assert server.poll() is None


def test_it_ends_when_its_socket_is_gone_and_not_before_its_programs(world: World) -> None:
    server = world.start()
    text = "import sys\nprint('on', flush=True)\nsys.exit(len(sys.stdin.read()))"
    command = world.client(world.program(text))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "on\n"
        world.address.unlink()
        assert server.wait(PATIENCE) == 0
        client.communicate("four")
        assert client.returncode == 4


def test_it_ends_when_nobody_comes(world: World) -> None:
    server = world.start(idle=0.1)
    assert server.wait(PATIENCE) == 0
    assert not world.address.exists()


def test_a_second_server_takes_over(world: World, tmp_path: Path) -> None:
    first = world.start()
    world.start("decimal")
    assert first.wait(PATIENCE) == 0
    assert told(world, tmp_path)[0]["warm"]


def test_steps_are_forked_from_it_too(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("decimal")
    monkeypatch.setenv(ADDRESS, str(world.address))
    (tmp_path / "step.py").write_text("import sys\nprint('decimal' in sys.modules)\nsys.exit(3)\n")
    steps = StepServer(preload=())
    try:
        assert steps.run(Invocation(argv=("step.py",)), tmp_path, dict(os.environ), tmp_path / "log") == 3
    finally:
        steps.close()
    assert (tmp_path / "log").read_text() == "True\n"


def test_the_first_who_needs_steps_starts_it_and_waits_for_its_imports(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are forked from it: libraries are not imported a second time."""
    monkeypatch.delenv(ADDRESS, raising=False)
    (tmp_path / "takes_long.py").write_text("import time\ntime.sleep(1)\nimport decimal\n")
    (tmp_path / "step.py").write_text("import sys\nprint('decimal' in sys.modules)\n")
    command = [sys.executable, str(CODE / "warm.py"), str(world.address), "60", "takes_long"]
    paths = {**os.environ, "PYTHONPATH": str(tmp_path)}
    begin = lambda: world.servers.append(subprocess.Popen(command, cwd=tmp_path, env=paths))  # noqa: E731
    warm_start.may(world.address, dict(os.environ), begin)
    monkeypatch.setenv("KMP_DUPLICATE_LIB_OK", "True")  # as scikit-learn does when it is imported
    steps = StepServer()
    try:
        assert steps.run(Invocation(argv=("step.py",)), tmp_path, dict(os.environ), tmp_path / "log") == 0
    finally:
        steps.close()
    assert (tmp_path / "log").read_text() == "True\n"
    assert len(world.servers) == 1
    assert warm_start.connect() is None, "it is started once"


def test_a_name_that_a_killed_server_left_is_no_reason_to_go_without(world: World) -> None:
    """After a `kill -9` or a restart of the machine, trainings would be slow for ever."""
    left = world.start()
    left.kill()
    left.wait()
    assert world.address.exists()
    assert connect(str(world.address), os.environ) is None
    assert not world.address.exists(), "the next one is started where there is no name"


def asked(world: World, tmp_path: Path, *modules: str) -> None:
    """A server that the first who needs it may start; it has the variables of now."""
    command = [sys.executable, str(CODE / "warm.py"), str(world.address), "60", *modules]
    variables = dict(os.environ)
    begin = lambda: world.servers.append(subprocess.Popen(command, cwd=tmp_path, env=variables))  # noqa: E731
    warm_start.may(world.address, variables, begin)


def test_a_verb_goes_on_in_a_fork_as_it_was_started(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what a library has set meanwhile it could not reach its own server, and would import all again."""
    for name in (ADDRESS, "KMP_DUPLICATE_LIB_OK"):
        monkeypatch.delenv(name, raising=False)
    asked(world, tmp_path, "decimal")
    assert warm_start.may_start()
    monkeypatch.setenv("KMP_DUPLICATE_LIB_OK", "True")
    program = world.program(
        "import json, os, sys\n"
        "found = ['decimal' in sys.modules, 'KMP_DUPLICATE_LIB_OK' in os.environ, os.environ['MLOPS_WARM']]\n"
        f"open({str(tmp_path / 'said')!r}, 'w').write(json.dumps(found))\n"
        "sys.exit(3)\n"
    )
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        assert warm_start.run_there([str(program)]) == 3
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert json.loads((tmp_path / "said").read_text()) == [True, False, str(world.address)]
    assert not warm_start.may_start()
    assert warm_start.run_there([str(program)]) is None, "it is started once"


def test_steps_of_a_fork_find_its_server_whatever_libraries_have_set(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.start("decimal")
    monkeypatch.setenv(ADDRESS, str(world.address))
    monkeypatch.setattr(warm_start, "_came", [])
    warm_start.came(dict(os.environ))
    monkeypatch.setenv("KMP_DUPLICATE_LIB_OK", "True")
    connection = warm_start.connect()
    assert connection is not None
    connection.close()


def test_where_none_may_be_started_steps_have_a_server_of_their_own() -> None:
    assert warm_start.connect() is None


def test_an_address_that_nobody_listens_at_is_none(world: World) -> None:
    assert connect(str(world.address), os.environ) is None


def test_it_ends_when_a_module_that_it_has_imported_is_another_one_on_disk(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "library.py").write_text("VALUE = 1\n")
    server = world.start("library")
    (tmp_path / "library.py").write_text("VALUE = 22\n")
    assert connect(str(world.address), dict(os.environ)) is None
    assert until(lambda: server.poll() is not None)
    assert not world.address.exists()
