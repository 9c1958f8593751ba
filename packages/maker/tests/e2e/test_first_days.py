"""A fork is green from its first hour on: whatever a team does, all that its pull request runs passes then.

A fork whose first release turns its own lint red teaches its team to ignore red.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from template_copy import PACKAGES, REVIEWER, Repository
from test_init import engine_of, make, make_template, tool
from test_update import edit, release

from mlops.template import manifest, versions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

OPTIONS = [
    "--project", "demand", "--region", "swedencentral", "--forge", "local", "--contact", "ml@contoso.com",
    "--model", "prices", "--task", "regression",
]  # fmt: skip
Checks = Callable[[Repository], None]


def quickly(fork: Repository) -> None:
    """What finds most, within seconds."""
    for words in (("ruff", "format", "--check", "."), ("ruff", "check", "."), ("yamllint", "--strict", ".")):
        done = tool(fork, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    fork.call("check").ok()
    fork.call("pipeline", "lint").ok()
    assert tool(fork, "uv", "lock", "--check", "--offline").returncode == 0
    # A model of several classes starts with data about wine; nothing else may speak of it.
    elsewhere = [":!uv.lock", ":!*growers*"]
    words = ["git", "-C", str(fork.root), "grep", "-ilE", "flight|wine", "--", ".", *elsewhere]
    assert subprocess.run(words, capture_output=True, text=True, check=False).stdout == ""


def wholly(fork: Repository) -> None:
    """Its whole lint and all of its tests, with the packages that are installed here."""
    quickly(fork)
    make(fork, "lint")
    make(fork, "test")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def fork(template: Repository, tmp_path: Path) -> Iterator[Repository]:
    """As "Use this template" makes it: one commit, no history in common."""
    made = Repository(tmp_path)
    shutil.copytree(template.root, made.root, ignore=shutil.ignore_patterns(".git"))
    for words in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("config", "user.name", "Bea"),
        ("config", "user.email", "bea@contoso.com"),
    ):
        made.git(*words)
    made.env |= {"PYTHONPATH": str(made.root / "src"), **PACKAGES}
    made.commit("Initial commit")
    yield made
    made.stop()


def released(fork: Repository) -> None:
    """From a commit to a release that staging serves."""
    fork.spawn("train").ok()
    fork.call("gate").ok()
    fork.call("release").ok()
    fork.commit("Release prices to staging")
    fork.git("push", "--quiet")
    fork.spawn("apply", "staging").ok()


def promoted(fork: Repository) -> None:
    """The pull request for prod, approved, merged and applied."""
    number = fork.call("promote", "prod", "--json").ok().json["pull_request"]["number"]
    fork.spawn("pr", "merge", str(number), "--approver", REVIEWER).ok()
    fork.git("pull", "--quiet", "--ff-only")
    fork.spawn("apply", "prod").ok()


def rolled_back(fork: Repository) -> None:
    """A second release reaches prod, and goes again."""
    model = fork.root / "src/prices/model.py"
    more = re.sub(r'"max_iter": (\d+)', lambda found: f'"max_iter": {int(found[1]) + 1}', model.read_text())
    model.write_text(more)
    fork.call("params", "--model", "prices").ok()
    fork.commit("One more round of boosting")
    released(fork)
    promoted(fork)
    done = fork.call("rollback", "prod", "--reason", "a try", "--json").ok().json
    fork.spawn("pr", "merge", str(done["pull_request"]["number"]), "--approver", REVIEWER).ok()
    fork.git("pull", "--quiet", "--ff-only")


@pytest.mark.parametrize("checks", [quickly, pytest.param(wholly, marks=pytest.mark.slow)])
def test_it_stays_green(template: Repository, fork: Repository, checks: Checks) -> None:
    fork.call("init", *OPTIONS, *engine_of(template)).ok()
    edit(fork, "environments/policy.yaml", "soak: 24h", "soak: 0s\n    synthetic_traffic: true")
    fork.commit("Initialise")
    fork.publish()
    checks(fork)

    released(fork)
    checks(fork)

    promoted(fork)
    checks(fork)

    if checks is wholly:  # a canary waits for a minute, twice
        rolled_back(fork)
        checks(fork)

    fork.call("new-model", "growers", "--kind", "xgboost", "--task", "multiclass").ok()
    fork.commit("A second model")
    checks(fork)

    major, minor, _ = versions.order(manifest.load(template.root).version)
    edit(template, ".github/workflows/ci.yml", "timeout-minutes: 20", "timeout-minutes: 25")
    release(template, f"{major}.{minor + 1}.0")
    fork.spawn("update").ok()
    assert "timeout-minutes: 25" in (fork.root / ".github/workflows/ci.yml").read_text()
    checks(fork)
