"""A repository with a bare origin, releases and desired state, around the target in memory."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import yaml
from engine_world import MODEL, START, World

from mlops.forge.git import Git
from mlops.forge.local import LocalForge
from mlops.lifecycle.apply.environment import Outcome, apply
from mlops.spec.files import release_path

SETTINGS = '[project]\nname = "freight-mlops"\n[models.freight]\nusecase = "freight"\n'
POLICY = """\
order: [staging, prod]
environments:
  staging: {auto_merge: true, synthetic_traffic: true}
  prod: {soak: 1h, synthetic_traffic: true, approvers: [grace]}
"""
DESIRED = """\
# Kept by people.
release: %d
replaces: %s
strategy: {canary: [10, 100], analysis: 1s, min_requests: 20}
hold: null
"""


class GitWorld(World):
    """Commits go to main of the clone and are pushed, as a merge would leave it."""

    def __init__(self, folder: Path, artifact: Path) -> None:
        super().__init__(artifact)
        self.bare, self.root = folder / "origin.git", folder / "clone"
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(folder, "clone", "-q", str(self.bare), str(self.root))
        git(self.root, "checkout", "-q", "-B", "main")
        self.write("mlops.toml", SETTINGS)
        self.write("environments/policy.yaml", POLICY)
        self.write("environments/freeze.yaml", "windows: []\n")
        gates = min((Path(__file__).parents[4] / "pipelines").glob("*/model.yaml"))
        self.write("pipelines/freight/model.yaml", gates.read_text())
        self.commit("Start")
        self.forge = LocalForge.of(Git(self.root))

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def commit(self, subject: str) -> str:
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "--allow-empty", "-m", subject)
        git(self.root, "push", "-q", "--force", "origin", "HEAD:main")
        return git(self.root, "rev-parse", "HEAD")

    def pull(self) -> str:
        git(self.root, "pull", "-q", "--ff-only", "origin", "main")
        return git(self.root, "rev-parse", "HEAD")

    def released(self) -> int:
        """A release from the present commit, written and pushed."""
        trained = self.commit("Change the model")
        version = self.release()
        record = self.releases[version]
        source = record.source.model_copy(update={"commit": trained, "branch": "main"})
        self.releases[version] = record.model_copy(update={"source": source})
        self.registry.add(self.releases[version], self.artifact)
        plain = self.releases[version].model_dump(mode="json")
        self.write(release_path(MODEL, version), yaml.safe_dump(plain, sort_keys=False))
        self.commit(f"Release freight {version}")
        return version

    def stage(self, version: int, env: str = "staging", replaces: int | None = None) -> str:
        self.write(f"environments/{env}/freight.yaml", DESIRED % (version, replaces or "null"))
        return self.commit(f"Ask for {version} in {env}")

    def run(self, env: str, **options: str) -> Outcome:
        """`mlops apply`."""
        return apply(self.root, self.target, env, MODEL, actor="bot", clock=self.clock, **options)


def git(folder: Path, *args: str) -> str:
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        **{f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in WHO.items()},
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *args], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


WHO = {"NAME": "Ada", "EMAIL": "ada@example.com"}
NOW = datetime(2026, 3, 2, tzinfo=UTC)
__all__ = ["MODEL", "NOW", "START", "GitWorld", "git"]
