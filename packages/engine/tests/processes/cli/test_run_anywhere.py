"""Somebody who has one Azure ML file and no repository runs it: a run registers nothing, so it asks for
nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlops.cli import _verbs  # noqa: F401  registers the commands
from mlops.cli._app import app

JOB = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
type: command
code: .
command: ls -A | wc -l > ${{outputs.o}}
environment: azureml:tools:3
compute: azureml:small
outputs: {o: {type: uri_file}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLOPS_TARGET", raising=False)
    (tmp_path / "hello.yml").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*more: str) -> Result:
    return CliRunner().invoke(app, ["pipeline", "run", "hello.yml", *more])


def test_a_file_runs_outside_of_any_repository(folder: Path) -> None:
    first = run("--json")
    assert first.exit_code == 0, first.output
    said = json.loads(first.stdout)
    assert Path(said["outputs"]["o"]).is_relative_to(folder / ".mlops")
    # What stands in the step's folder, to compare with that of a later run.
    files = int(Path(said["outputs"]["o"]).read_text())
    second = json.loads(run("--json").stdout)
    assert [step["state"] for step in second["steps"]] == ["reused"], "what a run leaves is part of no code"
    again = json.loads(run("--json", "--only", "hello").stdout)
    assert int(Path(again["outputs"]["o"]).read_text()) == files


def test_git_without_a_commit_is_no_hindrance_and_does_not_see_the_state(folder: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert run().exit_code == 0
    seen = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    assert seen == "?? hello.yml\n"


def test_settings_without_git_are_no_hindrance_either(folder: Path) -> None:
    (folder / "mlops.toml").write_text('[project]\nname = "loose"\n[models.some]\nusecase = "some"\n')
    assert run().exit_code == 0


@pytest.mark.parametrize("how", ["option", "variable"])
def test_azure_needs_settings_and_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    more = ("--target", "azure") if how == "option" else ()
    if how == "variable":
        monkeypatch.setenv("MLOPS_TARGET", "azure")
    result = run(*more)
    assert result.exit_code == 5
    assert "the target azure is what mlops.toml says it is, and there is none in" in result.output
    assert "--target local" in result.output
    assert not (folder / ".mlops").exists(), "nothing is begun"


def test_a_file_that_is_not_there_leaves_nothing_behind(folder: Path) -> None:
    (folder / "hello.yml").unlink()
    result = run()
    assert result.exit_code == 5 and "hello.yml does not exist" in result.output
    assert not (folder / ".mlops").exists()
