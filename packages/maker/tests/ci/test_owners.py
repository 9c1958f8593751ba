"""Who must approve what: CODEOWNERS, the promotion policy and dependabot mean the same repository.

A path that was moved has no owner any more; nobody notices until a change of production needs no approval.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
import yaml
from ci_model import ROOT
from pathspec import PathSpec

from mlops.spec import files

OWNERS = ".github/CODEOWNERS"
_OWNER = re.findall(r"@([^/\s]+)/ml-team", (ROOT / OWNERS).read_text(encoding="utf-8"))[0]
PLATFORM, MODELS, TEAM = (f"@{_OWNER}/{team}" for team in ("platform-team", "model-approvers", "ml-team"))
COMING = (
    "/releases/",
    "/environments/staging/",
    "/environments/prod/",
    "/environments/vm_sizes.yaml",
    "/environments/records.pub",
)
"""Made by the first release, or by who renews a table."""


def _rules(text: str) -> list[tuple[str, list[str]]]:
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    return [(words[0], words[1:]) for words in lines if words]


def _owners(path: str, text: str) -> list[str]:
    """The last line that matches decides, as GitHub reads it."""
    found: list[str] = []
    for pattern, owners in _rules(text):
        if PathSpec.from_lines("gitignore", [pattern]).match_file(path):
            found = owners
    return found


@pytest.fixture
def text() -> str:
    return (ROOT / OWNERS).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        (OWNERS, [PLATFORM]),
        (".github/workflows/release.yml", [PLATFORM]),
        ("azure-pipelines.yml", [PLATFORM]),
        ("pipelines/azure-devops/templates/apply.yml", [PLATFORM]),
        ("infra/environment.py", [PLATFORM]),
        ("packages/runtime/src/mlops/spec/naming.py", [PLATFORM]),
        ("Makefile", [PLATFORM]),
        ("pyproject.toml", [PLATFORM]),
        ("uv.lock", [PLATFORM]),
        ("environments/Pulumi.prod.yaml", [PLATFORM]),
        ("environments/vm_sizes.yaml", [PLATFORM]),
        ("environments/policy.yaml", [PLATFORM, MODELS]),
        ("environments/freeze.yaml", [PLATFORM, MODELS]),
        ("environments/prod/freight.yaml", [MODELS]),
        ("src/freight/model.py", [TEAM]),
        ("pipelines/freight/model.yaml", [TEAM]),
        ("releases/freight/7.yaml", []),
    ],
)
def test_who_must_approve(text: str, path: str, owners: list[str]) -> None:
    assert _owners(path, text) == owners


def _merges_by_itself(text: str) -> dict[str, bool]:
    policy = files.load_policy(ROOT)
    return {name: not _owners(f"environments/{name}/freight.yaml", text) for name in policy.order}


def test_what_merges_by_itself_needs_no_owner_and_nothing_else_goes_without(text: str) -> None:
    """A pull request of the bot for an owned path would wait for ever."""
    policy = files.load_policy(ROOT)
    wanted = {name: policy.environments[name].auto_merge for name in policy.order}
    assert _merges_by_itself(text) == wanted


def test_an_environment_that_lost_its_owner_is_found(text: str) -> None:
    changed = "\n".join(line for line in text.splitlines() if not line.startswith("/environments/prod/"))
    assert _owners("environments/prod/freight.yaml", changed) == [TEAM]
    assert _owners("environments/prod/freight.yaml", f"{text}/environments/\n") == []
    assert _merges_by_itself(f"{text}/environments/\n") != _merges_by_itself(text)


def test_every_line_names_what_exists(text: str) -> None:
    for pattern, _ in _rules(text):
        place = pattern.strip("/")
        assert pattern in ("*", *COMING) or list(ROOT.glob(place)), f"{OWNERS}: nothing matches {pattern}"


def test_dependabot_looks_where_there_is_something_to_update() -> None:
    content = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))
    found = {}
    for update in content["updates"]:
        for folder in update.get("directories") or [update["directory"]]:
            found.setdefault(update["package-ecosystem"], []).append(folder.strip("/"))
    assert [(ROOT / folder / "uv.lock").is_file() for folder in found["uv"]] == [True]
    # "/" stands for the workflows; composite actions have to be named.
    actions = {p.parent.relative_to(ROOT).as_posix() for p in ROOT.glob(".github/actions/*/action.yml")}
    assert all(any(PurePosixPath(a).match(f) for f in found["github-actions"] if f) for a in actions)
    assert "" in found["github-actions"]
