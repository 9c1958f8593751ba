"""The files of this repository are sound before anybody merges them: what `mlops check` and the lint read,
and what only fails on a runner."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from mlops.cli import _app, _verbs  # noqa: F401  registers the verbs
from mlops.lifecycle.desired.check import check
from mlops.template import manifest

ROOT = Path(__file__).resolve().parents[1]
_VERB = re.compile(r"(?:^|[\s\"'`(;&|])mlops ((?:[a-z][a-z-]+ ?)+)")


def _listed(*patterns: str) -> list[Path]:
    command = [
        "git",
        "-C",
        str(ROOT),
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        *patterns,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [path for line in done.stdout.splitlines() if (path := ROOT / line).is_file()]


def _own(paths: list[Path]) -> list[Path]:
    """Without packages that this repository keeps itself: they have their own tests."""
    return [
        path for path in paths if path.relative_to(ROOT).parts[0] not in ("packages", "docs", "benchmarks")
    ]


@pytest.mark.parametrize(
    ("patterns", "read"),
    [
        (("*.yml", "*.yaml"), lambda text: list(yaml.safe_load_all(text))),
        (("*.toml",), tomllib.loads),
        (("*.json",), lambda text: json.loads(re.sub(r"(?m)^\s*//.*$", "", text))),
    ],
    ids=["yaml", "toml", "json"],
)
def test_every_file_can_be_read(patterns: tuple[str, ...], read: object) -> None:
    paths = _own(_listed(*patterns))
    assert paths or patterns == ("*.json",), "no repository is without YAML and TOML"
    for path in paths:
        read(path.read_text(encoding="utf-8"))  # type: ignore[operator]


def test_what_decides_is_valid() -> None:
    assert [str(problem) for problem in check(ROOT, None, now=datetime.now(UTC))] == []


def test_azure_ml_takes_the_pipelines() -> None:
    done = CliRunner().invoke(_app.app, ["-C", str(ROOT), "pipeline", "lint"])
    assert done.exit_code == 0, done.output


def _verbs_of(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.lstrip("- ").startswith(("#", "displayName:", "description:", "name:")):
            yield from (found.group(1).split() for found in _VERB.finditer(line))


def test_workflows_call_verbs_that_the_engine_has() -> None:
    """A verb that a newer engine renamed would fail on a runner, perhaps only at the next rollback."""
    import typer.main

    known = typer.main.get_command(_app.app).commands  # type: ignore[attr-defined]
    called = {
        (path.name, words[0])
        for path in _listed(".github/workflows/*.yml", "azure-pipelines.yml", "pipelines/azure-devops/**")
        for words in _verbs_of(path)
    }
    assert called, "no workflow calls mlops"
    assert sorted((name, verb) for name, verb in called if verb not in known) == []


def test_actions_are_pinned_by_commit() -> None:
    """A tag can be moved by whoever owns it; a commit cannot."""
    used = [
        (path.name, action)
        for path in _listed(".github/workflows/*.yml", ".github/actions/*/action.yml")
        for action in re.findall(r"uses: ([^\s#]+)", path.read_text(encoding="utf-8"))
        if not action.startswith("./")
    ]
    assert [row for row in used if not re.search(r"@[0-9a-f]{40}$", row[1])] == []


def test_template_toml_is_read_by_this_engine() -> None:
    assert manifest.load(ROOT).owned_by_fork("mlops.toml")
