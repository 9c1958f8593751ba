"""Names that bootstrap writes are the names that others read: workflows, `infra/`, Azure's api-versions.

A variable that no workflow reads, or one that is read and never written, leaves jobs without a login.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlops.bootstrap import azure, github, grants
from mlops.bootstrap.github_record import RECORD
from mlops.bootstrap.github_rules import CHECKS
from mlops.bootstrap.providers import ALWAYS, OPTIONS
from mlops.errors import InvalidInput
from mlops.infra.arm_types import ARM_TYPES
from mlops.infra.roles import BUILT_IN
from mlops.spec.settings import load_settings
from mlops.targets.azure.arm import VERSIONS

ROOT = Path(__file__).parents[5]
BY_HAND = {"MLOPS_STATE", "MLOPS_BOARD", "RELEASE_APP_CLIENT_ID"}
"""What a fork decides for itself; docs/ci.md has the table."""


def _read() -> set[str]:
    folders = (ROOT / ".github/workflows", ROOT / ".github/actions")
    files = [p for folder in folders for p in folder.rglob("*.yml")]
    return {name for path in files for name in re.findall(r"\bvars\.(\w+)", path.read_text(encoding="utf-8"))}


def _written() -> set[str]:
    """Names in the code that makes variables."""
    text = Path(github.__file__).read_text(encoding="utf-8")
    return set(re.findall(r'"((?:AZURE|MLOPS|PULUMI)_[A-Z_]+)"', text)) - {RECORD}


def test_every_variable_that_workflows_read_is_written_or_decided_by_hand():
    assert _read() - BY_HAND == _written()
    assert _read() >= BY_HAND


def test_checks_that_main_must_pass_are_jobs_of_ci():
    import yaml

    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    names = [job["name"] for job in jobs.values()]
    # Not asked of each pull request: an advisory of today is no fault of it, and GitHub sells the other.
    assert [name for name in names if name not in ("audit", "dependencies")] == list(CHECKS)


def test_api_versions_are_those_of_the_program():
    used = {(entry.type, entry.version) for entry in ARM_TYPES.values()}
    for name, version in VERSIONS.items():
        if name in ("providers", "subscriptions"):
            continue
        same = {v for kind, v in used if kind == name or kind.startswith(f"{name}/")}
        assert version in same, f"{name}: {version} is not among {sorted(same)}"


def test_providers_are_those_of_every_type_that_the_program_can_make():
    made = {entry.type.partition("/")[0] for entry in ARM_TYPES.values()}
    known = {*ALWAYS, *(name for names in OPTIONS.values() for name in names)}
    assert made <= known, f"nobody registers {sorted(made - known)}"


def test_roles_have_the_ids_of_the_program():
    for name, identity in (grants.BLOB_CONTRIBUTOR, grants.ACCESS_ADMINISTRATOR):
        assert BUILT_IN[name] == identity


@pytest.mark.parametrize(
    ("forge", "remote", "repository"),
    [
        ("github", "https://github.com/contoso/flights.git", "contoso/flights"),
        ("github", "git@github.com:contoso/flights.git", "contoso/flights"),
        ("github", "https://github.com/contoso/my.flights", "contoso/my.flights"),
        ("azure-devops", "https://ada@dev.azure.com/contoso/ml/_git/flights", "contoso/ml/flights"),
        ("azure-devops", "git@ssh.dev.azure.com:v3/contoso/ml/flights", "contoso/ml/flights"),
    ],
)
def test_the_repository_is_that_of_the_remote(
    forge: str, remote: str, repository: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mlops.forge.git.Git.answer", lambda self, *args: (0, f"{remote}\n", ""))
    assert azure.repository_of(ROOT, load_settings(ROOT), forge) == repository


def test_an_unknown_remote_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mlops.forge.git.Git.answer", lambda self, *args: (2, "", "no such remote"))
    with pytest.raises(InvalidInput, match=r"which repository on github\? there is no remote `origin`"):
        azure.repository_of(ROOT, load_settings(ROOT), "github")
