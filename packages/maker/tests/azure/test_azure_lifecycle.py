"""The whole demo by the command line on the target `azure`, with unmodified clients and a real model:
trained, judged, shared, served, promoted, scored in batch, watched, trained anew, and taken back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from mlops.spec.files import load_desired, load_release
from mlops.spec.settings import load_settings
from mlops.targets.azure.connect import Connection
from tests.azure.emulator import Emulator, types
from tests.azure.emulator.jobs import ENDED
from tests.azure.emulator.schedules import fire
from tests.azure.lifecycle import merge, promote, quick_steps, repository_on, subscription, workspace_of
from tests.e2e.template_copy import MODEL, Repository

pytestmark = pytest.mark.e2e

STEPS = ["prep", "validate", "train", "evaluate", "explain", "register"]


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Emulator]:
    with subscription(tmp_path_factory.mktemp("azure"), database) as made:
        yield made


@pytest.fixture(scope="module")
def repository(azure: Emulator, raw_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A commit of the template whose verbs work on Azure. Nothing is trained yet."""
    return repository_on(azure, tmp_path_factory.mktemp("lifecycle"), raw_sample)


def _served(repository: Repository) -> dict[str, dict[int, int]]:
    """Share of traffic by release, in each environment."""
    rows = repository.call("endpoints", "--json").ok().json
    return {r["environment"]: {d["release"]: d["traffic"] for d in r["deployments"]} for r in rows}


