"""The whole way by the command line on the target `databricks`, with unmodified clients and a real model:
trained as a job, judged, released, served from two catalogs and promoted. The verbs are those of the other
targets, and none of them knows where it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.spec.files import load_desired, load_release
from mlops.tracking import sqlite_uri
from tests.azure.lifecycle import _hurry, promote, quick_steps
from tests.databricks.conftest import CATALOGS
from tests.databricks.emulator import Emulator
from tests.e2e.template_copy import MODEL, Repository

pytestmark = pytest.mark.e2e

STEPS = ["prep", "validate", "train", "evaluate", "explain", "register"]


@pytest.fixture(scope="module")
def databricks(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("databricks")) as made:
        made.unity.catalogs |= set(CATALOGS)
        made.tracking.start(sqlite_uri(database))
        yield made
        assert not made.errors, made.errors[0]
        assert not made.unknown, made.unknown


@pytest.fixture(scope="module")
def repository(
    databricks: Emulator, raw_sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> Repository:
    """A commit of the template whose verbs work on Databricks. Nothing is trained yet."""
    made = Repository.make(tmp_path_factory.mktemp("lifecycle"), raw_sample)
    _hurry(made)
    made.env |= {**databricks.env, "MLOPS_TARGET": "databricks"}
    return made


def _served(repository: Repository) -> dict[str, dict[int, int]]:
    """Share of traffic by release, in each environment."""
    rows = repository.call("endpoints", "--json").ok().json
    return {r["environment"]: {d["release"]: d["traffic"] for d in r["deployments"]} for r in rows}


@pytest.mark.slow
@pytest.mark.timeout(1800)  # two minutes on a quiet machine
def test_from_a_commit_to_production(repository: Repository, databricks: Emulator) -> None:
    asset = repository.call("data", "push", "--json").ok().json
    assert (asset["name"], asset["version"], asset["new"]) == ("nycflights", "1", True)
    trained = repository.call("train").ok()
    assert "version 1 is registered" in trained.out
    assert [step for step in STEPS if f"✓ {step}" in trained.err] == STEPS
    (version,) = repository.call("versions", "list", "--json").ok().json
    assert version["commit"] == repository.git("rev-parse", "HEAD")
    assert repository.call("gate", "--json").ok().json["passed"] is True
    assert repository.call("release", "--json").ok().json["release"] == 1
    release = load_release(repository.root, MODEL, 1)
    assert release.data.digest == asset["digest"]
    wanted = load_desired(repository.root, "staging", MODEL)
    assert wanted is not None and wanted.release == 1

    repository.commit(f"Release {MODEL} 1")
    quick_steps(repository, "staging")
    repository.call("apply", "staging").ok()
    assert _served(repository)["staging"] == {1: 100}
    promote(repository)
    assert repository.call("diff", "prod").code == 2
    repository.call("apply", "prod").ok()
    assert _served(repository)["prod"] == {1: 100}
    assert repository.call("diff", "prod").code == 0
    copy = databricks.unity.version("prod.ml.flights", 1)
    assert copy.tags["mlops__digest"] == release.digest
    assert databricks.unity.models["prod.ml.flights"].aliases == {"live": 1}
    aliases = databricks.unity.models["dev.ml.flights"].aliases
    assert aliases == {"staging": 1, "prod": 1, "champion": 1}
    assert repository.call("versions", "delete", "1").code == 3, "what is live is not deleted"
