"""`mlops --target azure`: from a committed file to an endpoint of Azure ML, by the verbs that people use."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner, Result

from mlops.cli import _verbs  # noqa: F401  registers the commands
from mlops.cli._app import app
from mlops.lifecycle.desired.proven import recorded
from mlops.serving import testing
from mlops.spec.digest import tree_digest
from mlops.spec.gates import GateResult, Interval
from mlops.spec.proof import fact_tags, released_tags
from mlops.spec.release import Data, Release, Source
from mlops.spec.settings import load_settings
from mlops.targets.azure.registry import AzureRegistry
from tests.azure.conftest import ROOT
from tests.azure.emulator import Emulator
from tests.azure.online_bench import IMAGE, AzureBench
from tests.azure.rights import acting, everything_up
from tests.contracts.endpoints import MODEL, write_artifacts

pytestmark = pytest.mark.e2e

DIGEST = "sha256:" + "1" * 64
EXAMPLE = ROOT / "pipelines/flights"
SETTINGS = f"""
target = "azure"
[project]
name = "flights-mlops"
[models.{MODEL}]
usecase = "flights"
[models.{MODEL}.online]
image = "{IMAGE}"
[models.{MODEL}.capture]
enabled = true
"""
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


class Repository:
    """A fork with releases, and an origin; everything is committed and pushed."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        self.root = folder / "fork"
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder / "origin.git")], check=True)
        self.git("remote", "add", "origin", str(folder / "origin.git"))
        for name in ("dev", "staging", "prod", "shared"):
            stack = f"environments/Pulumi.{name}.yaml"
            self.write(stack, (ROOT / stack).read_text())
        self.write(f"pipelines/{MODEL}/model.yaml", (EXAMPLE / "model.yaml").read_text())
        self.write("mlops.toml", SETTINGS)
        self.write("environments/policy.yaml", POLICY)
        self.write(".gitignore", ".mlops/\n")
        self.commit("Start")
        self.bench = AzureBench(emulator, {}, load_settings(self.root))
        self.runner = CliRunner()

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

    def release(self, version: int, artifact: Path) -> None:
        """A release, registered in the training workspace and shared with the registry."""
        digest, trained = tree_digest(artifact), self.commit(f"Train {version}")
        record = Release(
            model=MODEL, version=version, digest=digest, created=datetime.now(UTC),
            source=Source(commit=trained, branch="main", actor="ada", run_id=f"run{version}", pipeline="p",
                          pipeline_digest=DIGEST),
            data=Data(name="d", version="1", digest=DIGEST, window="2013-01", test_window="2013-04"),
            environment=DIGEST, metrics={"roc_auc": Interval(value=0.7, low=0.6, high=0.8)},
            gates=[GateResult(name="absolute", verdict="pass", observed="0.7", limit="0.6")],
        )  # fmt: skip
        registry = AzureRegistry(self.bench.connection)
        made = registry.register(MODEL, artifact, digest, fact_tags(record))
        assert made.version == version
        source = record.source.model_copy(update={"run_id": made.run_id})
        record = record.model_copy(update={"source": source})
        registry.share(MODEL, version)
        found = recorded(registry, registry.get(MODEL, version), seal=True)
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


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def fork(tmp_path: Path, tracked: Emulator, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setattr("mlops.targets.azure._metrics.PAUSE", 0.2)
    made = Repository(tmp_path, tracked)
    for env in ("staging", "prod"):
        place = made.bench.connection.place(env)
        workspaces = tracked.workspaces.workspaces.values()
        workspace = next(w for w in workspaces if w.name == place.workspace)
        tracked.online.add(workspace.id, place.endpoint("online_endpoint", MODEL), auth="AADToken")
    return made


def _served(fork: Repository, env: str) -> dict[int, int]:
    """Share of traffic by release, as `mlops endpoints` tells."""
    rows = json.loads(fork.done("endpoints", "--json"))
    state = next(r for r in rows if r["environment"] == env)
    return {d["release"]: d["traffic"] for d in state["deployments"]}


def test_from_a_commit_to_an_endpoint_and_back(fork: Repository, artifacts: dict[str, Path]) -> None:
    fork.release(1, artifacts["one"])
    fork.release(2, artifacts["two"])

    # Given a file that asks for release 1, apply serves it, and diff finds nothing more to do.
    fork.ask_for("staging", 1, None)
    assert fork.mlops("diff", "staging").exit_code == 2
    assert "serves release 1" in fork.done("apply", "staging")
    assert "nothing to do" in fork.done("diff", "staging")
    assert _served(fork, "staging") == {1: 100}
    rows = fork.root / "rows.json"
    rows.write_text(json.dumps(testing.body()))
    answer = json.loads(fork.done("score", "--env", "staging", "--input", str(rows)))
    assert answer["predictions"] == pytest.approx([testing.expected("AA", 500)], abs=1e-6)

    # Other settings are a change too: the same release starts beside itself, and takes over.
    fork.write("mlops.toml", SETTINGS + "sample_rate = 0.5\n")
    fork.commit("Capture half")
    changed = fork.mlops("diff", "staging")
    assert changed.exit_code == 2
    assert "because the settings of blue have changed" in changed.output.replace("\n", " ")
    fork.done("apply", "staging")
    assert _served(fork, "staging") == {1: 100}
    assert "nothing to do" in fork.done("diff", "staging")

    # When release 2 predicts something else, its canary sends everybody back.
    fork.ask_for("staging", 2, 1)
    assert fork.mlops("diff", "staging").exit_code == 2
    failed = fork.mlops("apply", "staging")
    assert failed.exit_code == 3, failed.output
    assert "the distribution of predictions moved" in failed.output.replace("\n", " ")
    served = _served(fork, "staging")
    assert served.get(1) == 100 and not served.get(2)

    # And the hold stays until a person has decided; the rollback is a pull request that undoes the commit.
    again = fork.mlops("apply", "staging")
    assert again.exit_code == 3, again.output
    assert "pull request" in fork.done("rollback", "staging", "--reason", "predictions moved")


def test_prod_gets_what_staging_had_without_a_copy(
    fork: Repository, artifacts: dict[str, Path], tracked: Emulator
) -> None:
    """Each as its identity `promote`, with the roles that it has: that of prod asks staging's journal."""
    fork.release(1, artifacts["one"])
    everything_up(tracked, fork.root)
    for env in ("staging", "prod"):
        fork.ask_for(env, 1, None)
        with acting(tracked, fork.root, env, "promote"):
            fork.done("apply", env)
    assert _served(fork, "prod") == {1: 100}
    emulator = fork.bench.emulator
    mounted = {str(e.request.json["properties"]["model"]) for e in emulator.calls("PUT", "/deployments/blue")}
    assert len(mounted) == 1, "both environments mount the same version of the registry"
    version = json.loads(fork.done("versions", "list", "--json"))[0]
    assert sorted(version["live"]) == ["prod", "staging"]


def test_a_batch_job_and_a_monitor_of_what_is_live(
    fork: Repository, artifacts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops.targets.azure.batch._PAUSE", 0.2)
    emulator, place = fork.bench.emulator, fork.bench.connection.place("staging")
    workspaces = emulator.workspaces.workspaces.values()
    workspace = next(w for w in workspaces if w.name == place.workspace)
    emulator.batch.add(workspace.id, place.endpoint("batch_endpoint", MODEL))
    for name in ("environment/batch.yml", "environment/batch-conda.yml", "monitor.yml"):
        fork.write(f"pipelines/{MODEL}/{name}", (EXAMPLE / name).read_text())
    shutil.copytree(ROOT / "src", fork.root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    fork.release(1, artifacts["one"])
    monitor = fork.root / f"pipelines/{MODEL}/monitor.yml"
    nothing = fork.mlops("schedule", "apply", "staging", str(monitor))
    assert nothing.exit_code == 6 and f"nothing of {MODEL} is live in staging" in nothing.output

    fork.ask_for("staging", 1, None)
    fork.done("apply", "staging")
    assert "flights-monitor-staging" in fork.done("schedule", "apply", "staging", str(monitor))
    assert json.loads(fork.done("schedule", "list", "staging", "--json")) == {"flights-monitor-staging": True}
    fork.done("schedule", "remove", "staging", "flights-monitor-staging")
    assert "no schedule" in fork.done("schedule", "list", "staging")

    path = tmp_path / "july.parquet"
    pd.DataFrame({"carrier": ["AA"], "distance": [500.0]}).to_parquet(path)
    emulator.blobs.write(workspace.account, workspace.container, "in/july.parquet", path.read_bytes())
    said = fork.done("batch-job", "--env", "staging", "--data", workspace.datastore("in/"))
    assert "has scored" in said and "live in staging" in said.replace("\n", " ")
    (folder,) = emulator.batch.results.values()
    assert len(list(folder.rglob("*.parquet"))) == 1
