"""A runner that dies with an answer unread resets the connection, and does not only end it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from mlops.pipeline.run import zygote


def test_steps_end_with_a_runner_that_has_not_read_its_answers(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        server = subprocess.Popen(
            [sys.executable, zygote.__file__, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
    told = tmp_path / "pid"
    request = {
        "id": "1",
        "shell": f"echo $$ > {told}.new && mv {told}.new {told} && exec sleep 3600",
        "cwd": str(tmp_path),
        "env": dict(os.environ),
        "log": str(tmp_path / "log"),
    }
    ours.sendall(json.dumps(request).encode() + b"\n")
    while not told.exists():
        assert server.poll() is None
    step = psutil.Process(int(told.read_text()))
    ours.close()  # the answer with the step's number was never read
    assert server.wait(60) == 0
    assert psutil.wait_procs([step], timeout=60)[1] == []
