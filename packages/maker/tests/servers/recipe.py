"""The commands of docs/tracking-server.md as they stand there: only ports and folder are a test's own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

PAGE = Path(__file__).parents[4] / "docs" / "tracking-server.md"
PORTS = {"database": 5432, "blobs": 10000, "server": 5000}
"""As the page has them."""


def blocks(section: str) -> list[str]:
    """The shell commands of a section, block by block."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(section)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{PAGE.name} has no section {section!r}"
    return re.findall(r"^```sh\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL)


def missing() -> str:
    """What this machine lacks, with the commands that install it; empty when it has everything."""
    lacks = [name for name in ("initdb", "pg_ctl", "createdb") if shutil.which(name, path=_path()) is None]
    lacks += [] if shutil.which("azurite-blob") else ["azurite-blob"]
    modules = ("psycopg2", "flask_wtf", "azure.storage.blob")
    lacks += [f"the package {name}" for name in modules if importlib.util.find_spec(name) is None]
    if not lacks:
        return ""
    install = "; ".join(blocks("Install")[0].splitlines())
    return f"this machine has no {', '.join(lacks)}; install them: {install}"


def _path() -> str:
    """PATH with this Python, and with Debian's folder of PostgreSQL as the page says."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return os.pathsep.join(map(str, (Path(sys.executable).parent, *versions, os.environ.get("PATH", ""))))


class Recipe:
    """The three servers in a folder of their own; a context manager that leaves no process behind."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mlops-recipe-"))
        self.folder.chmod(0o755)
        self.tracking = self.folder / "tracking"
        self.tracking.mkdir()
        self.ports = {name: _free() for name in PORTS}
        self.url = f"http://127.0.0.1:{self.ports['server']}"
        # PostgreSQL refuses root, and the page says so.
        self.user = "postgres" if os.geteuid() == 0 else ""
        if self.user:
            shutil.chown(self.tracking, self.user)

    def __enter__(self) -> Recipe:
        prepare, start, create = blocks("Database")
        self.run(prepare, self.user)
        self.run(start, self.user)
        self.run(create, self.user)
        for block in blocks("Blob storage"):
            self.run(block)
        self.run(blocks("Server")[0])
        self.start_server()
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("server", "azurite"):
            self.kill(name)
        stop = blocks("Stop")[0].splitlines()
        self.run("\n".join(line for line in stop if not line.startswith("kill")), self.user, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, block: str, user: str = "", *, check: bool = True) -> str:
        """Run commands of the page; what they said, also what they started in the background."""
        text = block
        for name, port in PORTS.items():
            text = re.sub(rf"\b{port}\b", str(self.ports[name]), text)
        log = self.folder / "commands.log"
        command = ["bash", "-euo", "pipefail", "-c", text]
        if user:
            command = ["runuser", "-u", user, "--", *command]
        env = {"PATH": _path(), "HOME": str(self.folder), "LANG": "C.UTF-8"}
        with log.open("w") as out:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=env,
                stdout=out,
                stderr=out,
                check=False,
                timeout=120,
                start_new_session=True,
            )
        said = log.read_text()
        assert not check or done.returncode == 0, f"{text}\nended with {done.returncode}:\n{said}"
        return said

    def start_server(self) -> None:
        """The second block of the section, until the server answers."""
        self.run(blocks("Server")[1])
        deadline = time.monotonic() + 120
        while not self.healthy():
            assert time.monotonic() < deadline, (self.tracking / "server.log").read_text()
            time.sleep(0.3)

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2, trust_env=False).text == "OK"
        except httpx.HTTPError:
            return False

    def kill(self, name: str) -> None:
        """End a server at once, as a power cut would; its workers with it."""
        file = self.tracking / f"{name}.pid"
        if file.is_file():
            end(int(file.read_text()))
            file.unlink()

    def secret(self, name: str) -> str:
        return (self.tracking / name).read_text().strip()


def end(pid: int) -> None:
    """Kill a process and all below it, the parent first so that it starts no other."""
    import psutil

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, 20)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
