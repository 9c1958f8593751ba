"""A repository with releases that a target holds, and the verbs that people use on it.

Each target's tests say what `settings` are theirs, and how a version gets where it was trained.
"""

from __future__ import annotations

import json
import subprocess
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import yaml
from typer.testing import CliRunner, Result

from mlops.cli import _verbs  # noqa: F401  registers the commands
from mlops.cli._app import app
from mlops.lifecycle.desired.proven import recorded
from mlops.spec.digest import tree_digest
from mlops.spec.gates import GateResult, Interval
from mlops.spec.proof import fact_tags, released_tags
from mlops.spec.release import Data, Release, Source
from mlops.targets.base import Registry
from tests.contracts.endpoints import MODEL
from tests.e2e.template_copy import ROOT

DIGEST = "sha256:" + "1" * 64
EXAMPLE = ROOT / "pipelines/flights"
POLICY = """
order: [staging, prod]
environments:
  staging: {synthetic_traffic: true}
  prod: {synthetic_traffic: true}
"""
DESIRED = """
release: %d
replaces: %s
strategy: {canary: [50, 100], analysis: 1s, min_requests: 20, max_latency_p99_ratio: 50}
hold: null
"""


class ReleasedFork(ABC):
    """A fork with releases, and an origin; everything is committed and pushed."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.root = folder / "fork"
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder / "origin.git")], check=True)
        self.git("remote", "add", "origin", str(folder / "origin.git"))
        for name in ("dev", "staging", "prod", "shared"):
            stack = f"environments/Pulumi.{name}.yaml"
            self.write(stack, (ROOT / stack).read_text())
        self.write(f"pipelines/{MODEL}/model.yaml", (EXAMPLE / "model.yaml").read_text())
        self.write("mlops.toml", settings)
        self.write("environments/policy.yaml", POLICY)
        self.write(".gitignore", ".mlops/\n")
        self.commit("Start")
        self.runner = CliRunner()

    @property
    @abstractmethod
    def registry(self) -> Registry:
        """Where versions are trained."""

    def git(self, *args: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        done = subprocess.run(["git", *who, *args], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def commit(self, subject: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        self.git("push", "-q", "--force", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def release(self, version: int, artifact: Path, *, sealed: bool = True) -> None:
        """A release, registered in the training workspace and shared with the registry.

        Not `sealed`: by somebody who writes the same tags and may not sign them.
        """
        digest, trained = tree_digest(artifact), self.commit(f"Train {version}")
        record = Release(
            model=MODEL, version=version, digest=digest, created=datetime.now(UTC),
            source=Source(commit=trained, branch="main", actor="ada", run_id=f"run{version}", pipeline="p",
                          pipeline_digest=DIGEST),
            data=Data(name="d", version="1", digest=DIGEST, window="2013-01", test_window="2013-04"),
            environment=DIGEST, metrics={"roc_auc": Interval(value=0.7, low=0.6, high=0.8)},
            gates=[GateResult(name="absolute", verdict="pass", observed="0.7", limit="0.6")],
        )  # fmt: skip
        registry = self.registry
        made = registry.register(MODEL, artifact, digest, fact_tags(record))
        assert made.version == version
        source = record.source.model_copy(update={"run_id": made.run_id})
        record = record.model_copy(update={"source": source})
        registry.share(MODEL, version)
        found = recorded(registry, registry.get(MODEL, version), seal=True)
        if not sealed:
            found = replace(found, seal=None)
        registry.tag(MODEL, version, released_tags(found, record))
        self.write(f"releases/{MODEL}/{version}.yaml", yaml.safe_dump(record.model_dump(mode="json")))
        self.commit(f"Release {version}")

    def ask_for(self, env: str, version: int, replaces: int | None) -> None:
        self.write(f"environments/{env}/{MODEL}.yaml", DESIRED % (version, replaces or "null"))
        self.commit(f"Ask for {version} in {env}")

    def mlops(self, *args: str) -> Result:
        return self.runner.invoke(app, ["-C", str(self.root), *args], catch_exceptions=False)

    def done(self, *args: str) -> str:
        result = self.mlops(*args)
        assert result.exit_code == 0, result.output
        return result.stdout

    def served(self, env: str) -> dict[int, int]:
        """Share of traffic by release, as `mlops endpoints` tells; empty where nothing is served."""
        rows = json.loads(self.done("endpoints", "--json"))
        state = next((r for r in rows if r["environment"] == env), {"deployments": []})
        return {d["release"]: d["traffic"] for d in state["deployments"]}
