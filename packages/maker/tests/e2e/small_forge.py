"""A forge with workflows so small that each test is about one rule, run by act."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from mlops.forge.pushed.install import install
from mlops.forge.pushed.store import ENDED, Run, Store

ROOT = Path(__file__).resolve().parents[4]
SETTINGS = '[project]\nname = "small"\n[models.small]\nusecase = "small"\n'
HEAD = """\
on:
  push:
    branches: [main]
    paths: ["src/**"]
"""
CHECKOUT = """\
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
        with: {persist-credentials: false}
"""
CONCURRENT = "concurrency:\n  group: lane-${{ github.ref }}\n  cancel-in-progress: "
WAIT = "while [ ! -e $HOME/go ]; do sleep 0.05; done"


class Forge:
    """A forge with one workflow and a clone of it."""

    def __init__(self, folder: Path) -> None:
        self.origin, self.work = folder / "origin.git", folder / "work"
        home = folder / "home"
        home.mkdir()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "USER": "ann",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "A_SECRET_OF_THE_SHELL": "hunter2",
        }
        self.git("init", "--quiet", "--bare", "--initial-branch", "main", str(self.origin), where=folder)
        self.git("clone", "--quiet", str(self.origin), str(self.work), where=folder)
        self.git("config", "user.name", "Ann")
        self.git("config", "user.email", "ann@localhost")
        (self.work / "src").mkdir()
        (self.work / "mlops.toml").write_text(SETTINGS)
        (self.work / ".github" / "scripts").mkdir(parents=True)
        shutil.copy2(ROOT / ".github" / "scripts" / "run", self.work / ".github" / "scripts" / "run")
        self.store = Store(self.origin)

    def begin(self, workflow: str, name: str = "small", approvals: tuple[str, ...] = ()) -> None:
        """The first commit, before anybody listens."""
        path = self.work / ".github" / "workflows" / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(workflow)
        self.push("Begin")
        install(self.origin, self.work, self.work / ".mlops", off={}, approvals=approvals)

    def git(self, *args: str, where: Path | None = None, **env: str) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=where or self.work,
            env=self.env | env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip() + done.stderr

    def push(self, message: str, branch: str = "main", follow: bool = True) -> str:
        """Everything; what the forge said."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        follows = {} if follow else {"MLOPS_FORGE_FOLLOW": "0"}
        return self.git("push", "--quiet", "origin", f"HEAD:{branch}", **follows)

    def change(self, text: str = "x", **options: bool) -> str:
        (self.work / "src" / "a.py").write_text(text)
        return self.push("Change the code", **options)

    def log(self, number: int, job: str = "only") -> str:
        return (self.store.run_folder(number) / f"{job}.log").read_text()

    def ended(self, number: int) -> Run:
        deadline = time.monotonic() + 60
        while (run := self.store.get(number)).state not in ENDED:
            assert time.monotonic() < deadline, f"run {number} does not end: {run}"
            time.sleep(0.05)
        return run

    def until(self, number: int, text: str, job: str = "only") -> None:
        deadline = time.monotonic() + 60
        path = self.store.run_folder(number) / f"{job}.log"
        while not path.exists() or text not in path.read_text():
            assert time.monotonic() < deadline, f"run {number} never says {text!r}"
            time.sleep(0.05)


def steps(*commands: str, job: str = "") -> str:
    """One job, `only`, with these commands; `job` are more lines of it."""
    lines = "".join(f"      - run: {command}\n" for command in commands)
    return f"jobs:\n  only:\n    runs-on: ubuntu-24.04\n{job}    steps:\n{CHECKOUT}{lines}"
