"""`make lint` refuses a wrong workflow: each of its commands, taken from the Makefile, gets a wrong edit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ci_model import ROOT

CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
PIN = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"
CI = ".github/workflows/ci.yml"

WRONG = [
    ("actionlint", CI, "github.ref }}", "github.reff }}"),
    ("actionlint", ".github/workflows/release.yml", "needs: changed", "needs: chanced"),
    ("actionlint", ".github/workflows/release.yml", "outputs.prod ==", "outputs.production =="),
    ("zizmor", CI, PIN, "actions/checkout@v7"),
    ("zizmor", CI, "run make lint", "run make lint '${{ github.event.pull_request.title }}'"),
    ("zizmor", CI, "permissions: {}", "permissions: write-all"),
    ("github-workflows", CI, "timeout-minutes: 20", "timeout: 20"),
    ("github-actions", ".github/actions/setup/action.yml", "using: composite", "using: bash"),
    ("dependabot", ".github/dependabot.yml", "interval: weekly", "interval: sometimes"),
    ("github-issue-forms", ".github/ISSUE_TEMPLATE/bug.yml", "type: dropdown", "type: menu"),
    (
        "azure-pipelines",
        "pipelines/azure-devops/templates/train.yml",
        "lockBehavior: runLatest",
        "lockBehavior: wait",
    ),
    ("azure-pipelines", "azure-pipelines.yml", "- job: lint", "- jop: lint"),
    ("azure-pipelines", "pipelines/azure-devops/templates/verb.yml", "scriptType: bash", "scriptType: fish"),
    (
        "variables.schema",
        "pipelines/azure-devops/templates/variables.yml",
        "MLOPS_TARGET: local",
        "MLOPS_TARGET: Local",
    ),
    ("hadolint", "container/Dockerfile", "WORKDIR /app", "WORKDIR app"),
    ("yamllint", CI, "permissions: {}", "permissions:  {}"),
    ("checkov", ".github/workflows/train.yml", "permissions: {}", "permissions: write-all"),
]


@pytest.fixture(scope="module")
def commands() -> list[str]:
    """What `make lint` runs, one command a line."""
    shown = subprocess.run(
        ["make", "--dry-run", "lint"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return shown.stdout.replace("\\\n", " ").splitlines()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The workflows alone, in a repository of their own, with the tools of this one."""
    for name in (".github", "container", "pipelines"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("azure-pipelines.yml", ".yamllint.yaml", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in (".venv", "infra"):
        (tmp_path / name).symlink_to(ROOT / name)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def _lint(commands: list[str], tool: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (command,) = [c for c in commands if tool in c]
    env = os.environ | {"XDG_CACHE_HOME": CACHE}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("tool", sorted({tool for tool, *_ in WRONG}))
def test_the_workflows_are_clean(commands: list[str], copy: Path, tool: str) -> None:
    """Without this, a tool that fails for another reason would pass for one that finds the edit."""
    done = _lint(commands, tool, copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("edit", WRONG, ids=[f"{tool}-{wrong}" for tool, _, _, wrong in WRONG])
def test_a_wrong_edit_blocks(commands: list[str], copy: Path, edit: tuple[str, str, str, str]) -> None:
    tool, path, right, wrong = edit
    file = copy / path
    text = file.read_text(encoding="utf-8")
    assert right in text, f"{path} changed; choose another edit"
    file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    done = _lint(commands, tool, copy)
    assert done.returncode != 0
    assert Path(path).name in done.stdout + done.stderr, "the tool must name the file that is wrong"
