"""Where the demo happens: a local forge and a clone of it in `.mlops/demo`, never the user's checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from mlops.errors import TargetError
from mlops.forge.pushed import warm
from mlops.forge.pushed.hook import FOLLOW
from mlops.forge.pushed.install import install
from mlops.forge.pushed.store import ENDED, Store
from mlops.spec import writing

FOLDER = ".mlops/demo"
OFF = {"ci": "make lint and make test take minutes, and run by hand"}
"""Workflows that a push of the demo does not start."""
REVIEWED = ("prod-promote",)
"""Environments of the demo whose jobs wait for a person."""
STOP_SECONDS = 30.0
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@localhost",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@localhost",
    # The user's own settings (signing, hooks) must neither slow the demo down nor ask for a password.
    "GIT_CONFIG_COUNT": "3",
    "GIT_CONFIG_KEY_0": "commit.gpgSign",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_CONFIG_KEY_1": "core.hooksPath",
    "GIT_CONFIG_VALUE_1": os.devnull,
    "GIT_CONFIG_KEY_2": "gc.auto",
    "GIT_CONFIG_VALUE_2": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".mlops", "__pycache__", ".*_cache", ".hypothesis", "*.pyc"
)


class Sandbox:
    """`origin` is the forge: a push to it runs the workflows. `work` is the clone where all is done."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.folder = source / FOLDER
        self.origin = self.folder / "origin.git"
        self.work = self.folder / "flights"
        self.store = Store(self.origin)
        self._stamp = self.folder / "demo.json"

    # --- life -----------------------------------------------------------------------------------------

    def base(self) -> str:
        """The commit of the user's checkout that the demo starts from, or `tree` when it is no repository."""
        done = self._git(self.source, "rev-parse", "--verify", "--quiet", "HEAD", check=False)
        return done or "tree"

    def uncommitted(self) -> bool:
        """Whether the user's checkout has changes that the demo will not contain."""
        return bool(self._git(self.source, "status", "--porcelain", check=False))

    def matches(self) -> bool:
        """Whether a demo that started from the same commit is already here."""
        here = (self.work / ".git").is_dir() and self.store.enabled
        return here and self._read().get("base") == self.base() != "tree"

    def create(self) -> None:
        """An empty state: forge, clone, no runs, no endpoints."""
        self.folder.mkdir(parents=True)
        if self.base() == "tree":
            seed = self.folder / "seed"
            shutil.copytree(self.source, seed, ignore=_NOT_COPIED)
            self._git(seed, "init", "--quiet", "--initial-branch", "main")
            self._git(seed, "add", "--all")
            self._git(seed, "commit", "--quiet", "--message", "Template as downloaded")
        else:
            seed = self.source
        self._git(self.folder, "init", "--quiet", "--bare", "--initial-branch", "main", str(self.origin))
        # A shallow checkout, as CI makes it, is as good a start as a whole one.
        self._git(self.origin, "fetch", "--quiet", "--update-shallow", str(seed), "HEAD:refs/heads/main")
        self._git(self.folder, "clone", "--quiet", str(self.origin), str(self.work))
        self._git(self.work, "config", "user.name", "Demo")
        self._git(self.work, "config", "user.email", "demo@localhost")
        # What was set up for this commit is what jobs of it use; nothing is installed twice.
        install(self.origin, self.work, self.work / ".mlops", off=OFF, approvals=REVIEWED)
        self._write({"base": self.base(), "done": []})

    def remove(self) -> None:
        """Everything that the demo made."""
        if self.store.enabled:
            warm.stop(self.store.settings())
        shutil.rmtree(self.folder, ignore_errors=False)

    def quiet(self) -> None:
        """No run is under way when this returns."""
        deadline = time.monotonic() + STOP_SECONDS
        # A worker still writes when its run has ended.
        while running := [run for run in self.store.runs() if self.store.alive(run.number)]:
            for run in running:
                if run.state not in ENDED:
                    self.store.cancel(run.number, "the demo is removed")
            if time.monotonic() > deadline:
                raise TargetError(f"run {running[0].number} of the demo does not end; try again")
            time.sleep(0.1)

    # --- what has been told ---------------------------------------------------------------------------

    def finished(self, chapter: str) -> bool:
        return chapter in self._read().get("done", [])

    def finish(self, chapter: str) -> None:
        stamp = self._read()
        self._write({**stamp, "done": [*stamp.get("done", []), chapter]})

    def _read(self) -> dict[str, Any]:
        try:
            stamp = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def _write(self, stamp: object) -> None:
        writing.write(self._stamp, json.dumps(stamp), durable=False)

    # --- git ------------------------------------------------------------------------------------------

    def commit(self, message: str) -> list[str]:
        """Commit all changes, if there are any, and push; what the forge said."""
        self._git(self.work, "add", "--all")
        if self._git(self.work, "status", "--porcelain"):
            self._git(self.work, "commit", "--quiet", "--message", message)
        return self._push()

    def revert(self, commit: str) -> list[str]:
        """`git revert` of a commit, which may be a merge, and push; what the forge said."""
        parents = self._git(self.work, "rev-list", "--parents", "-1", commit).split()
        mainline = ["--mainline", "1"] if len(parents) > 2 else []
        self._git(self.work, "revert", "--no-edit", *mainline, commit)
        return self._push()

    def pull(self) -> str:
        """The newest commit of main."""
        self._git(self.work, "pull", "--quiet", "--ff-only", "origin", "main")
        return self.head()

    def head(self) -> str:
        return self._git(self.work, "rev-parse", "HEAD")

    def _push(self) -> list[str]:
        said = self._call(self.work, "push", "--quiet", "origin", "main").stderr
        return [
            line.removeprefix("remote: ").rstrip() for line in said.splitlines() if line.startswith("remote:")
        ]

    def _git(self, folder: Path, *args: str, check: bool = True) -> str:
        done = self._call(folder, *args, check=check)
        return done.stdout.strip() if done.returncode == 0 else ""

    def _call(self, folder: Path, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        done = subprocess.run(
            ["git", "-C", str(folder), *args],
            capture_output=True,
            text=True,
            env=clean | _IDENTITY | {FOLLOW: "0"},
            check=False,
        )
        if done.returncode and check:
            raise TargetError(
                f"git {args[0]} failed in the demo: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done
