"""Drive the real Pulumi engine on a copy of the program; the stand-in is its Azure, a folder its backend."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from graphs import CLUSTERS
from mlops.spec.sources import python_path
from stand_in.unity import STATE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PASSPHRASE = "only for tests"
# Without pyproject.toml the engine takes the environment as it is; with it, it would install into it.
_COPIED = ("Pulumi.yaml", "mlops.toml", "uv.lock", "infra", "environments", "pipelines")


def find_cli() -> Path | None:
    """The Pulumi CLI on PATH, or the newest that `make pulumi` has put in the cache."""
    found = shutil.which("pulumi")
    if found:
        return Path(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlops"
    made = sorted(cache.glob("pulumi-*/bin/pulumi"), key=lambda p: p.stat().st_mtime)
    return made[-1] if made else None


class Engine:
    """One backend, one pretend subscription. `run` returns what the CLI printed with its exit code."""

    def __init__(self, folder: Path, cli: Path, like: Engine | None = None) -> None:
        """Start from nothing, or from a copy of what another engine has deployed."""
        self.folder = folder
        self.project = folder / "project"
        self.state = folder / "azure.json"
        self.cli = cli
        plugins, backend = folder / "plugins", folder / "backend"
        if like is not None:
            shutil.copytree(like.folder, folder, symlinks=True, dirs_exist_ok=True)
        else:
            for made in (self.project, plugins, backend, folder / "home"):
                made.mkdir(parents=True)
            for name in _COPIED:
                source = ROOT / name
                copy = shutil.copytree if source.is_dir() else shutil.copy2
                copy(source, self.project / name)
            (self.project / ".venv").symlink_to(sys.prefix)
            _known(self.project / "environments" / "Pulumi.dev.yaml")
        self._plugin(plugins / "pulumi-resource-azure-native", "provider")
        self._plugin(plugins / "pulumi-resource-databricks", "unity")
        self.environment = {
            "PATH": os.pathsep.join(
                [str(plugins), str(cli.parent), str(Path(sys.executable).parent), "/usr/bin", "/bin"]
            ),
            "HOME": str(folder / "home"),
            "PULUMI_HOME": str(folder / "home" / ".pulumi"),
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "false",
            "STAND_IN_STATE": str(self.state),
            "PYTHONPATH": python_path(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
        }

    def _plugin(self, path: Path, module: str) -> None:
        paths = [str(ROOT), str(HERE)]
        code = f"import sys; sys.path[:0] = {paths!r}; from stand_in.{module} import main; main()"
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, *args: str, stack: str = "dev", timeout: int = 900) -> subprocess.CompletedProcess[str]:
        command = [str(self.cli), *args, "--stack", stack, "--non-interactive"]
        return subprocess.run(
            command,
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def init(self, stack: str) -> None:
        done = subprocess.run(
            [str(self.cli), "stack", "init", stack, "--non-interactive"],
            cwd=self.project, env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def log_in(self, caller: str) -> None:
        """From here on `caller`, an object id, makes all calls; empty: the person."""
        self.environment["STAND_IN_CALLER"] = caller

    def up(self, *args: str, stack: str = "dev") -> subprocess.CompletedProcess[str]:
        return self.run("up", "--yes", "--skip-preview", *args, stack=stack)

    def on(self, day: date) -> None:
        """From here on it is that day, for the program and for Azure."""
        self.environment["STAND_IN_TODAY"] = day.isoformat()
        program = (ROOT / "infra/__main__.py").read_text()
        pinned = program.replace(
            "\ntry:\n",
            f"\nimport datetime\n\nfrom mlops.infra import clock\n\nclock.pin({day!r})\ntry:\n",
        )
        assert pinned != program
        (self.project / "infra/__main__.py").write_text(pinned)

    def edit(self, stack: str, pattern: str, replacement: str) -> None:
        """Change the stack file as a person would; the pattern must match."""
        path = self.project / "environments" / f"Pulumi.{stack}.yaml"
        text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
        assert count, f"{pattern} does not match in {path}"
        path.write_text(text)

    def configure(self, stack: str, values: Mapping[str, Any]) -> None:
        """Set keys of the stack file."""
        path = self.project / "environments" / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        document["config"] |= {f"mlops:{key}": value for key, value in values.items()}
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    @property
    def azure(self) -> dict[str, Any]:
        """The pretend subscription: `resources`, `soft_deleted`, `log`."""
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found

    @property
    def databricks(self) -> dict[str, Any]:
        """What the pretended Databricks holds, by id."""
        state = Path(f"{self.state}{STATE}")
        found: dict[str, Any] = json.loads(state.read_text())["resources"] if state.exists() else {}
        return found

    def write_azure(self, state: dict[str, Any]) -> None:
        self.state.write_text(json.dumps(state))

    def kinds(self, kind: str) -> list[str]:
        """Ids of the existing resources of a kind."""
        return sorted(r["id"] for r in self.azure["resources"].values() if r["kind"] == kind)


def _known(path: Path) -> None:
    """Give a stack file, whoever owns it, the clusters that the tests change; its stack may be deleted."""
    stack = yaml.safe_load(path.read_text(encoding="utf-8"))
    stack["config"] |= {"mlops:clusters": dict(CLUSTERS), "mlops:protect": False}
    text = yaml.safe_dump(stack, sort_keys=False, default_flow_style=None, width=200)
    path.write_text(text, encoding="utf-8")


def counts(output: str) -> dict[str, int]:
    """The CLI's closing table, such as `{"created": 4, "unchanged": 2}`."""
    closing = output.rsplit("Resources:", 1)[-1]
    found = re.findall(r"^\s+[=+~-]*\s*(\d+) ([a-z]+)", closing, flags=re.MULTILINE)
    return {word: int(number) for number, word in found}
