"""A release scores a folder of a volume as a job: the same predictions as the model's own, and each way in
which it can fail is a sentence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mlops.errors import InvalidInput, NotFound, StepFailed, TargetError
from mlops.serving import testing
from mlops.spec.digest import tree_digest
from mlops.spec.settings import DatabricksPlace
from mlops.targets.databricks.batch import DatabricksBatch
from mlops.targets.databricks.data import DatabricksData
from tests.contracts.endpoints import ENV, MODEL, release
from tests.databricks.bench import DatabricksBench, write_artifacts
from tests.databricks.emulator import Emulator

VOLUME = "/Volumes/prod/ml/mlops"


@pytest.fixture
def bench(tracked: Emulator, tmp_path: Path) -> DatabricksBench:
    made = DatabricksBench(tracked, write_artifacts(tmp_path / "artifacts"), tmp_path / "fork")
    folder = made.root / "pipelines" / MODEL / "environment"
    folder.mkdir(parents=True)
    (folder / "batch.yml").write_text(
        "name: batch\nversion: '1'\nimage: mcr.microsoft.com/x:1\nconda_file: conda.yml\n"
    )
    (folder / "conda.yml").write_text("dependencies: [python=3.11, pip, {pip: [pandas==2.3.3]}]\n")
    return made


@pytest.fixture
def batch(bench: DatabricksBench) -> DatabricksBatch:
    return DatabricksBatch(bench.connection, DatabricksData(bench.connection).resolve)


def _deploy(bench: DatabricksBench, batch: DatabricksBatch, version: int, artifact: str) -> str:
    folder = bench.artifacts[artifact]
    return batch.deploy(ENV, release(version, tree_digest(folder)), folder)


def _put(bench: DatabricksBench, name: str, frame: pd.DataFrame) -> None:
    path = bench.workspace.files.root / VOLUME.lstrip("/") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path)


def _predictions(bench: DatabricksBench, batch: DatabricksBatch, job: str) -> list[float]:
    folder = bench.workspace.files.root / batch.predictions(ENV, job).lstrip("/")
    frames = [pd.read_parquet(path) for path in sorted(folder.rglob("*.parquet"))]
    return [float(value) for frame in frames for value in frame["_prediction"]]


def test_a_folder_is_scored_by_the_release_that_is_deployed(
    bench: DatabricksBench, batch: DatabricksBatch
) -> None:
    _put(bench, "in/july.parquet", pd.DataFrame({"carrier": ["AA", "AA"], "distance": [500.0, 700.0]}))
    _put(bench, "in/august.parquet", pd.DataFrame({"carrier": ["AA"], "distance": [500.0]}))
    assert _deploy(bench, batch, 1, "one") == "release-1"
    job = batch.start(ENV, MODEL, f"{VOLUME}/in")
    batch.wait(ENV, job)
    one = testing.expected("AA", 500)
    assert _predictions(bench, batch, job) == pytest.approx([one, one, testing.expected("AA", 700)])

    # A newer release takes its place, and the older one stays to be named.
    _deploy(bench, batch, 2, "two")
    assert _deploy(bench, batch, 2, "two") == "release-2"
    newer, older = batch.start(ENV, MODEL, f"{VOLUME}/in"), batch.start(ENV, MODEL, f"{VOLUME}/in", 1)
    for name in (newer, older):
        batch.wait(ENV, name)
    assert _predictions(bench, batch, newer)[0] == pytest.approx(testing.expected("AA", 500, 2.0))
    assert _predictions(bench, batch, older)[0] == pytest.approx(one)


def test_a_file_that_breaks_the_contract_fails_the_job_with_its_reason(
    bench: DatabricksBench, batch: DatabricksBatch
) -> None:
    _put(bench, "in/wrong.parquet", pd.DataFrame({"carrier": ["AA"]}))
    _deploy(bench, batch, 1, "one")
    job = batch.start(ENV, MODEL, f"{VOLUME}/in")
    with pytest.raises(StepFailed) as failed:
        batch.wait(ENV, job)
    assert "wrong.parquet" in str(failed.value) and "distance" in str(failed.value)


def test_a_model_that_was_exchanged_in_the_volume_is_not_loaded(
    bench: DatabricksBench, batch: DatabricksBatch
) -> None:
    _put(bench, "in/july.parquet", pd.DataFrame({"carrier": ["AA"], "distance": [500.0]}))
    _deploy(bench, batch, 1, "one")
    stored = bench.workspace.files.root / VOLUME.lstrip("/") / "batch" / MODEL / "1" / "MLmodel"
    stored.write_text(stored.read_text() + "# exchanged\n")
    job = batch.start(ENV, MODEL, f"{VOLUME}/in")
    with pytest.raises(StepFailed, match="digest"):
        batch.wait(ENV, job)


def test_compute_that_does_not_start_is_a_sentence(bench: DatabricksBench, batch: DatabricksBatch) -> None:
    _put(bench, "in/july.parquet", pd.DataFrame({"carrier": ["AA"], "distance": [500.0]}))
    _deploy(bench, batch, 1, "one")
    bench.workspace.jobs.refused = ("CLUSTER_ERROR", "quota exceeded")
    job = batch.start(ENV, MODEL, f"{VOLUME}/in")
    with pytest.raises(TargetError, match="its cluster did not start"):
        batch.wait(ENV, job)


def test_what_cannot_be_is_refused_before_anything_is_submitted(
    bench: DatabricksBench, batch: DatabricksBatch
) -> None:
    with pytest.raises(NotFound, match="has no release"):
        batch.start(ENV, MODEL, f"{VOLUME}/in")
    folder = bench.artifacts["one"]
    with pytest.raises(InvalidInput, match="has no other step"):
        batch.deploy(ENV, release(1, tree_digest(folder)), folder, pipeline=True)
    _deploy(bench, batch, 1, "one")
    with pytest.raises(NotFound, match="not release 7"):
        batch.start(ENV, MODEL, f"{VOLUME}/in", 7)
    with pytest.raises(InvalidInput, match="is no folder that a job of Databricks reads"):
        batch.start(ENV, MODEL, "data/july")
    with pytest.raises(TargetError, match="a release never changes"):
        _deploy(bench, batch, 1, "two")
    (bench.root / "pipelines" / MODEL / "environment" / "batch.yml").unlink()
    with pytest.raises(InvalidInput) as missing:
        batch.start(ENV, MODEL, f"{VOLUME}/in")
    assert missing.value.problems[0].where == f"pipelines/{MODEL}/environment/batch.yml"
    assert not bench.workspace.jobs.runs


def test_an_environment_in_another_workspace_has_no_batch_jobs(
    bench: DatabricksBench, batch: DatabricksBatch
) -> None:
    other = {ENV: DatabricksPlace(host="https://adb-2.2.azuredatabricks.net")}
    databricks = bench.settings.databricks.model_copy(update={"environments": other})
    bench.connection.settings = bench.settings.model_copy(update={"databricks": databricks})
    with pytest.raises(InvalidInput) as refused:
        _deploy(bench, batch, 1, "one")
    assert refused.value.problems[0].field == f"databricks.environments.{ENV}.host"
