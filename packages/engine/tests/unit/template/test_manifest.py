"""`template.toml` says who owns what: the page that people read says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.template import manifest
from mlops.template.manifest import Template, Zone
from mlops.template.versions import order

ROOT = Path(__file__).parents[5]


TEMPLATE = manifest.load(ROOT)


def test_the_page_and_the_table_say_the_same() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- zones -->\n(.*?)<!-- /zones -->", page, re.DOTALL)
    assert found, "docs/architecture.md has no part between <!-- zones --> and <!-- /zones -->"
    assert found.group(1) == table(TEMPLATE.zones), "copy what this test says it should be"


def table(zones: list[Zone]) -> str:
    rows = ["| path | what it is | who owns it in a fork |", "|---|---|---|"]
    for zone in zones:
        paths = [p.strip("/") + ("/" if p.endswith("/") else "") for p in zone.paths if not p.startswith("!")]
        names = ", ".join(f"`{p.replace('*', '<model>')}`" for p in paths)
        rows.append(f"| {names} | {zone.what} | the {zone.owner} |")
    return "\n".join(rows) + "\n"


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
        ("tests/unit/prices/test_prices.py", False),
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
    paths = [
        "src/prices/model.py",
        "packages/runtime/src/mlops/errors.py",
        "tests/unit/prices/test_a.py",
        "tests/processes/prices/test_c.py",
        "tests/unit/mlops/test_b.py",
    ]
    assert TEMPLATE.of_fork(paths) == [paths[0], *paths[2:4]]


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
