"""The commands of a page, typed one after the other in a fresh copy of the repository, as its reader would.

One shell runs all blocks of a page, so that `cd` and variables last. A block of `diff` is an edit that the
reader makes; here `git apply` makes it. A block that fails, or a patch that does not apply, fails the page
with its line.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from doc_pages import Block

from mlops.infra.policy.checkov import cache_home
from mlops.spec.sources import python_path
from tests.e2e.template_copy import copy_template

MARK = "@@ block "
BIN = Path(sys.executable).parent
INSTALLERS = ("uv", "pip", "apt-get", "npm", "az", "gh", "pulumi", "docker")
"""What would change this machine, or another: a block that needs one of them says so and is not run."""
MADE = list(cache_home().glob("checkov-*/.complete"))
"""Read when this module is imported: tests have a HOME of their own."""
REFUSES = (
    "echo '{} is not run by the tests of the documentation; say above the block what it needs' >&2; exit 97"
)


class Session:
    """`root` is the copy; nothing of the person who runs the tests is seen in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "flights"
        home = folder / "home"
        home.mkdir(parents=True)
        self.env = {
            "PATH": f"{self.root / '.venv/bin'}:{os.environ['PATH']}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "COLUMNS": "140",
            "OMP_NUM_THREADS": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "You",
            "GIT_AUTHOR_EMAIL": "you@localhost",
            "GIT_COMMITTER_NAME": "You",
            "GIT_COMMITTER_EMAIL": "you@localhost",
            # `.venv/bin/python` is ours: what uv would install for it would be installed in ours.
            "UV_NO_SYNC": "1",
            "UV_PROJECT_ENVIRONMENT": str(folder / "never"),
        }
        self._copy()
        self._environment()
        self.env["PYTHONPATH"] = python_path(self.root)  # where a clone's own environment would point

    def _copy(self) -> None:
        """What git would commit of this repository, committed, with the programs of our environment."""
        copy_template(self.root)
        for words in (["init", "--quiet", "--initial-branch", "main"], ["add", "--all"]):
            self._git(*words)
        self._git("commit", "--quiet", "--message", "Template")
        # A clone has a history; where there is none, the workflows must take every file for changed.
        self._git("commit", "--quiet", "--allow-empty", "--message", "History")
        self._git("update-ref", "refs/remotes/origin/main", "HEAD")

    def _environment(self) -> None:
        """A `.venv` that is ready: `make setup` finds nothing to do, and nothing in it can change ours."""
        programs = self.root / ".venv/bin"
        programs.mkdir(parents=True)
        for path in BIN.iterdir():
            (programs / path.name).symlink_to(path)
        for name in ("python", "python3", *INSTALLERS):
            (programs / name).unlink(missing_ok=True)
            does = (
                f'exec {shlex.quote(sys.executable)} "$@"'
                if name.startswith("python")
                else REFUSES.format(name)
            )
            (programs / name).write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
            (programs / name).chmod(0o755)
        (self.root / ".venv/.ready").touch()
        # Nor is checkov's environment installed again for each copy.
        cache = self.root.parent / "home/.cache/mlops"
        cache.mkdir(parents=True)
        for made in MADE:
            (cache / made.parent.name).symlink_to(made.parent)

    def _git(self, *words: str) -> None:
        subprocess.run(["git", "-C", str(self.root), *words], env=self.env, check=True, capture_output=True)

    def run(self, blocks: Iterable[Block], seconds: float) -> str:
        """What the blocks print. Fails with the line of the page when one of them fails."""
        script = self.root.parent / "page.sh"
        script.write_text(self._script(blocks), encoding="utf-8")
        process = subprocess.Popen(
            ["bash", str(script)],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            said = process.communicate()[0] + f"\n(not done after {seconds:.0f} s)"
        if process.returncode:
            at, _, last = said.rpartition(MARK)[2].partition("\n")
            raise AssertionError(f"{at} ended with {process.returncode}:\n{last[-4000:]}")
        return said

    def _script(self, blocks: Iterable[Block]) -> str:
        lines = ["set -euo pipefail"]
        for number, block in enumerate(blocks):
            lines.append(f"echo {shlex.quote(MARK + block.where)}")
            if block.language == "diff":
                patch = self.root.parent / f"{number}.diff"
                patch.write_text(block.text, encoding="utf-8")
                lines.append(f"git apply {shlex.quote(str(patch))}")
            else:
                lines.append(block.text)
        return "\n".join(lines) + "\n"

    def stop(self) -> None:
        """No endpoint and no run of a forge stays behind."""
        if (self.root / ".mlops/demo").is_dir():
            words = [BIN / "mlops", "-C", str(self.root), "demo", "--clean"]
            subprocess.run(words, env=self.env, check=False)
        for folder in (self.root, *self.root.parent.glob("*/")):
            if (folder / ".mlops/endpoints").is_dir():
                subprocess.run([BIN / "mlops", "-C", str(folder), "stop"], env=self.env, check=False)
