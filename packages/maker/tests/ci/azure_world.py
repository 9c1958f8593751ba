"""A small repository with the real Azure Pipelines files and scripts, and tools that note their calls."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azure_pipelines import Event, Result, execute
from azure_pipelines.agent import Tools
from azure_pipelines.triggers import by_push
from ci_model import NAMES, ROOT

COPIED = (".github/scripts", "pipelines/azure-devops", "azure-pipelines.yml")
TOOL = """#!/bin/sh
# Writes down how it was called, then says and returns what it was told to.
name="$(basename "$0")"
printf '%s @%s\\n' "$name $*" "$(git rev-parse HEAD)" >>"$CALLS"
for word in "$@"; do
  case "$earlier" in --save-plan) echo "the plan of $STACK" >"$word" ;; --out) mkdir -p "$word" ;; esac
  earlier=$word
done
for answer in "$ANSWERS"/*; do
  [ -e "$answer" ] || continue
  case "$name $*" in "$(basename "$answer")"*) . "$answer" ;; esac
done
"""


def file_of(name: str) -> str:
    """The pipeline called `name`."""
    return "azure-pipelines.yml" if name == "ci" else f"pipelines/azure-devops/{name}.yml"


class World:
    """`root` is a clone that is pushed to `origin`; `calls` is what the tools were asked."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "clone"
        self.origin = folder / "origin.git"
        self.bin = folder / "bin"
        self.answers = folder / "answers"
        self.work = folder / "agent"
        self._calls = folder / "calls"
        for made in (self.root, self.bin, self.answers):
            made.mkdir(parents=True)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, self.root / name)
        for tool in ("make", "mlops", "pulumi"):
            (self.bin / tool).write_text(TOOL, encoding="utf-8")
            (self.bin / tool).chmod(0o755)
        self.git("init", "--quiet", "--bare", "--initial-branch", "main", str(self.origin))
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("remote", "add", "origin", str(self.origin))
        for environment in ("staging", "prod"):
            served = self.root / "environments" / environment / "served.yaml"
            served.parent.mkdir(parents=True)
            served.write_text("release: 1", encoding="utf-8")
        self.commit("README.md", "start")

    def git(self, *words: str) -> str:
        author = ["-c", "user.name=ada", "-c", "user.email=ada@example.com"]
        done = subprocess.run(
            ["git", *author, *words], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, name: str, text: str) -> str:
        """Commit one file on main and push."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Change {name}")
        self.git("push", "--quiet", "origin", "main")
        return self.git("rev-parse", "HEAD")

    def settings(self, **variables: str) -> None:
        """Fill in templates/variables.yml, as a fork does."""
        path = "pipelines/azure-devops/templates/variables.yml"
        lines = (self.root / path).read_text(encoding="utf-8").splitlines()
        for name, value in variables.items():
            (at,) = [i for i, line in enumerate(lines) if line.strip().startswith(f"{name}:")]
            lines[at] = f"  {name}: {value}"
        self.commit(path, "\n".join(lines) + "\n")

    def edit(self, name: str, right: str, wrong: str) -> None:
        """Change a file of the copy, for a test that shows what the change would do."""
        text = (self.root / name).read_text(encoding="utf-8")
        assert right in text, f"{name} changed; choose another edit"
        self.commit(name, text.replace(right, wrong))

    def answer(self, call: str, code: int = 0, says: str = "") -> None:
        """What a tool does when its call starts like this."""
        text = f"cat <<'SAID'\n{says}\nSAID\n" if says else ""
        (self.answers / call).write_text(f"{text}exit {code}\n", encoding="utf-8")

    def started_by(self, *changed: str) -> list[str]:
        """Which pipelines a push to main starts."""
        return [name for name in NAMES if by_push(self.root, file_of(name), "main", changed)]

    def run(
        self,
        name: str,
        reason: Any = "IndividualCI",
        *,
        commit: str = "",
        parameters: Mapping[str, str] | None = None,
        payload: Mapping[str, Any] | None = None,
        cancelled_after: str = "",
    ) -> Result:
        """One run of a pipeline, at the newest commit."""
        event = Event(
            reason,
            commit or self.git("rev-parse", "HEAD"),
            parameters=parameters or {},
            payload=payload,
            cancelled_after=cancelled_after,
        )
        environment = {
            "HOME": str(self.work),
            "CALLS": str(self._calls),
            "ANSWERS": str(self.answers),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        tools = Tools(self.work, f"{self.bin}{os.pathsep}{os.environ['PATH']}", environment, "the-token")
        return execute(self.root, file_of(name), event, self.origin, tools)

    @property
    def calls(self) -> list[str]:
        """What was called, without setting up."""
        return [call for call, _ in self.calls_and_commits if not call.startswith("make ")]

    @property
    def calls_and_commits(self) -> list[tuple[str, str]]:
        text = self._calls.read_text(encoding="utf-8") if self._calls.exists() else ""
        pairs = [line.rpartition(" @") for line in text.splitlines()]
        return [(call, commit) for call, _, commit in pairs]
