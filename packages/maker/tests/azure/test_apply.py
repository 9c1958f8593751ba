"""`mlops --target azure`: from a committed file to an endpoint of Azure ML, by the verbs that people use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from mlops.serving import testing
from mlops.spec.settings import load_settings
from mlops.targets.azure.registry import AzureRegistry
from tests.azure.conftest import ROOT
from tests.azure.emulator import Emulator
from tests.azure.online_bench import IMAGE, AzureBench
from tests.azure.rights import acting, everything_up
from tests.contracts.endpoints import MODEL, write_artifacts
from tests.contracts.released import EXAMPLE, ReleasedFork

pytestmark = pytest.mark.e2e

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


class Repository(ReleasedFork):
    """Versions are registered in the workspace that trains, and shared with the registry."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        super().__init__(folder, SETTINGS)
        self.bench = AzureBench(emulator, {}, load_settings(self.root))

    @property
    def registry(self) -> AzureRegistry:
        return AzureRegistry(self.bench.connection)


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


def test_from_a_commit_to_an_endpoint_and_back(fork: Repository, artifacts: dict[str, Path]) -> None:
    fork.release(1, artifacts["one"])
    fork.release(2, artifacts["two"])

    # Given a file that asks for release 1, apply serves it, and diff finds nothing more to do.
    fork.ask_for("staging", 1, None)
    assert fork.mlops("diff", "staging").exit_code == 2
    assert "serves release 1" in fork.done("apply", "staging")
    assert "nothing to do" in fork.done("diff", "staging")
    assert fork.served("staging") == {1: 100}
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
    assert fork.served("staging") == {1: 100}
    assert "nothing to do" in fork.done("diff", "staging")

    # When release 2 predicts something else, its canary sends everybody back.
    fork.ask_for("staging", 2, 1)
    assert fork.mlops("diff", "staging").exit_code == 2
    failed = fork.mlops("apply", "staging")
    assert failed.exit_code == 3, failed.output
    assert "the distribution of predictions moved" in failed.output.replace("\n", " ")
    served = fork.served("staging")
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
    assert fork.served("prod") == {1: 100}
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
