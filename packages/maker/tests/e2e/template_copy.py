"""A repository made from the template, driven through its command line as a person would.

`call` runs a verb inside this process, `spawn` as a process of its own. What they do is the same; importing
MLflow costs seconds a process, so most calls of a test are made inside.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from mlops.cli import _app, _verbs  # noqa: F401  registers the commands
from mlops.spec.digest import file_digest
from mlops.spec.settings import load_settings
from mlops.targets import open_target
from mlops.targets.base import Target

ROOT = Path(__file__).resolve().parents[4]
MODEL = "flights"
DATA = ".mlops/data/nycflights/1"
REVIEWER = "bea"
PACKAGES = {
    name: value
    for name, value in os.environ.items()
    if re.match(r"UV_|PIP_|SSL_CERT_|\w+_proxy$", name, re.I)
} | {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")}
"""How this machine reaches a package index, and what it has from there; read before it is scrubbed."""


def mlops_command(*words: str) -> list[str]:
    """The installed script beside this Python."""
    return [str(Path(sys.executable).with_name("mlops")), *words]


def copy_template(to: Path) -> None:
    """What git would commit of the template: no state, no environment, nothing ignored."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


@dataclass(frozen=True)
class Done:
    """How a call ended."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    def ok(self) -> Done:
        """Itself, if the code is 0."""
        assert self.code == 0, f"mlops {' '.join(self.words)} ended with {self.code}:\n{self.out}{self.err}"
        return self

    def refused(self, code: int, *parts: str) -> Done:
        """Itself, if it ended with `code` and a sentence that has all `parts`."""
        said = f"mlops {' '.join(self.words)} ended with {self.code}:\n{self.out}{self.err}"
        assert self.code == code, said
        assert "Traceback" not in self.out + self.err, said
        assert "error " in self.err, said
        for part in parts:
            assert part in self.err, f"{part!r} is not said.\n{said}"
        return self

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Repository:
    """`root` is the clone, `origin` the bare repository that plays the forge."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repository"
        self.origin = folder / "origin.git"
        self.seconds = 280.0
        home = folder / "home"
        home.mkdir(exist_ok=True)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            # A process that stays would train outside of the small disks and lists of files of these tests.
            "MLOPS_WARM": "off",
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "COLUMNS": "160",
            "OMP_NUM_THREADS": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }

    @classmethod
    def cloned(cls, folder: Path, *edits: tuple[str, str, str]) -> Repository:
        """One commit of the template, as in a fresh clone; each of `edits` is (path, old text, new text)."""
        made = cls(folder)
        copy_template(made.root)
        for path, old, new in edits:
            text = (made.root / path).read_text(encoding="utf-8")
            assert old in text, f"{path} does not contain {old!r}"
            (made.root / path).write_text(text.replace(old, new), encoding="utf-8")
        made.git("init", "--quiet", "--initial-branch", "main")
        made.git("config", "user.name", "Ann")
        made.git("config", "user.email", "ann@localhost")
        made.commit("Template")
        return made

    def publish(self) -> None:
        """Make `origin`, and push main to it."""
        self.git("init", "--quiet", "--bare", "--initial-branch", "main", str(self.origin))
        self.git("remote", "add", "origin", str(self.origin))
        self.git("push", "--quiet", "--set-upstream", "origin", "main")

    @classmethod
    def make(cls, folder: Path, raw: Path) -> Repository:
        """A commit of the template with limits that a sample can meet, and `raw` as its data asset."""
        made = cls.cloned(folder)
        shutil.copytree(raw, made.root / DATA)
        _fit_to_sample(made.root)
        made.commit("Limits for a sample of the data")
        made.publish()
        return made

    # --- verbs ------------------------------------------------------------------------------------------

    def call(self, *words: str, answer: str | None = None) -> Done:
        """Run a verb inside this process; `answer` is what a person types when it asks."""
        with self.environment():
            result = CliRunner().invoke(_app.app, ["-C", str(self.root), *words], input=answer)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(words, result.exit_code, result.stdout, result.stderr)

    def spawn(self, *words: str, prefix: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> Done:
        """Run a verb in a process of its own, below the command `prefix`."""
        done = subprocess.run(
            [*prefix, *mlops_command(*words)],
            cwd=self.root,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=self.seconds,
            check=False,
        )
        return Done(words, done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def environment(self) -> Iterator[None]:
        """This repository's variables, and no others, in this process."""
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.env)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    # --- git --------------------------------------------------------------------------------------------

    def git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.root), *args], env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"git {' '.join(args)}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    @contextlib.contextmanager
    def edited(self, path: str, old: str, new: str) -> Iterator[Path]:
        """A file with `old` replaced by `new`, put back at the end."""
        file = self.root / path
        before = file.read_bytes()
        assert old.encode() in before, f"{path} does not contain {old!r}"
        file.write_bytes(before.replace(old.encode(), new.encode()))
        try:
            yield file
        finally:
            file.write_bytes(before)

    # --- what is there ----------------------------------------------------------------------------------

    @property
    def target(self) -> Target:
        return open_target("local", self.root, load_settings(self.root))

    def stop(self) -> None:
        """No process stays behind, whatever a test did."""
        target = self.target
        for endpoint in target.endpoints.list():
            target.endpoints.stop(endpoint.environment, endpoint.model)

    def facts(self) -> dict[str, object]:
        """Registry, endpoints, journals, pull requests and the files that decide: what a refusal leaves."""
        with self.environment():
            target = self.target
            decided = [*self.root.glob("releases/**/*"), *self.root.glob("environments/**/*")]
            return {
                "versions": [(v.version, v.run_id, dict(v.tags)) for v in target.registry.versions(MODEL)],
                "served": target.endpoints.list(),
                "journal": [target.store.entries(env, MODEL) for env in ("staging", "prod")],
                "pulls": {p.name: p.read_text() for p in self.origin.glob("pulls/*.json")},
                "files": {str(p): file_digest(p) for p in decided if p.is_file()},
                "head": self.git("rev-parse", "HEAD"),
                "status": self.git("status", "--porcelain"),
            }

    def runs(self, status: str) -> list[str]:
        """Ids of the tracked runs, of pipelines and steps, with this status."""
        from mlops.targets.local.registry import local_tracker

        with self.environment():
            tracker = local_tracker(self.root / ".mlops")
            return [r.run_id for r in tracker.find_runs(MODEL, status=status)]  # type: ignore[arg-type]

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Fails when the block leaves anything else than it found, or a run that nobody will end."""
        before = self.facts()
        yield
        after = self.facts()
        for name, value in before.items():
            assert after[name] == value, f"{name} changed"
        assert self.runs("RUNNING") == []


@dataclass(frozen=True)
class Chapter:
    """A repository, what the chapter's last call answered, and the commit that it is about."""

    repository: Repository
    done: Done
    commit: str


def _fit_to_sample(root: Path) -> None:
    """A fortieth of the rows proves less: the limits that are about it give way, all gates stay."""
    path = root / "pipelines" / MODEL / "model.yaml"
    gates = yaml.safe_load(path.read_text(encoding="utf-8"))
    gates["metrics"]["roc_auc"]["min"] = 0.55
    gates["champion"]["max_drop"] = 0.1
    gates["latency"] = {"max_ratio": 10.0, "max_milliseconds": 500}
    for rule in gates["slices"]:
        rule |= {"min_rows": 60, "min": 0.3, "max_drop": 0.4}
    path.write_text(yaml.safe_dump(gates, sort_keys=False), encoding="utf-8")
    policy = root / "environments" / "policy.yaml"
    text = policy.read_text(encoding="utf-8")
    assert "soak: 24h" in text
    policy.write_text(text.replace("soak: 24h", "soak: 0s"), encoding="utf-8")
