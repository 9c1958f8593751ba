"""One released version of the template on disk, asked with its own code: see `mlops.template.__main__`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.errors import TargetError
from mlops.forge.git import Git
from mlops.spec.sources import python_path


@dataclass(frozen=True)
class Checkout:
    """`folder` holds the files of `version`, without a repository; `code` keeps them as released."""

    folder: Path
    version: str
    code: Path

    @classmethod
    def clone(cls, folder: Path, url: str, version: str) -> Checkout:
        """Fetch one tag and nothing else; raises `TargetError`."""
        Git(folder.parent).run(
            *("-c", "advice.detachedHead=false", "-c", "core.autocrlf=false"),
            *("clone", "--quiet", "--depth=1", f"--branch=v{version}", "--", url, str(folder)),
        )
        shutil.rmtree(folder / ".git")
        # A fork has no engine inside: what is asked later has to stay somewhere.
        code = folder.with_name(f"{folder.name}-code")
        shutil.copytree(folder, code, symlinks=True)
        return cls(folder, version, code)

    def text(self, name: str) -> str:
        """A file, or nothing."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def initialise(self, answers: Mapping[str, str]) -> None:
        """Make it the fork that gave these answers."""
        self._ask("initialise", str(self.folder), given=dict(answers))

    def lock(self, root: Path) -> None:
        """Lock the engine from its source; wheels lie relative to `root`."""
        self._ask("lock", str(self.folder), str(root))

    def owned_by_fork(self, paths: Sequence[str]) -> set[str]:
        """Those that an update must leave alone, by the zones of this version."""
        return set(self._ask("fork-owned", str(self.folder), given=list(paths)))

    def migrate(self, work: Path, since: str) -> list[str]:
        """Bring the fork's own files in `work` to this version; sentences of what was done."""
        return list(self._ask("migrate", str(work), since))

    def _ask(self, *words: str, given: object = None) -> Any:
        # Not this process: what is imported here is another version of the same modules.
        env = {**os.environ, "PYTHONPATH": python_path(self.code), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "mlops.template", *words],
            cwd=self.code,
            env=env,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise TargetError(f"version {self.version} of the template cannot {words[0]}: {last}")
        return json.loads(done.stdout) if done.stdout else None
