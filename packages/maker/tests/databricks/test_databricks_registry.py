"""Versions in Unity Catalog. A version that nobody finished, a tag that is cut, or a live one that is
deleted would each put another model into production than git says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlops.errors import Blocked, Forbidden, IntegrityError, InvalidInput, MlopsError, NotFound
from mlops.spec.digest import tree_digest
from mlops.targets.databricks.registry import DatabricksRegistry
from mlops.tracking.unity import key_of, tag_of
from tests.contracts.endpoints import MODEL
from tests.databricks.bench import DatabricksBench, write_artifacts
from tests.databricks.emulator import Answer, Emulator

NAME = "dev.ml.freight"


@pytest.fixture
def bench(tracked: Emulator, tmp_path: Path) -> DatabricksBench:
    return DatabricksBench(tracked, write_artifacts(tmp_path / "artifacts"), tmp_path / "fork")


@pytest.fixture
def registry(bench: DatabricksBench) -> DatabricksRegistry:
    return bench.registry


@pytest.fixture
def artifact(bench: DatabricksBench) -> Path:
    return bench.artifacts["one"]


def test_a_version_with_its_lineage(
    registry: DatabricksRegistry, artifact: Path, bench: DatabricksBench, tracked: Emulator
):
    digest = tree_digest(artifact)
    made = registry.register(MODEL, artifact, digest, {"mlops.commit": "c" * 40})
    assert (made.model, made.version, made.tags["mlops.digest"]) == (MODEL, 1, digest)
    assert registry.register(MODEL, artifact, digest, {}).version == 1, "made once for each digest"
    assert tracked.unity.version(NAME, 1).tags == {"mlops__commit": "c" * 40, "mlops__digest": digest}
    assert made.source.startswith("dbfs:/databricks/mlflow-tracking/"), "the files of the run that made it"
    registry.tag(MODEL, 1, {"mlops.env.prod": "live", "mlops.gone": None})
    registry.tag(MODEL, 1, {"mlops.env.prod": "live"})
    (live,) = registry.versions(MODEL, {"mlops.env.prod": "live"})
    assert live.run_id == made.run_id
    with pytest.raises(Blocked, match="freight version 1 is live in prod and cannot be deleted"):
        registry.delete(MODEL, 1)
    registry.tag(MODEL, 1, {"mlops.env.prod": None})
    shutil.rmtree(bench.connection.state, ignore_errors=True)
    assert tree_digest(registry.fetch(MODEL, 1, digest)) == digest
    with pytest.raises(IntegrityError, match="nothing was fetched"):
        registry.fetch(MODEL, 1, "sha256:" + "0" * 64)
    registry.delete(MODEL, 1)
    with pytest.raises(NotFound, match="has no version 1"):
        registry.get(MODEL, 1)


def test_newest_first_and_as_many_as_were_asked_for(registry: DatabricksRegistry, bench: DatabricksBench):
    for number, name in enumerate(("one", "two", "failing"), 1):
        folder = bench.artifacts[name]
        registry.register(MODEL, folder, tree_digest(folder), {"kind": "odd" if number % 2 else "even"})
    assert [v.version for v in registry.versions(MODEL)] == [3, 2, 1], "over more than one page"
    assert [v.version for v in registry.versions(MODEL, limit=2)] == [3, 2]
    assert [v.version for v in registry.versions(MODEL, {"kind": "odd"}, 1)] == [3]
    assert registry.versions("unknown") == []


def test_a_version_that_was_begun_is_none(registry: DatabricksRegistry, artifact: Path, tracked: Emulator):
    """Its maker was killed between the first request and the last; the next one makes another."""
    ended = Answer(400, {"error_code": "BAD_REQUEST", "message": "the process was killed here"})
    tracked.fail("POST", "model-versions/finalize", ended)
    with pytest.raises(MlopsError):
        registry.register(MODEL, artifact, tree_digest(artifact), {})
    tracked.faults.clear()
    assert tracked.unity.version(NAME, 1).status == "PENDING_REGISTRATION"
    assert registry.versions(MODEL) == []
    with pytest.raises(NotFound):
        registry.get(MODEL, 1)
    assert registry.register(MODEL, artifact, tree_digest(artifact), {}).version == 2


def test_a_copy_that_differs_is_not_served(bench: DatabricksBench, artifact: Path, tracked: Emulator):
    from tests.contracts.endpoints import ENV, release

    bench.publish(1, artifact)
    begin = tracked.unity.finalize_model_version

    def spoilt(asked: object) -> dict[str, object]:
        if asked.name.startswith("prod."):  # type: ignore[attr-defined]
            (tracked.unity.files_of(asked.name, int(asked.version)) / "extra").write_text("x")  # type: ignore[attr-defined]
        return begin(asked)

    tracked.unity.finalize_model_version = spoilt  # type: ignore[method-assign]
    with pytest.raises(IntegrityError, match=r"the copy prod.ml.freight version 1 has the digest"):
        bench.endpoints.create(ENV, "blue", release(1, tree_digest(artifact)), artifact)
    assert tracked.serving.endpoints == {}


def test_tags_that_unity_catalog_would_refuse_or_cut(registry: DatabricksRegistry, artifact: Path):
    registry.register(MODEL, artifact, tree_digest(artifact), {})
    with pytest.raises(InvalidInput, match="has 1001 characters; Unity Catalog keeps at most 1000"):
        registry.tag(MODEL, 1, {"mlops.note": "x" * 1001})
    with pytest.raises(InvalidInput, match="at most 50 tags"):
        registry.tag(MODEL, 1, {f"mlops.t{n}": "x" for n in range(50)})
    with pytest.raises(InvalidInput, match="two underscores in a row"):
        registry.tag(MODEL, 1, {"mlops__note": "x"})


@pytest.mark.parametrize("tag", ["mlops.digest", "mlops.env.prod-eu", "a=b:c/d", "mlops.data.test_window"])
def test_a_key_comes_back_as_the_tag(tag: str):
    assert tag_of(key_of(tag)) == tag
    assert not set(key_of(tag)) & set(".,-=/:")


def test_who_may_not_write_to_the_catalog_is_told_which(
    registry: DatabricksRegistry, artifact: Path, tracked: Emulator
):
    tracked.unity.read_only.add("dev")
    with pytest.raises(Forbidden, match=r"CREATE MODEL VERSION on Model 'dev.ml.freight'"):
        registry.register(MODEL, artifact, tree_digest(artifact), {})
