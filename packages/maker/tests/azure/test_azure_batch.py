"""Batch endpoints: a release scores folders by the same entry script, and a bad file is not hidden."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from mlops.errors import IntegrityError, NotFound, StepFailed
from mlops.serving import testing
from mlops.spec.digest import tree_digest
from mlops.spec.engine import export
from mlops.spec.online import OnlineSettings
from mlops.targets.azure import batch as module
from mlops.targets.azure.batch import AzureBatch
from tests.azure.emulator import Emulator
from tests.azure.online_bench import AzureBench, settings_with
from tests.contracts.endpoints import ENV, MODEL, release, write_artifacts

ROOT = Path(__file__).parents[4]


@pytest.fixture
def bench(logged_in: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AzureBench:
    monkeypatch.setattr(module, "_PAUSE", 0.1)
    made = AzureBench(logged_in, write_artifacts(tmp_path / "artifacts"), settings_with(OnlineSettings()))
    logged_in.batch.add(made.workspace.id, made.connection.place(ENV).endpoint("batch_endpoint", MODEL))
    return made


def _deploy(bench: AzureBench, version: int, artifact: str) -> str:
    folder = bench.artifacts[artifact]
    bench.publish(version, folder)
    return AzureBatch(bench.connection).deploy(ENV, release(version, tree_digest(folder)), folder)


def _data(bench: AzureBench, tmp_path: Path, **files: pd.DataFrame) -> str:
    """A folder in the workspace's datastore."""
    tmp_path.mkdir(exist_ok=True)
    for name, frame in files.items():
        path = tmp_path / f"{name}.parquet"
        frame.to_parquet(path)
        container = bench.workspace.container
        bench.emulator.blobs.write(bench.workspace.account, container, f"in/{path.name}", path.read_bytes())
    return bench.workspace.datastore("in/")


def test_a_release_scores_a_folder(bench: AzureBench, tmp_path: Path) -> None:
    assert _deploy(bench, 1, "one") == "release-1"
    assert _deploy(bench, 1, "one") == "release-1", "again: nothing changes"
    assert len(bench.emulator.calls("PUT", "/deployments/release-1")) == 1
    frame = pd.DataFrame({"carrier": ["AA", "AA"], "distance": [500.0, 500.0]})
    uri = _data(bench, tmp_path, july=frame, august=frame)
    batch = AzureBatch(bench.connection)
    job = batch.start(ENV, MODEL, uri)
    batch.wait(ENV, job)
    written = sorted(bench.emulator.batch.results[job].rglob("*.parquet"))
    assert len(written) == 2, bench.emulator.batch.logs[job]
    values = pd.read_parquet(written[0]).filter(like="prediction").iloc[:, 0]
    assert list(values) == pytest.approx([testing.expected("AA", 500)] * 2, abs=1e-6)


def test_a_bad_file_fails_the_job(bench: AzureBench, tmp_path: Path) -> None:
    _deploy(bench, 1, "one")
    uri = _data(bench, tmp_path, bad=pd.DataFrame({"carrier": ["AA"]}))
    batch = AzureBatch(bench.connection)
    job = batch.start(ENV, MODEL, uri)
    with pytest.raises(StepFailed, match=f"{job} ended as Failed; https://ml.azure.com/runs/"):
        batch.wait(ENV, job)
    assert "quarantined bad.parquet" in bench.emulator.batch.logs[job]


def test_the_whole_pipeline_as_a_deployment(bench: AzureBench, tmp_path: Path) -> None:
    """Beside that of the model: `batch.yml` as a component, told data and model when a job starts."""
    export(ROOT)  # the bench links to the pipelines of this repository
    folder = bench.artifacts["one"]
    bench.publish(1, folder)
    batch = AzureBatch(bench.connection)
    record = release(1, tree_digest(folder))
    assert batch.deploy(ENV, record, folder, pipeline=True) == "pipeline-1"
    assert batch.deploy(ENV, record, folder, pipeline=True) == "pipeline-1", "again: nothing changes"
    assert len(bench.emulator.calls("PUT", "/deployments/pipeline-1")) == 1
    uri = _data(bench, tmp_path, july=pd.DataFrame({"carrier": ["AA"], "distance": [500.0]}))
    job = batch.start(ENV, MODEL, uri)
    batch.wait(ENV, job)
    (written,) = bench.emulator.batch.results[job].rglob("*.parquet")
    values = pd.read_parquet(written).filter(like="prediction").iloc[:, 0]
    assert list(values) == pytest.approx([testing.expected("AA", 500)], abs=1e-6)
    bad = _data(bench, tmp_path / "bad", bad=pd.DataFrame({"carrier": ["AA"]}))
    with pytest.raises(StepFailed, match="ended as Failed"):
        batch.wait(ENV, batch.start(ENV, MODEL, bad, 1, pipeline=True))


def test_what_is_deployed(bench: AzureBench) -> None:
    _deploy(bench, 1, "one")
    endpoint = bench.connection.place(ENV).endpoint("batch_endpoint", MODEL)
    found = bench.emulator.arm.get(f"{bench.workspace.id}/batchEndpoints/{endpoint}/deployments/release-1")
    assert found is not None
    told = found["properties"]
    assert told["errorThreshold"] == 0, "a quarantined file must not be hidden"
    assert told["codeConfiguration"]["scoringScript"] == "batch.py"
    assert told["environmentVariables"]["MLOPS_MODEL_DIGEST"] == tree_digest(bench.artifacts["one"])
    assert "/registries/" in json.dumps(told["model"])


def test_refusals(bench: AzureBench, logged_in: Emulator) -> None:
    batch = AzureBatch(bench.connection)
    with pytest.raises(NotFound, match="has no deployment; deploy a release"):
        batch.start(ENV, MODEL, "azureml:x:1")
    with pytest.raises(IntegrityError):
        batch.deploy(ENV, release(1, "sha256:" + "0" * 64), bench.artifacts["one"])
    with pytest.raises(NotFound, match=r"Pulumi\.staging\.yaml and run `pulumi up`"):
        batch.start("staging", MODEL, "azureml:x:1")
