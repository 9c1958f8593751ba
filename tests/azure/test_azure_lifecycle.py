"""The command line on the target `azure`: real training by unmodified clients, judged, shared, released."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.azure.conftest import provision, settle
from tests.azure.emulator import Emulator, types
from tests.azure.emulator.jobs import HEAVY
from tests.azure.emulator.workspaces import SUBSCRIPTION
from tests.e2e.template_copy import MODEL, Repository

from mlops.spec.files import load_desired, load_release
from mlops.spec.settings import load_settings
from mlops.tracking import sqlite_uri

pytestmark = [pytest.mark.e2e, pytest.mark.processes]

STEPS = ["prep", "validate", "train", "evaluate", "explain", "register"]


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("azure")
    shutil.copy(database, folder / "mlflow.db")
    with Emulator(folder) as made:
        made.tracking.start(sqlite_uri(folder / "mlflow.db"))
        made.jobs.preload = HEAVY
        yield made
        settle(made)


@pytest.fixture(scope="module")
def repository(azure: Emulator, raw_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A commit of the template whose verbs work on Azure, with its data pushed."""
    made = Repository.make(tmp_path_factory.mktemp("lifecycle"), raw_sample)
    provision(azure, made.root, load_settings(made.root))
    made.env |= {**azure.env, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION, "MLOPS_TARGET": "azure"}
    return made


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
