"""`mlops profile` against a real local endpoint: figures, files and a recommendation from one command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import mlops.targets
from mlops.cli import _app, _verbs  # noqa: F401  registers the commands
from mlops.serving import testing
from mlops.spec.gates import GateResult, Interval
from mlops.spec.release import Data, Release, Source
from mlops.targets.base import Target
from mlops.targets.local.endpoints import LocalEndpoints
from mlops.targets.memory import MemoryRegistry

POLICY = (Path(__file__).parents[5] / "environments" / "policy.yaml").read_text()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Target]]:
    """A repository whose staging serves a release."""
    folder = tmp_path_factory.mktemp("profile")
    (folder / "environments").mkdir()
    (folder / "environments" / "policy.yaml").write_text(POLICY)
    (folder / "mlops.toml").write_text(
        '[project]\nname = "freight-mlops"\n[models.freight]\nusecase = "freight"\n'
    )
    digest = testing.write_onnx(folder / "model")
    source = Source(commit="a" * 40, actor="ada", run_id="r", pipeline="p", pipeline_digest=digest)
    data = Data(name="d", version="1", digest=digest, window="2013-01..2013-03", test_window="2013-04")
    release = Release(
        model="freight", version=1, digest=digest, created="2026-01-01T00:00:00Z", source=source, data=data,
        environment=digest, metrics={"auc": Interval(value=0.7, low=0.6, high=0.8)},
        gates=[GateResult(name="a", verdict="pass", observed="1", limit="1")],
    )  # fmt: skip
    registry, endpoints = MemoryRegistry(), LocalEndpoints(folder / "endpoints")
    registry.add(release, folder / "model")
    nothing: Any = None
    endpoints.create("staging", "blue", release, folder / "model")
    yield folder, Target("memory", nothing, registry, endpoints, nothing, nothing)
    endpoints.stop("staging", "freight")


@pytest.fixture
def call(root: tuple[Path, Target], monkeypatch: pytest.MonkeyPatch) -> Any:
    folder, target = root
    monkeypatch.setattr(mlops.targets, "open_target", lambda *_: target)

    def run(*options: str) -> Result:
        quick = ["--connections", "1,2", "--seconds", "0.3", "--output", str(folder / "out")]
        return CliRunner().invoke(_app.app, ["-C", str(folder), "profile", *quick, *options])

    return run


def test_figures_recommendation_and_files(call: Any) -> None:
    done = call("--env", "staging", "--rate", "50", "--p99", "2s", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    points = found["profile"]["points"]
    assert [p["connections"] for p in points] == [1, 2]
    assert all(p["failures"] == 0 and p["rate"] > 20 and 0 < p["p50"] <= p["p99"] for p in points)
    assert all(0 < p["cpu"] < 2 and p["workers"] >= 1 and p["memory_bytes"] > 20e6 for p in points)
    assert found["recommendation"]["instances"] == 2
    assert found["recommendation"]["size"].startswith("Standard_")
    assert sorted(Path(f).name for f in found["files"]) == ["profile.json", "profile.md", "profile.png"]


def test_it_measures_without_a_wish_and_says_it_in_words(call: Any) -> None:
    done = call("--env", "staging")
    assert done.exit_code == 0, done.output
    assert "freight 1 in staging" in done.stdout
    assert "2 connections: " in done.stderr


def test_a_p99_that_was_never_kept_blocks_and_keeps_the_figures(call: Any, root: tuple[Path, Target]) -> None:
    for old in (root[0] / "out").glob("*"):
        old.unlink()
    done = call("--env", "staging", "--rate", "50", "--p99", "0.001ms")
    assert done.exit_code == 3
    assert "was never kept" in " ".join(done.stderr.split())
    assert json.loads((root[0] / "out" / "profile.json").read_text())["recommendation"] is None


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--env", "prod"), 6, "freight has no endpoint in prod; `mlops apply prod` creates it"),
        (("--env", "staging", "--rate", "5"), 5, "needs both --rate and --p99"),
        (("--env", "staging", "--rate", "5", "--p99", "soon"), 5, "must be a duration such as 50ms"),
        (("--env", "staging", "--connections", "1,x"), 5, "--connections must be whole numbers"),
    ],
)
def test_refusals_say_what_to_do(call: Any, options: tuple[str, ...], code: int, sentence: str) -> None:
    done = call(*options)
    assert (done.exit_code, sentence in " ".join(done.stderr.split())) == (code, True), done.stderr