@pytest.mark.timeout(900)  # a minute on a quiet machine; every process imports heavy clients
def test_from_a_commit_to_a_release(repository: Repository, azure: Emulator) -> None:
    asset = repository.call("data", "push", "--json").ok().json
    assert (asset["name"], asset["version"], asset["new"]) == ("nycflights", "1", True)

    trained = repository.call("train").ok()
    assert "version 1 is registered" in trained.out
    assert [step for step in STEPS if f"✓ {step}" in trained.err] == STEPS

    (version,) = repository.call("versions", "list", "--json").ok().json
    assert version["commit"] == repository.git("rev-parse", "HEAD")
    assert (version["window"], version["gate"]) == ("2013-01..2013-03", "")

    report = repository.call("gate", "--json").ok().json
    assert report["passed"] is True

    released = repository.call("release", "--json").ok().json
    assert released["release"] == 1
    release = load_release(repository.root, MODEL, 1)
    assert release.data.digest == asset["digest"]
    assert release.digest == version["digest"]
    wanted = load_desired(repository.root, "staging", MODEL)
    assert wanted is not None and wanted.release == 1

    (registry,) = azure.workspaces.registries.values()
    shared = azure.arm.get(f"{registry.id}/models/{MODEL}/versions/1")
    assert shared is not None, "a release names a version that every environment can read"
    assert shared["properties"]["tags"]["mlops.digest"] == release.digest
    assert shared["properties"]["tags"]["mlops.gate"] == "pass"

    status = repository.call("status", "--json").ok().json
    assert {row["env"]: (row["health"], row["wanted"]) for row in status} == {
        "staging": ("empty", 1),
        "prod": ("empty", None),
    }
    again = repository.call("train", "--json").ok().json
    assert (again["version"], again["new"], again["reused_steps"]) == (1, False, len(STEPS) - 1)

    puts = [e for e in azure.calls("PUT", "management.azure.com") if e.status in (200, 201)]
    assert puts, "jobs were submitted and assets registered"
    if types.folder() is not None:
        assert [p for e in puts for p in e.problems] == [], "a body breaks the official types"


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a minute and a half on a quiet machine
def test_from_a_release_to_what_production_has_learned(
    repository: Repository, azure: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Goes on where the test above has ended."""
    monkeypatch.setattr("mlops.targets.azure._metrics.PAUSE", 0.2)
    monkeypatch.setattr("mlops.targets.azure.batch._PAUSE", 0.2)
    assert load_desired(repository.root, "staging", MODEL), "the test above did not release"
    repository.commit(f"Release {MODEL} 1")
    quick_steps(repository, "staging")

    # Staging, then production by a reviewed pull request.
    repository.call("apply", "staging").ok()
    assert _served(repository)["staging"] == {1: 100}
    (server,) = [s.process.args for s in azure.online._serving.values()]
    assert "azmlinfsrv" in str(server), "Azure's own inference server answers behind the scoring host"
    promote(repository)
    assert repository.call("diff", "prod").code == 2
    repository.call("apply", "prod").ok()
    assert _served(repository)["prod"] == {1: 100}

    # A folder is scored by what is live.
    connection = Connection(repository.root, load_settings(repository.root))
    workspace = workspace_of(azure, connection, "prod")
    digest = load_release(repository.root, MODEL, 1).digest.removeprefix("sha256:")
    sample = json.loads((repository.root / ".mlops/models" / digest / "sample.json").read_text())[
        "input_data"
    ]
    path = tmp_path / "rows.parquet"
    pd.DataFrame(sample["data"], columns=sample["columns"]).to_parquet(path)
    azure.blobs.write(workspace.account, workspace.container, "in/rows.parquet", path.read_bytes())
    repository.call("batch-job", "--env", "prod", "--data", workspace.datastore("in/")).ok()
    (scored,) = azure.batch.results.values()
    (written,) = scored.rglob("*.parquet")
    assert len(pd.read_parquet(written)) == len(sample["data"])

    # May is asked of production and captured by Azure's collector; its labels come later.
    may = repository.call(
        "replay", "2013-05", "--env", "prod", "--labels", str(tmp_path / "may.parquet")
    ).ok()
    repository.call("labels", "add", str(tmp_path / "may.parquet"), "--env", "prod").ok()
    again = repository.call("labels", "add", str(tmp_path / "may.parquet"), "--env", "prod").ok()
    assert "nothing to do" in again.out
    window = may.out.strip()
    report = repository.call("monitor", "--env", "prod", "--window", window, "--json")
    assert report.code == 3, report.out + report.err
    verdict = report.json
    assert verdict["rows"] == verdict["labelled"] == len(pd.read_parquet(tmp_path / "may.parquet")) > 500
    assert (verdict["release"], verdict["set_aside"], verdict["unpaired"]) == (1, 0, 0)
    assert {s["verdict"] for s in verdict["signals"] if s["metric"] == "calibration_gap"} == {"breach"}

    # The same verdict by the clock: our own drift job, as the cluster's identity.
    schedule = repository.root / "pipelines" / MODEL / "drift-schedule.yml"
    repository.call("schedule", "apply", "prod", str(schedule)).ok()
    made = azure.arm.get(f"{workspace.id}/schedules/{MODEL}-drift-prod")
    assert made is not None
    job = azure.jobs.find(fire(azure, made))
    until = time.monotonic() + 300
    while job.status not in ENDED:
        assert time.monotonic() < until
        time.sleep(0.2)
    (step,) = azure.jobs.children(job.name)
    log = azure.history.files(
        workspace, f"azureml://datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{step.name}"
    )
    said = log["user_logs/std_log.txt"].decode()
    assert job.status == "Failed" and "calibration_gap" in said, said
    place = "environments/prod/monitor/"
    verdicts = [n for n in azure.blobs.names(workspace.account, "mlops", place) if "/verdicts/" in n]
    assert len(verdicts) == 2, "the job keeps its verdict beside those of the command line"

    # The breach becomes a pull request with a model that learned from April and passed the gates.
    retrained = repository.call("retrain", "--env", "prod", "--json").ok().json
    assert (retrained["outcome"], retrained["version"]) == ("released", 2), retrained
    assert (retrained["window"], retrained["test_window"]) == ("2013-01..2013-04", "2013-05")
    assert retrained["pull_request"]
    repository.git("pull", "--quiet", "--ff-only")
    assert load_release(repository.root, MODEL, 2).data.window == "2013-01..2013-04"

    # It goes to staging through the canary; a person takes it back.
    repository.call("apply", "staging").ok()
    assert _served(repository)["staging"] == {2: 100}
    back = repository.call("rollback", "staging", "--reason", "somebody complained", "--json").ok().json
    merge(repository, back["pull_request"]["number"])
    repository.call("apply", "staging").ok()
    assert _served(repository) == {"staging": {1: 100}, "prod": {1: 100}}
    versions = {v["version"]: v["live"] for v in repository.call("versions", "list", "--json").ok().json}
    assert (sorted(versions[1]), versions[2]) == (["prod", "staging"], [])
