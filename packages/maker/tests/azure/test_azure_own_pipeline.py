"""A team's own pipeline, with scripts that know nothing of this package, whole on Azure ML: it is trained
there by `--target azure`, judged, released, served in staging and promoted, and a worse model is blocked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import brought_world
import pytest
import yaml

from mlops.spec.files import load_release
from tests.azure.emulator import MLFLOW_TELEMETRY, Emulator
from tests.azure.lifecycle import merge, provide, quick_steps, subscription
from tests.e2e.template_copy import Repository

pytestmark = pytest.mark.e2e

MODEL = "diabetes"


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Emulator]:
    with subscription(tmp_path_factory.mktemp("azure"), database, MLFLOW_TELEMETRY) as made:
        yield made


@pytest.fixture(scope="module")
def repository(azure: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The template with the pipeline of the guide. Nothing is trained yet."""
    made = Repository.cloned(
        tmp_path_factory.mktemp("own"), ("environments/policy.yaml", "soak: 24h", "soak: 0s")
    )
    brought_world.write(made.root)
    policy = made.root / "environments/policy.yaml"
    told = yaml.safe_load(policy.read_text())
    for environment in told["environments"].values():
        environment["synthetic_traffic"] = True
    policy.write_text(yaml.safe_dump(told, sort_keys=False))
    made.commit("A pipeline that was there before, and the model that it trains")
    made.publish()
    provide(azure, made, MODEL)
    return made


def _of(*words: str) -> list[str]:
    return [*words, "--model", MODEL]


@pytest.mark.slow  # the same pipeline goes to production on this machine in the fast suite
@pytest.mark.timeout(900)
def test_it_goes_from_a_commit_to_production_and_a_worse_model_does_not(
    repository: Repository, azure: Emulator
) -> None:
    trained = repository.call(*_of("train", "--json")).ok().json
    assert (trained["version"], trained["new"]) == (1, True)
    job = azure.jobs.find(trained["run_id"])
    assert {child.display for child in azure.jobs.children(job.name)} == {"prep", "train", "score"}
    again = repository.call(*_of("train", "--json")).ok().json
    assert (again["version"], again["new"], again["reused_steps"]) == (1, False, 3)

    verdict = repository.call(*_of("gate", "--json")).ok().json
    assert verdict["passed"] and verdict["rows"] > 100
    repository.call(*_of("release")).ok()
    release = load_release(repository.root, MODEL, 1)
    (registry,) = azure.workspaces.registries.values()
    shared = azure.arm.get(f"{registry.id}/models/{MODEL}/versions/1")
    assert shared is not None and shared["properties"]["tags"]["mlops.digest"] == release.digest
    repository.commit(f"Release {MODEL} 1")
    quick_steps(repository, "staging", MODEL)

    repository.call(*_of("apply", "staging")).ok()
    request = repository.call(*_of("promote", "prod", "--json")).ok().json["pull_request"]
    merge(repository, request["number"])
    repository.call(*_of("apply", "prod")).ok()
    rows = repository.call("endpoints", "--json").ok().json
    served = {
        r["environment"]: {d["release"]: d["traffic"] for d in r["deployments"]}
        for r in rows
        if r["model"] == MODEL
    }
    assert served == {"staging": {1: 100}, "prod": {1: 100}}
    artifact = repository.root / ".mlops/models" / release.digest.removeprefix("sha256:")
    answer = repository.call(
        "score", "--env", "prod", "--model", MODEL, "--input", str(artifact / "sample.json")
    )
    assert all(25 < value < 346 for value in answer.ok().json["predictions"])

    with repository.edited("pipelines/diabetes/scripts/train.py", "max_depth=4", "max_depth=1"):
        worse = repository.call(*_of("train", "--set", "n_estimators=1", "--json")).ok().json
        assert worse["version"] == 2
        repository.call(*_of("gate")).refused(3, "is blocked by ")
        assert repository.call(*_of("release", "2")).code != 0
        assert not (repository.root / f"releases/{MODEL}/2.yaml").exists()
