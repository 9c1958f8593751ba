"""Another use case proves that the lifecycle knows nothing of flights: from a scaffold to production."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from template_copy import REVIEWER, Repository

pytestmark = [pytest.mark.e2e]

FORK_FOLDERS = ("src/{0}/", "pipelines/{0}/", "tests/unit/{0}/", "releases/{0}/")
FORK_FILES = ("mlops.toml", "environments/staging/{0}.yaml", "environments/prod/{0}.yaml")


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """The template as cloned, with no soak between staging and prod."""
    soak = ("environments/policy.yaml", "soak: 24h", "soak: 0s")
    made = Repository.cloned(tmp_path_factory.mktemp("fork"), soak)
    made.publish()
    yield made
    made.stop()


@pytest.mark.parametrize(("name", "task"), [("prices", "regression"), ("growers", "multiclass")])
def test_a_scaffolded_model_goes_from_commit_to_production(fork: Repository, name: str, task: str) -> None:
    before = fork.git("rev-parse", "HEAD")
    fork.call("new-model", name, "--task", task).ok()
    fork.call("pipeline", "lint", str(fork.root / "pipelines" / name)).ok()
    fork.call("check").ok()
    fork.commit(f"Scaffold {name}")
    fork.git("push", "--quiet")

    trained = fork.call("train", "--model", name, "--json").ok().json
    assert (trained["model"], trained["version"], trained["new"]) == (name, 1, True)
    fork.call("gate", "--model", name).ok()
    fork.call("release", "--model", name).ok()
    fork.commit(f"Release {name} 1 to staging")
    fork.git("push", "--quiet")
    fork.call("apply", "staging", "--model", name).ok()
    pull = fork.call("promote", "prod", "--model", name, "--json").ok().json["pull_request"]["number"]
    fork.call("pr", "merge", str(pull), "--approver", REVIEWER).ok()
    fork.git("pull", "--quiet", "--ff-only")
    fork.call("apply", "prod", "--model", name).ok()

    version = fork.target.registry.get(name, 1)
    artifact = fork.target.registry.fetch(name, 1, version.tags["mlops.digest"])
    sample = str(artifact / "sample.json")
    answer = fork.call("score", "--env", "prod", "--model", name, "--input", sample).ok().json
    assert len(answer["predictions"]) == 50
    touched = fork.git("diff", "--name-only", before, "HEAD").splitlines()
    allowed = tuple(place.format(name) for place in (*FORK_FOLDERS, *FORK_FILES))
    assert [path for path in touched if not path.startswith(allowed)] == []


def test_what_was_scaffolded_keeps_the_rules_of_the_house(fork: Repository) -> None:
    """Format, lint and the use case's own tests, as `make lint` and `make test` of the fork run them."""
    names = ("ab", "late-payers-of-the-north-ea")  # sorted before `mlops`, and as long as names may be
    for name in names:
        fork.call("new-model", name, "--task", "binary").ok()
    packages = [name.replace("-", "_") for name in names]
    bin_folder = Path(sys.executable).parent
    tests = [f"tests/unit/{package}" for package in packages]
    folders = [*(f"src/{package}" for package in packages), *tests]
    for words in (
        ["ruff", "format", "--check"],
        ["ruff", "check"],
        ["pytest", "-q", "-p", "no:cacheprovider"],
    ):
        chosen = folders if words[0] == "ruff" else tests
        done = subprocess.run(
            [str(bin_folder / words[0]), *words[1:], *chosen],
            cwd=fork.root,
            env={**fork.env, "PYTHONPATH": str(fork.root / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("flights", "the model 'flights' exists already"),
        ("Prices", "2 to 27 lower-case letters"),
        ("json", "the Python package 'json' exists already"),
        ("mlops", "the Python package 'mlops' exists already"),
    ],
)
def test_a_name_that_is_taken_or_none_writes_nothing(fork: Repository, name: str, says: str) -> None:
    before = fork.git("status", "--porcelain")
    fork.call("new-model", name).refused(5, says)
    assert fork.git("status", "--porcelain") == before
