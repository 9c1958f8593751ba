"""A forked step behaves as a fresh `python` does: code, environment, exit code, randomness are its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlops.pipeline.run.executor import Invocation, StepServer, plan_invocation
from mlops.pipeline.run.snapshot import code_files


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("python x.py --a 'b c'", ("x.py", "--a", "b c")),
        ("python -m pkg.mod --out '/tmp/$x'", ("-m", "pkg.mod", "--out", "/tmp/$x")),
        ("python -m pkg \\\n  --a 1", ("-m", "pkg", "--a", "1")),
    ],
)
def test_one_plain_python_call_is_forked(command, argv):
    assert plan_invocation(command, {}) == Invocation(argv=argv)


@pytest.mark.parametrize(
    "command",
    [
        "python x.py | tee log",
        "python x.py && echo",
        "A=1 python x.py",
        "python -u x.py",
        "ls",
        "python x.py $HOME",
    ],
)
def test_anything_else_is_left_to_the_shell(command):
    assert plan_invocation(command, {}) == Invocation(shell=command)


def test_a_variable_read_at_start_up_needs_a_process_of_its_own():
    assert plan_invocation("python x.py", {"OMP_NUM_THREADS": "1"}).shell
    assert plan_invocation("python x.py", {"PYTHONHASHSEED": "0"}).shell
    assert not plan_invocation("python x.py", {"MY_SETTING": "0"}).shell


@pytest.fixture
def server():
    server = StepServer(("json", "no_such_module", "numpy"))
    yield server
    server.close()


def _run(
    server: StepServer, folder: Path, source: str, *argv: str, script: str = "", **env: str
) -> tuple[int, str]:
    (folder / "x.py").write_text(source)
    log = folder / "log"
    log.unlink(missing_ok=True)
    call = Invocation(shell=script) if script else Invocation(argv=argv or ("x.py",))
    status = server.run(call, folder, {"PATH": os.environ["PATH"], **env}, log)
    return status, log.read_text()


def test_exit_codes_and_tracebacks(server, tmp_path):
    assert _run(server, tmp_path, "raise SystemExit(7)")[0] == 7
    assert _run(server, tmp_path, "import sys; sys.exit('a sentence')") == (1, "a sentence\n")
    status, log = _run(server, tmp_path, "1 / 0")
    assert status == 1 and "ZeroDivisionError" in log
    assert _run(server, tmp_path, "import os; os.kill(os.getpid(), 15)")[0] == -15
    assert _run(server, tmp_path, "", script="exit 4")[0] == 4


def test_code_comes_from_the_snapshot(server, tmp_path):
    (tmp_path / "mlops").mkdir()
    (tmp_path / "mlops" / "__init__.py").write_text("WHERE = 'snapshot'")
    (tmp_path / "mlops" / "step.py").write_text(
        "import mlops, sys\nprint(mlops.WHERE, sys.argv[1:], __name__)"
    )
    assert _run(server, tmp_path, "", "-m", "mlops.step", "a") == (0, "snapshot ['a'] __main__\n")
    assert _run(server, tmp_path, "import mlops; print(mlops.WHERE)") == (0, "snapshot\n")


def test_environment_folder_and_atexit_are_those_of_a_fresh_process(server, tmp_path):
    source = (
        "import atexit, os, threading\n"
        "print(os.getcwd() == os.environ['HERE'], 'HOME' in os.environ, os.getpgid(0) == os.getpid())\n"
        "atexit.register(print, 'bye')\n"
        "threading.Thread(target=print, args=('thread',)).start()\n"
    )
    status, log = _run(server, tmp_path, source, HERE=str(tmp_path))
    assert (status, sorted(log.split("\n"))) == (0, ["", "True False True", "bye", "thread"])


def test_forks_draw_different_numbers_and_compute_in_threads(server, tmp_path):
    source = (
        "import numpy, random\n"
        "m = numpy.ones((400, 400)); assert (m @ m)[0, 0] == 400\nprint(numpy.random.rand(), random.random())"
    )
    first, second = _run(server, tmp_path, source), _run(server, tmp_path, source)
    assert first[0] == second[0] == 0
    assert set(first[1].split()).isdisjoint(second[1].split())


def test_processes_of_a_step_work(server, tmp_path):
    source = (
        "import multiprocessing as mp\n"
        "def double(x):\n    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool:\n        print(pool.map(double, [3]))\n"
        "    with mp.get_context('fork').Pool(1) as pool:\n        print(pool.map(double, [4]))\n"
    )
    assert _run(server, tmp_path, source) == (0, "[6]\n[8]\n")


def test_amlignore_replaces_gitignore(tmp_path):
    for name in ("a.py", "b.md", "keep.md", "deep/c.md", "__pycache__/a.pyc", "out/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".gitignore").write_text("out/\n")

    def names() -> set[str]:
        return {p.relative_to(tmp_path).as_posix() for p in code_files(tmp_path)}

    assert names() == {"a.py", "b.md", "keep.md", "deep/c.md"}
    (tmp_path / ".amlignore").write_text("*.md\n!keep.md\n")
    assert names() == {"a.py", "keep.md", "out/x"}
