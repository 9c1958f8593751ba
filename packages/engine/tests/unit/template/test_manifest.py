"""`template.toml` says who owns what: the page that people read says the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.template import manifest
from mlops.template.manifest import Template
from mlops.template.versions import order

ROOT = Path(__file__).parents[5]


TEMPLATE = manifest.load(ROOT)


def test_the_page_and_the_table_say_the_same() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- zones -->\n(.*?)<!-- /zones -->", page, re.DOTALL)
    assert found, "docs/architecture.md has no part between <!-- zones --> and <!-- /zones -->"
    named = {
        zone: re.findall(r"`([^`]+)`", line)
        for zone, line in re.findall(r"(?m)^\| (\w+) \| (.*)$", found.group(1))
    }
    for zone in ("fork", "skeleton"):
        lines = [line for line in getattr(TEMPLATE.zones, zone) if not line.startswith("!")]
        plain = [line.lstrip("/").replace("*", "<model>") for line in lines]
        wanted = list(dict.fromkeys(re.sub(r"^docs/.*", "docs/<page>.md", line) for line in plain))
        assert named[zone] == wanted, "copy what this test says it should be"


@pytest.mark.parametrize(
    ("path", "owned"),
    [
        ("mlops.toml", True),
        ("README.md", True),
        (".github/CODEOWNERS", True),
        ("environments/Pulumi.prod.yaml", True),
        ("environments/prod/prices.yaml", True),
        ("releases/prices/7.yaml", True),
        ("src/prices/model.py", True),
        ("pipelines/prices/components/train.yml", True),
        ("tests/unit/prices/test_prices.py", True),
        ("tests/test_repository.py", False),
        ("packages/runtime/src/mlops/errors.py", False),
        ("packages/runtime/src/mlops/errors.py", False),
        ("pipelines/azure-devops/release.yml", False),
        ("infra/environment.py", False),
        ("template.toml", False),
        ("pyproject.toml", False),
    ],
)
def test_who_owns_what(path: str, owned: bool) -> None:
    assert TEMPLATE.owned_by_fork(path) is owned


def test_tests_of_a_model_belong_to_who_owns_the_model() -> None:
    """Versions that had the engine inside had its tests in the same folder."""
    paths = [
        "src/prices/model.py",
        "src/mlops/a.py",
        "tests/unit/prices/test_a.py",
        "tests/unit/mlops/test_b.py",
    ]
    assert TEMPLATE.of_fork(paths) == [paths[0], paths[2]]


@pytest.mark.parametrize(
    ("path", "forges"),
    [
        ("packages/engine/pyproject.toml", set()),
        ("docs/serving.md", set()),
        (".github/workflows/ci.yml", {"github"}),
        (".github/scripts/run", {"github", "azure-devops"}),
        (".github/scripts/comment", {"github"}),
        (".github/CODEOWNERS", {"github", "azure-devops"}),
        (".github/workflows/train-prices.yml", {"github"}),
        (".github/ISSUE_TEMPLATE/bug.yml", set()),
        ("pipelines/azure-devops/templates/setup.yml", {"azure-devops"}),
        ("pipelines/prices/training.yml", {"github", "azure-devops"}),
        ("Makefile", {"github", "azure-devops"}),
    ],
)
def test_who_has_what(path: str, forges: set[str]) -> None:
    assert {f for f in ("github", "azure-devops") if not TEMPLATE.stays_at_home(path, f)} == forges


def test_version_of_skeleton_and_packages_is_one() -> None:
    versions = {
        tomllib.loads(p.read_text())["project"]["version"] for p in ROOT.glob("packages/*/pyproject.toml")
    }
    assert versions == {TEMPLATE.version}


def test_version_and_changelog_are_of_the_same_release() -> None:
    found = re.findall(r"(?m)^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert found[0] == TEMPLATE.version and found == sorted(found, key=order, reverse=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version = 1", "version"),
        ('version = "1.0"', "version"),
        ('version = "1.0.0"\nzone = []', "zone"),
        ('version = "1.0.0"\n[answers]\nproject = "A"', r"answers"),
        ("version = ", "not valid TOML"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_with_its_field(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=rf"template\.toml.*{says}"):
        manifest.parse(text)


def test_without_zones_nothing_is_the_forks() -> None:
    assert not Template(version="1.0.0").owned_by_fork("mlops.toml")
