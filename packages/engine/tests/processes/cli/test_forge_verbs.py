"""`mlops forge init` and `cancel` where there is nothing left to do, or not what was meant."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlops.cli import _app, _verbs  # noqa: F401  registers the commands
from mlops.forge.pushed.store import Run, Store

SETTINGS = '[project]\nname = "two"\n[models.trains]\nusecase = "trains"\n[forge]\nkind = "local"\n'


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "mlops.toml").write_text(SETTINGS)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    return folder


def call(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(_app.app, ["-C", str(folder), *words], env={"COLUMNS": "500"})


def test_init_says_when_origin_is_another_repository(repository: Path) -> None:
    first, second = repository.parent / "first.git", repository.parent / "second.git"
    for _ in range(2):
        done = call(repository, "forge", "init", str(first))
        assert (done.exit_code, "next: git push" in done.output) == (0, True), done.output
    done = call(repository, "forge", "init", str(second))
    assert f"but origin is {first}" in done.output
    command = f"git remote set-url origin {second}"
    assert command in done.output
    git(repository, *command.split()[1:])
    assert "next: git push" in call(repository, "forge", "init", str(second)).output


def test_no_forge_is_answered_with_the_command_that_makes_one(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://example.com/somebody/repository.git")
    done = call(repository, "forge", "runs")
    assert done.exit_code == 6
    for command in ("git remote remove origin", "forge init ../origin.git"):
        assert command in done.output
    git(repository, "remote", "remove", "origin")
    done = call(repository, "forge", "runs")
    assert done.exit_code == 6
    assert "`mlops forge init ../origin.git`" in done.output, done.output


def test_cancelling_what_has_ended_does_nothing(repository: Path) -> None:
    origin = repository.parent / "origin.git"
    call(repository, "forge", "init", str(origin))
    store = Store(origin)

    def queued(number: int) -> Run:
        return Run(number, "ci", "ci.yml", "push", "", "refs/heads/main", "1" * 40, "ada", created=0.0)

    with store.create(queued, {}) as (run, _):
        assert "run 1 is asked to end" in call(repository, "forge", "cancel", "1").output
        store.save(replace(run, state="success", ended=1.0))
    with store.create(queued, {}) as (run, _):
        store.save(replace(run, state="success", ended=1.0))
    done = call(repository, "forge", "cancel", "2")
    assert (done.exit_code, "nothing to do: run 2 ended before (success)" in done.output) == (0, True)
    assert (store.cancelled(1), store.cancelled(2)) == ("cancelled by hand", "")
