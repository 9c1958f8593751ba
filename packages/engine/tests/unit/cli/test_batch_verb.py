"""`mlops batch` scores by what is live or released, goes on after a bad file, and tells CI by its code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

import mlops.targets
from mlops.cli import _app, _verbs  # noqa: F401  registers the commands
from mlops.lifecycle.propose.release import release_text
from mlops.serving import testing
from mlops.spec.gates import GateResult, Interval
from mlops.spec.release import Data, Release, Source
from mlops.targets.base import Target
from mlops.targets.memory import MemoryRegistry

POLICY = (Path(__file__).parents[5] / "environments" / "policy.yaml").read_text()


def made(version: int, digest: str) -> Release:
    source = Source(commit="a" * 40, actor="ada", run_id="r", pipeline="p", pipeline_digest=digest)
    data = Data(name="d", version="1", digest=digest, window="2013-01..2013-03", test_window="2013-04")
    return Release(
        model="freight", version=version, digest=digest, created="2026-01-01T00:00:00Z", source=source,
        data=data, environment=digest, metrics={"roc_auc": Interval(value=0.7, low=0.6, high=0.8)},
        gates=[GateResult(name="a", verdict="pass", observed="1", limit="1")],
    )  # fmt: skip


class Repository:
    def __init__(self, root: Path, registry: MemoryRegistry) -> None:
        self.root = root
        self.registry = registry
        (root / "environments").mkdir()
        (root / "releases" / "freight").mkdir(parents=True)
        (root / "environments" / "policy.yaml").write_text(POLICY)
        (root / "mlops.toml").write_text(
            '[project]\nname = "freight-mlops"\n[models.freight]\nusecase = "freight"\n'
        )
        self.input = root / "in"
        self.input.mkdir()
        for month in ("july", "june"):
            values = {"id": [1, 2], "carrier": ["AA", "DL"], "distance": [500.0, None]}
            pq.write_table(pa.table(values), self.input / f"{month}.parquet")

    def release(self, version: int, bias: float, *, live: str = "") -> Release:
        folder = self.root / "models" / str(version)
        release = made(version, testing.write_onnx(folder, bias=bias))
        self.registry.add(release, folder)
        (self.root / "releases" / "freight" / f"{version}.yaml").write_text(release_text(release))
        if live:
            self.registry.tag("freight", version, {f"mlops.env.{live}": "live"})
        return release

    def batch(self, *options: str) -> Result:
        given = ["--input", str(self.input), "--output", str(self.root / "out"), "--workers", "1", *options]
        return CliRunner().invoke(_app.app, ["-C", str(self.root), "batch", *given])

    def predictions(self, name: str = "july") -> list[dict[str, Any]]:
        return pq.read_table(self.root / "out" / f"{name}.parquet.predictions.parquet").to_pylist()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    registry = MemoryRegistry()
    # A batch asks nothing but the registry.
    nothing: Any = None
    target = Target("memory", nothing, registry, nothing, nothing, nothing)
    monkeypatch.setattr(mlops.targets, "open_target", lambda *_: target)
    return Repository(tmp_path, registry)


def test_what_is_live_in_an_environment_scores(repository: Repository) -> None:
    repository.release(1, 0.0, live="prod")
    repository.release(2, 1.0, live="staging")
    done = repository.batch()
    assert done.exit_code == 0, done.output
    assert "4 rows of 2 files scored by freight 1 (live in prod)" in done.stdout
    assert [r["_prediction"] for r in repository.predictions()] == pytest.approx(
        [testing.expected("AA", 500.0), testing.expected("DL", None)], abs=1e-6
    )
    assert repository.batch("--env", "staging", "--keep", "id").exit_code == 0
    assert repository.predictions()[0] == {
        "id": 1, "_row": 0, "_prediction": pytest.approx(testing.expected("AA", 500.0, 1.0), abs=1e-6),
        "_label": "1",
    }  # fmt: skip


def test_a_release_scores_and_a_second_run_has_nothing_to_do(repository: Repository) -> None:
    release = repository.release(3, 2.0)
    done = repository.batch("--release", "3", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["version"], found["digest"], found["rows"], found["skipped"]) == (3, release.digest, 4, 0)
    assert [f["source"] for f in found["files"]] == ["july.parquet", "june.parquet"]
    assert json.loads(repository.batch("--release", "3", "--json").stdout)["skipped"] == 2


def test_a_bad_file_ends_in_code_5_after_the_others_and_json_still_has_all(repository: Repository) -> None:
    repository.release(1, 0.0, live="prod")
    pq.write_table(pa.table({"carrier": ["AA"]}), repository.input / "bad.parquet")
    done = repository.batch()
    assert done.exit_code == 5
    assert "bad.parquet: lacks the columns distance" in done.stderr
    assert len(repository.predictions()) == len(repository.predictions("june")) == 2
    machine = repository.batch("--json")
    assert machine.exit_code == 5
    states = {f["source"]: f["state"] for f in json.loads(machine.stdout)["files"]}
    assert states == {"bad.parquet": "quarantined", "july.parquet": "done", "june.parquet": "done"}


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ((), 6, "nothing of freight is live in prod; `mlops apply prod` serves"),
        (("--release", "9"), 6, "there is no release 9 of freight"),
        (("--env", "prod", "--release", "1"), 5, "give --env or --release, not both"),
        (("--env", "moon"), 5, "there is no environment 'moon'"),
    ],
)
def test_refusals_say_what_to_do(
    repository: Repository, options: tuple[str, ...], code: int, sentence: str
) -> None:
    done = repository.batch(*options)
    assert (done.exit_code, sentence in " ".join(done.stderr.split())) == (code, True), done.stderr
    assert not (repository.root / "out").exists()


def test_a_release_file_that_disagrees_with_the_registry_stops_it(repository: Repository) -> None:
    release = repository.release(1, 0.0, live="prod")
    path = repository.root / "releases" / "freight" / "1.yaml"
    path.write_text(path.read_text().replace(release.digest, "sha256:" + "0" * 64, 1))
    done = repository.batch()
    assert done.exit_code == 7
    assert "one of them was changed, and nothing was scored" in " ".join(done.stderr.split())
