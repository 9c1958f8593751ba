"""`template.toml` says who owns what: the page that people read says the same, and every path exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.template import manifest
from mlops.template.manifest import Template, Zone
from mlops.template.versions import order

ROOT = Path(__file__).parents[3]
TEMPLATE = manifest.load(ROOT)


def tracked() -> list[str]:
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


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


@pytest.mark.parametrize("line", [line for zone in TEMPLATE.zones for line in zone.paths] + TEMPLATE.home)
def test_every_zone_names_what_exists(line: str) -> None:
    matcher = manifest.spec([line.removeprefix("!")])
    coming = line == "/releases/"  # made by the first release
    assert coming or any(matcher.match_file(path) for path in tracked()), f"nothing matches {line}"


def test_every_path_of_the_example_names_what_exists() -> None:
    assert TEMPLATE.example is not None
    made = re.compile(r"/(releases|environments)/")  # by its first release
    lines = [line for line in TEMPLATE.example.paths if not made.match(line)]
    paths = tracked()
    gone = [x for x in lines if not any(manifest.spec([x.removeprefix("!")]).match_file(p) for p in paths)]
    assert gone == [], "template.toml: [example] names what is not there any more"


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
        ("src/mlops/errors.py", False),
        ("pipelines/azure-devops/release.yml", False),
        ("infra/roles.py", False),
        ("template.toml", False),
        ("pyproject.toml", False),
    ],
)
def test_who_owns_what(path: str, owned: bool) -> None:
    assert TEMPLATE.owned_by_fork(path) is owned


def test_tests_of_a_model_belong_to_who_owns_the_model() -> None:
    paths = [
        "src/prices/model.py",
        "src/mlops/errors.py",
        "tests/unit/prices/test_a.py",
        "tests/unit/mlops/test_b.py",
    ]
    assert TEMPLATE.of_fork(paths) == ["src/prices/model.py", "tests/unit/prices/test_a.py"]


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
