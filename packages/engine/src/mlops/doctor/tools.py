"""Programs on this machine, as far as this repository needs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Final

from mlops.bootstrap.pulumi import find, pinned
from mlops.doctor.case import Case
from mlops.doctor.finding import Check, Finding
from mlops.template.divergence import divergences

GIT: Final = (2, 38)
"""The first that merges without a checkout (`git merge-tree --write-tree`)."""
_SECONDS: Final = 20.0
_CREDENTIALS: Final = ("AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT")


def python(case: Case) -> Iterator[Finding]:
    """The interpreter is one that pyproject.toml allows, and the environment is that of the lock."""
    wanted = _requires(case)
    here = sys.version_info[:2]
    for operator, version in re.findall(r"(>=|<)\s*(\d+\.\d+)", wanted):
        limit = tuple(int(part) for part in version.split("."))
        if (operator == ">=" and here < limit) or (operator == "<" and here >= limit):
            sentence = f"Python {here[0]}.{here[1]} runs, and pyproject.toml wants {wanted}"
            yield Finding("python", "error", sentence, f"make setup PYTHON=python{_lowest(wanted)}")
            return
    ready, lock = case.root / ".venv" / ".ready", case.root / "uv.lock"
    if ready.is_file() and lock.is_file() and ready.stat().st_mtime < lock.stat().st_mtime:
        yield Finding("python", "warning", "uv.lock is newer than the environment in .venv", "make setup")


def engine(case: Case) -> Iterator[Finding]:
    """What runs is the release that the fork's files ask for."""
    for divergence in divergences(case.root):
        yield Finding("engine", "warning", divergence.sentence, divergence.fix)


def git(case: Case) -> Iterator[Finding]:
    said = version_of("git", "--version")
    version = re.search(r"(\d+)\.(\d+)", said)
    if not version:
        yield Finding("git", "error", "git is not on PATH", "sudo apt-get install git  # or brew install git")
    elif (int(version[1]), int(version[2])) < GIT:
        wanted = ".".join(map(str, GIT))
        fix = "sudo apt-get install --only-upgrade git  # or brew upgrade git"
        yield Finding("git", "error", f"git {version[0]} is too old: {wanted} merges without a checkout", fix)
    elif not (case.root / ".git").exists():
        yield Finding(
            "git",
            "error",
            f"{case.root.name} is no git repository; git is what starts everything",
            "git init",
        )


def pulumi(case: Case) -> Iterator[Finding]:
    """Only where Azure is wanted."""
    if not case.azure:
        return
    wanted, cli = pinned(case.root), find(case.root)
    if cli is None:
        yield Finding("pulumi", "error", f"Pulumi {wanted} is not installed", "make pulumi")
        return
    there = version_of(str(cli), "version").lstrip("v")
    if wanted and there != wanted:
        sentence = f"{cli} is Pulumi {there or 'of no known version'}; the Makefile pins {wanted}"
        yield Finding("pulumi", "warning", sentence, "make pulumi")


def clients(case: Case) -> Iterator[Finding]:
    """`az` and `gh`, only where no other login is there."""
    if case.azure and not shutil.which("az") and not any(os.environ.get(name) for name in _CREDENTIALS):
        sentence = "the Azure CLI is not on PATH, and nothing else logs in to Azure"
        yield Finding("clients", "error", sentence, "curl -sL https://aka.ms/InstallAzureCLIDeb | sudo bash")
    token = os.environ.get("GH_TOKEN") or os.environ.get("GITHUB_TOKEN")
    if case.forge == "github" and not token and not shutil.which("gh"):
        sentence = "the GitHub CLI is not on PATH, and neither GH_TOKEN nor GITHUB_TOKEN is set"
        yield Finding("clients", "warning", sentence, "sudo apt-get install gh  # or brew install gh")


def version_of(*command: str) -> str:
    """What a program prints; empty when it is not there or fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _requires(case: Case) -> str:
    path = case.root / "pyproject.toml"
    if not path.is_file():
        return ""
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8"))["project"]["requires-python"])
    except (tomllib.TOMLDecodeError, KeyError):
        return ""


def _lowest(wanted: str) -> str:
    match = re.search(r">=\s*(\d+\.\d+)", wanted)
    return match[1] if match else "3"


CHECKS: Final = (
    Check("python", "files", python, "the interpreter and its packages are those of the lock"),
    Check("engine", "files", engine, "a release, the one that pyproject.toml names"),
    Check("git", "files", git, "git is there, and this is a repository"),
    Check("pulumi", "files", pulumi, "as needed"),
    Check("clients", "files", clients, "as needed"),
)
