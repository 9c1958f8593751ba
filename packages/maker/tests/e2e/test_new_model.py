"""Another use case proves that the lifecycle knows nothing of flights: from a scaffold to production."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from template_copy import REVIEWER, Repository

from mlops.scaffold import kinds
from mlops.spec.sources import python_path

pytestmark = pytest.mark.e2e

FORK_FOLDERS = ("src/{0}/", "pipelines/{0}/", "tests/unit/{0}/", "releases/{0}/")
FORK_FILES = (
    "mlops.toml",
    "environments/staging/{0}.yaml",
    "environments/prod/{0}.yaml",
    ".github/workflows/train-{0}.yml",
    "pipelines/azure-devops/train-{0}.yml",
    # The library of its kind.
    "pyproject.toml",
    "uv.lock",
    "container/requirements.txt",
)
CI = ("test_parity.py", "test_names.py", "test_rules.py")
"""Tests of the template that read the CI files and mlops.toml: a fork runs them on its own."""


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """The template as cloned, with no soak between staging and prod."""
    soak = ("environments/policy.yaml", "soak: 24h", "soak: 0s")
    made = Repository.cloned(tmp_path_factory.mktemp("fork"), soak)
    made.publish()
    yield made
    made.stop()


def _slow(name: str, kind: str, task: str) -> Any:
    return pytest.param(name, kind, task, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "kind", "task"),
    [
        ("prices", "lightgbm", "regression"),
        ("growers", "xgboost", "multiclass"),
        _slow("digits", "image", "multiclass"),
        _slow("nets", "torch", "binary"),
        _slow("tumours", "catboost", "binary"),
        _slow("docstrings", "text", "binary"),
        _slow("stocks", "forecast", "forecast"),
        _slow("own", "own-training", "binary"),
        _slow("traits", "multilabel", "multilabel"),
        _slow("ranges", "quantiles", "quantiles"),
        _slow("urgent", "ranking", "ranking"),
        _slow("petals", "custom", "custom"),
    ],
)
def test_a_scaffolded_model_goes_from_commit_to_production(
    fork: Repository, name: str, kind: str, task: str
) -> None:
    if absent := kinds.missing(kind):
        pytest.skip(f"not installed: {', '.join(absent)} (uv sync --group {absent[0]})")
    before = fork.git("rev-parse", "HEAD")
    fork.call("new-model", name, "--kind", kind, "--task", task).ok()
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
    fork.call("apply", "staging", "--all").ok()
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


def tool(fork: Repository, *words: str) -> subprocess.CompletedProcess[str]:
    """A tool of this environment, run in the fork on the fork's own code."""
    return subprocess.run(
        [str(Path(sys.executable).with_name(words[0])), *words[1:]],
        cwd=fork.root,
        env={**fork.env, "PYTHONPATH": python_path(fork.root)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_was_scaffolded_keeps_the_rules_of_the_house(fork: Repository) -> None:
    """Format, lint and the use case's own tests, as `make lint` and `make test` of the fork run them."""
    names = ("ab", "late-payers-of-the-north-ea")  # sorted before `mlops`, and as long as names may be
    for name in names:
        fork.call("new-model", name, "--task", "binary").ok()
    packages = [name.replace("-", "_") for name in names]
    tests = [f"tests/unit/{package}" for package in packages]
    folders = [*(f"src/{package}" for package in packages), *tests]
    for words in (
        ["ruff", "format", "--check", *folders],
        ["ruff", "check", *folders],
        ["pytest", "-q", "-p", "no:cacheprovider", *tests],
    ):
        done = tool(fork, *words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_model_is_trained_by_its_own_changes_on_both_ci_systems(fork: Repository) -> None:
    """The fork's own tests and linters hold its new pipelines to what they hold the first ones to."""
    name = "late-payers"
    fork.call("new-model", name, "--task", "binary").ok()
    github, azure = f".github/workflows/train-{name}.yml", f"pipelines/azure-devops/train-{name}.yml"
    schema = ("check-jsonschema", "--builtin-schema")
    pytest_ = ("pytest", "-q", "-p", "no:cacheprovider")
    for words in (
        (*pytest_, *(f"packages/maker/tests/ci/{test}" for test in CI)),
        (*pytest_, "packages/engine/tests/unit/forge/test_push_decisions.py"),
        ("actionlint",),
        ("zizmor", "--quiet", "--offline", "--persona=pedantic", ".github"),
        ("yamllint", "--strict", github, azure),
        (*schema, "vendor.github-workflows", github),
        (*schema, "vendor.azure-pipelines", "--data-transform", "azure-pipelines",
         "--regex-variant", "nonunicode", azure),
    ):  # fmt: skip
        done = tool(fork, *words)
        assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"
    (fork.root / github).unlink()
    done = tool(fork, *pytest_, "packages/maker/tests/ci/test_parity.py")
    assert done.returncode, "a model without a workflow that trains it is not noticed"


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
