"""The guard of unit tests works: each of these does what none may do, and has to fail for it."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys

import pytest

refused = pytest.mark.xfail(strict=True, reason="refused by packages/conftest.py")


@refused
def test_a_program() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


@refused
def test_a_program_by_the_shell() -> None:
    assert os.system("true") == 0  # noqa: S605


@refused
def test_a_fork() -> None:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


@refused
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_process_of_multiprocessing(method: str) -> None:
    process = multiprocessing.get_context(method).Process(target=len, args=("",))
    process.start()
    process.join()


@refused
def test_a_socket_that_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        pass


@pytest.fixture
def started() -> int:
    return subprocess.run(["true"], check=True).returncode


@refused
def test_a_fixture_that_starts_one(started: int) -> None:
    assert started == 0
