"""Where the demo happens: a bare repository and its clone in `.mlops/demo`, never the user's checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from mlops.errors import TargetError

FOLDER = ".mlops/demo"
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
    """`origin` is the bare repository that plays the forge, `work` the clone in which everything is done."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.folder = source / FOLDER
        self.origin = self.folder / "origin.git"
        self.work = self.folder / "flights"
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
        return self._read().get("base") == self.base() != "tree" and (self.work / ".git").is_dir()

    def create(self) -> None:
        """An empty state: repository, clone, no runs, no endpoints."""
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
        self._write({"base": self.base(), "done": []})

    def remove(self) -> None:
        """Everything that the demo made."""
        shutil.rmtree(self.folder, ignore_errors=False)

    # --- what has been told ---------------------------------------------------------------------------

    def finished(self, chapter: str) -> bool:
        return chapter in self._read().get("done", [])

    def finish(self, chapter: str) -> None:
        stamp = self._read()
        self._write({**stamp, "done": [*stamp.get("done", []), chapter]})

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, stamp: object) -> None:
        temporary = self._stamp.with_suffix(".tmp")
        temporary.write_text(json.dumps(stamp), encoding="utf-8")
        temporary.replace(self._stamp)

    # --- git ------------------------------------------------------------------------------------------

    def commit(self, message: str) -> str:
        """Commit all changes and push them; the commit's id, or the present one when there is no change."""
        self._git(self.work, "add", "--all")
        if self._git(self.work, "status", "--porcelain"):
            self._git(self.work, "commit", "--quiet", "--message", message)
        self._git(self.work, "push", "--quiet", "origin", "main")
        return self.head()

    def revert(self, commit: str) -> str:
        """`git revert` of a commit, which may be a merge, and push."""
        parents = self._git(self.work, "rev-list", "--parents", "-1", commit).split()
        mainline = ["--mainline", "1"] if len(parents) > 2 else []
        self._git(self.work, "revert", "--no-edit", *mainline, commit)
        self._git(self.work, "push", "--quiet", "origin", "main")
        return self.head()

    def pull(self) -> str:
        """The newest commit of main."""
        self._git(self.work, "pull", "--quiet", "--ff-only", "origin", "main")
        return self.head()

    def head(self) -> str:
        return self._git(self.work, "rev-parse", "HEAD")

    def _git(self, folder: Path, *args: str, check: bool = True) -> str:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        done = subprocess.run(
            ["git", "-C", str(folder), *args],
            capture_output=True,
            text=True,
            env=clean | _IDENTITY,
            check=False,
        )
        if done.returncode and check:
            raise TargetError(
                f"git {args[0]} failed in the demo: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout.strip() if done.returncode == 0 else ""
