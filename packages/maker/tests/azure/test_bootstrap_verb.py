"""The verb: it shows a plan, asks, says what changes nothing, and ends with a code that scripts can use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mlops.cli import _verbs  # noqa: F401  registers the commands
from mlops.cli._app import app
from tests.azure.forges.github import FakeGitHub
from tests.azure.fork import Place, place


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch, FakeGitHub()) as made:
        yield made


def run(made: Place, *options: str) -> Result:
    return CliRunner().invoke(app, ["-C", str(made.root), "bootstrap", "azure", *options])


def test_a_dry_run_shows_the_plan_and_ends_with_2(hub: Place):
    shown = run(hub, "--stack", "dev", "--dry-run")
    assert shown.exit_code == 2, shown.output
    assert "create  key vault kv-flights-stat-we-" in shown.output
    assert "create  stack dev (pulumi up, minutes to an hour)" in shown.output
    assert "keep    [forge] of mlops.toml" in shown.output
    assert hub.writes() == []


def test_json_is_one_document(hub: Place):
    rows = json.loads(run(hub, "--stack", "dev", "--dry-run", "--json").stdout)
    assert {"key", "action", "title", "why"} == set(rows[0])
    assert {"create", "change", "keep"} == {row["action"] for row in rows}


def test_nobody_there_to_answer_changes_nothing(hub: Place):
    asked = run(hub, "--stack", "dev")
    assert asked.exit_code == 5
    assert "say --yes" in asked.output
    assert hub.writes() == []


def test_from_the_first_run_to_undo(hub: Place):
    first = run(hub, "--stack", "dev", "--yes")
    assert first.exit_code == 0, first.output
    assert "git push" in first.output
    again = run(hub, "--stack", "dev", "--yes")
    assert (again.exit_code, "nothing to do" in again.output) == (0, True)
    in_the_way = run(hub, "--undo", "--yes")
    assert in_the_way.exit_code == 3
    assert "pulumi destroy --stack dev" in in_the_way.output
    for name in ("dev", "shared"):
        hub.pulumi.destroy(name)
    shown = run(hub, "--undo", "--dry-run")
    assert shown.exit_code == 2
    assert "remove  remove resource group" in shown.output or "remove resource group" in shown.output
    assert run(hub, "--undo", "--yes").exit_code == 0
    assert "there is nothing that bootstrap made" in run(hub, "--undo", "--yes").output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--forge", "gitlab"), "--forge must be one of github, azure-devops; got 'gitlab'"),
        (("--stack", "moon"), "there is no environments/Pulumi.moon.yaml"),
        (("--reviewer", "nobody"), "not found"),
    ],
)
def test_wrong_options_are_sentences(hub: Place, options: tuple[str, ...], sentence: str):
    said = run(hub, *options, "--dry-run")
    assert said.exit_code in (5, 6)
    assert sentence in " ".join(said.output.split())
