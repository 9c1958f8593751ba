"""What stands in for GitHub's actions on this machine. Packages of another commit in a job, or code that
vanishes under a running server, would make a local run say something about neither."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mlops.errors import InvalidInput, TargetError
from mlops.forge.pushed import stand_in, warm
from mlops.forge.pushed.locked import lock_digest
from mlops.forge.pushed.store import Settings, Store


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> stand_in.Runner:
    work, bare = tmp_path / "work", tmp_path / "origin.git"
    (work / "src" / "pkg").mkdir(parents=True)
    (work / "src" / "pkg" / "a.py").write_text("A = 1\n")
    (work / "uv.lock").write_text("locked")
    (work / "pyproject.toml").write_text("wanted")
    git = ["git", "-C", str(work), "-c", "user.name=Ann", "-c", "user.email=ann@localhost"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "One"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.chdir(work)
    monkeypatch.setenv("MLOPS_FORGE", str(bare))
    monkeypatch.setenv("MLOPS_FORGE_RUN", "1")
    monkeypatch.setenv("GITHUB_JOB", "only")
    monkeypatch.setenv("GITHUB_ENV", str(tmp_path / "exported"))
    Store(bare).write_settings(Settings(sys.executable, lock_digest(work), ""))
    return stand_in.Runner()


def exported(runner: stand_in.Runner) -> dict[str, str]:
    text = (runner.store.bare.parent / "exported").read_text()
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_environment_here_is_used_with_the_code_of_the_commit_which_outlives_the_job(
    runner: stand_in.Runner,
) -> None:
    stand_in.setup_python(runner)
    assert (runner.workspace / ".venv" / "bin" / "python").exists()
    assert (runner.workspace / ".venv" / ".ready").is_file(), "make setup would install again"
    code = Path(exported(runner)["PYTHONPATH"])
    assert (code / "pkg" / "a.py").read_text() == "A = 1\n"
    assert not code.is_relative_to(runner.workspace), "the job's folder is removed when the job ends"
    assert ".venv" not in runner.git("status", "--porcelain"), "a model would count as trained from changes"


def test_mlops_of_a_job_comes_from_the_warm_server_or_is_the_program_itself(
    runner: stand_in.Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stand_in.setup_python(runner)
    program = runner.workspace / ".venv" / "bin" / "mlops"
    settings = runner.store.settings()
    assert str(warm.address(settings)) in program.read_text()
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout


def test_a_folder_that_others_can_write_to_has_no_socket_in_it(
    runner: stand_in.Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings = runner.store.settings()
    place = warm.address(settings)
    assert place is not None
    place.parent.chmod(0o777)
    assert warm.address(settings) is None
    assert warm.script(settings) is None
    stand_in.setup_python(runner)
    assert (runner.workspace / ".venv" / "bin" / "mlops").is_symlink()


def test_a_commit_that_locks_other_packages_gets_an_environment_of_its_own(
    runner: stand_in.Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    (runner.workspace / "uv.lock").write_text("something newer")
    stand_in.setup_python(runner)
    assert not (runner.workspace / ".venv").exists(), "make setup would find nothing to do"
    assert "this job makes its own" in capsys.readouterr().out


def test_an_artifact_goes_from_one_job_to_another(
    runner: stand_in.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runner.workspace / "plan.md").write_text("the plan")
    monkeypatch.setenv("INPUT_NAME", "plan")
    monkeypatch.setenv("INPUT_PATH", "plan.md")
    stand_in.upload_artifact(runner)
    monkeypatch.setenv("INPUT_PATH", "there")
    stand_in.download_artifact(runner)
    assert (runner.workspace / "there" / "plan.md").read_text() == "the plan"
    monkeypatch.setenv("INPUT_NAME", "other")
    with pytest.raises(TargetError, match="run 1 has no artifact other"):
        stand_in.download_artifact(runner)


def test_an_artifact_that_is_not_there_is_an_error_only_if_it_has_to_be(
    runner: stand_in.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INPUT_PATH", "missing.md")
    stand_in.upload_artifact(runner)
    monkeypatch.setenv("INPUT_IF_NO_FILES_FOUND", "error")
    with pytest.raises(InvalidInput, match=r"there is no missing\.md"):
        stand_in.upload_artifact(runner)


@pytest.mark.parametrize("action", sorted(stand_in.IMPOSSIBLE))
def test_what_this_machine_cannot_do_fails_with_a_sentence(
    action: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stand_in", action])
    assert stand_in.main() == TargetError.exit_code
    assert f"the local forge has no {action}: it " in capsys.readouterr().out
