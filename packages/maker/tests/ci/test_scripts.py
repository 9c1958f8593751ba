"""The scripts behind every job.

A failure is explained where people look for it, and nobody is asked to approve a deployment of nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from ci_model import ROOT

from mlops import errors

SCRIPTS = ROOT / ".github/scripts"


def _run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        k: v for k, v in os.environ.items() if k not in ("TF_BUILD", "RUNNER_TEMP", "AGENT_TEMPDIRECTORY")
    }
    env = clean | {"RUNNER_TEMP": str(folder)} | environment
    return subprocess.run(
        [str(SCRIPTS / words[0]), *words[1:]],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def mlops(tmp_path: Path) -> str:
    """A PATH on which `mlops` says something on both streams and is blocked."""
    tool = tmp_path / "bin/mlops"
    tool.parent.mkdir()
    script = "echo a table\necho error accuracy is worse by 5% >&2\nexit ${CODE:-3}\n"
    tool.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
    tool.chmod(0o755)
    return f"{tool.parent}:{os.environ['PATH']}"


def test_a_failure_on_github_is_explained(tmp_path: Path, mlops: str) -> None:
    """Which command, what its exit code means, what it said, and what to type on a laptop."""
    summary = tmp_path / "summary.md"
    done = _run(
        tmp_path,
        "run",
        "mlops",
        "gate",
        "7 8",
        PATH=mlops,
        GITHUB_STEP_SUMMARY=str(summary),
        MLOPS_TARGET="azure",
    )
    text = summary.read_text(encoding="utf-8")
    assert done.returncode == 3
    assert done.stderr == "error accuracy is worse by 5%\n"
    assert done.stdout.startswith("a table\n")
    assert "::error title=mlops gate failed::accuracy is worse by 5%25, exit code 3: blocked" in done.stdout
    assert "Exit code 3: blocked: a gate, a policy or an analysis said no" in text
    for line in (
        "a table",
        "error accuracy is worse by 5%",
        "accuracy is worse by 5%",
        "export MLOPS_TARGET=azure",
        r"mlops gate 7\ 8",
    ):
        assert f"\n{line}\n" in text, line


def test_a_failure_on_azure_is_explained(tmp_path: Path, mlops: str) -> None:
    done = _run(tmp_path, "run", "mlops", "gate", PATH=mlops, TF_BUILD="True")
    shown = re.search(r"##vso\[task\.uploadsummary\](.+)", done.stdout)
    assert done.returncode == 3
    assert shown is not None
    assert "Exit code 3: blocked" in Path(shown[1]).read_text(encoding="utf-8")
    assert (
        "##vso[task.logissue type=error]mlops gate failed: accuracy is worse by 5%, exit code 3"
        in done.stdout
    )


def test_success_says_nothing_but_what_the_command_says(tmp_path: Path, mlops: str) -> None:
    summary = tmp_path / "summary.md"
    done = _run(tmp_path, "run", "mlops", "gate", PATH=mlops, CODE="0", GITHUB_STEP_SUMMARY=str(summary))
    assert (done.returncode, done.stdout, done.stderr) == (0, "a table\n", "error accuracy is worse by 5%\n")
    assert not summary.exists()


def test_captured_markdown_is_kept_and_shown_also_on_failure(tmp_path: Path, mlops: str) -> None:
    """A plan that a policy refuses is what the reader wants to see."""
    summary, plan = tmp_path / "summary.md", tmp_path / "plan.md"
    _run(tmp_path, "run", "--capture", str(plan), "mlops", "x", PATH=mlops, GITHUB_STEP_SUMMARY=str(summary))
    assert plan.read_text(encoding="utf-8") == "a table\n"
    assert summary.read_text(encoding="utf-8").startswith("a table\n### Failed")


def test_a_file_that_the_command_writes_is_shown(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    _run(
        tmp_path,
        "run",
        "--show",
        "gate.md",
        "sh",
        "-c",
        "echo verdict > gate.md",
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert summary.read_text(encoding="utf-8") == "verdict\n"


def test_what_a_command_prints_becomes_an_output_variable(tmp_path: Path) -> None:
    """In one line, on both systems, and only when the command succeeded."""
    output = tmp_path / "output"
    words = ("run", "--output", "stacks", "sh", "-c", "printf '[\\n  \"dev\"\\n]\\n'; echo talk >&2")
    _run(tmp_path, *words, GITHUB_OUTPUT=str(output))
    assert output.read_text(encoding="utf-8") == 'stacks=[ "dev" ]\n'
    on_azure = _run(tmp_path, *words, TF_BUILD="True").stdout
    assert '##vso[task.setvariable variable=stacks;isOutput=true][ "dev" ]' in on_azure
    _run(
        tmp_path, "run", "--output", "job", "sh", "-c", "echo x; exit 6", GITHUB_OUTPUT=str(tmp_path / "none")
    )
    assert not (tmp_path / "none").exists()


def test_a_verdict_is_shown_and_is_no_failure(tmp_path: Path, mlops: str) -> None:
    """A breach is what the next step acts on."""
    summary = tmp_path / "summary.md"
    done = _run(
        tmp_path, "run", "--verdict", "mlops", "monitor", PATH=mlops, GITHUB_STEP_SUMMARY=str(summary)
    )
    assert done.returncode == 0
    assert "::warning title=mlops monitor failed::accuracy is worse by 5%25, exit code 3" in done.stdout
    assert summary.read_text(encoding="utf-8").startswith("### Verdict: `mlops monitor`\n")


def test_no_answer_is_a_failure_also_where_a_verdict_is_none(tmp_path: Path, mlops: str) -> None:
    """Exit code 4: expired credentials must not look like a healthy model."""
    done = _run(tmp_path, "run", "--verdict", "mlops", "monitor", PATH=mlops, CODE="4", TF_BUILD="True")
    assert done.returncode == 4
    first = "##vso[task.logissue type=error]mlops monitor failed: accuracy is worse by 5%"
    assert f"{first}, exit code 4: no verdict" in done.stdout


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    assert _run(tmp_path, "run", "--quiet", "true").returncode == 2


@pytest.mark.parametrize("typed", ["", "prd", "Prod", "prod ", "*"])
def test_another_name_than_the_environments_deletes_nothing(tmp_path: Path, typed: str) -> None:
    done = _run(tmp_path, "confirm", "prod", typed)
    assert done.returncode == 5
    assert f"asked to delete 'prod' and typed '{typed}': nothing was deleted" in done.stderr


def test_the_same_name_goes_on(tmp_path: Path) -> None:
    assert _run(tmp_path, "confirm", "dev", "dev").returncode == 0


def test_a_command_that_does_not_exist_fails(tmp_path: Path) -> None:
    assert _run(tmp_path, "run", "no-such-command").returncode == 127
    assert _run(tmp_path, "run").returncode == 2


def test_every_exit_code_has_its_meaning() -> None:
    """The script and `mlops.errors` say the same."""
    documented = dict(re.findall(r"^\| (\d+) \| (.+) \|$", errors.__doc__ or "", re.MULTILINE))
    known = set(re.findall(r"^    (\d+)\)", (SCRIPTS / "run").read_text(encoding="utf-8"), re.MULTILINE))
    assert known == set(documented) - {"0"}


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def _commit(folder: Path, name: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name, encoding="utf-8")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message", name)
    return _git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("changed", "staging", "prod"),
    [
        ("environments/staging/freight.yaml", "true", "false"),
        ("environments/prod/freight.yaml", "false", "true"),
        ("environments/freeze.yaml", "true", "true"),
        ("environments/policy.yaml", "true", "true"),
        ("environments/prod/.gitkeep", "false", "true"),
        ("environments/Pulumi.prod.yaml", "false", "false"),
        ("releases/freight/7.yaml", "false", "false"),
    ],
)
def test_only_what_changed_is_deployed(tmp_path: Path, changed: str, staging: str, prod: str) -> None:
    _git(tmp_path, "init", "--quiet")
    for environment in ("staging", "prod"):
        _commit(tmp_path, f"environments/{environment}/prices.yaml")
    before = _commit(tmp_path, "README.md")
    _commit(tmp_path, changed)
    output = tmp_path / "output"
    for old in (before, "", "0" * 40):
        done = _run(tmp_path, "changed", old, "HEAD", "staging", "prod", GITHUB_OUTPUT=str(output))
        assert done.stdout == f"staging={staging}\nprod={prod}\n", old
    assert output.read_text(encoding="utf-8").startswith(f"staging={staging}\nprod={prod}\n")


def test_a_push_of_several_commits_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    _git(tmp_path, "init", "--quiet")
    before = _commit(tmp_path, "README.md")
    _commit(tmp_path, "environments/prod/freight.yaml")
    _commit(tmp_path, "docs/page.md")
    assert "prod=true" in _run(tmp_path, "changed", before, "HEAD", "prod").stdout
    assert "prod=false" in _run(tmp_path, "changed", "", "HEAD", "prod").stdout


def test_what_cannot_be_known_counts_as_changed(tmp_path: Path) -> None:
    """By hand ("-"), and for the first commit of a repository."""
    _git(tmp_path, "init", "--quiet")
    _commit(tmp_path, "environments/prod/freight.yaml")
    assert _run(tmp_path, "changed", "", "HEAD", "prod").stdout == "prod=true\n"
    _commit(tmp_path, "docs/page.md")
    assert _run(tmp_path, "changed", "-", "HEAD", "prod").stdout == "prod=true\n"
    on_azure = _run(tmp_path, "changed", "", "HEAD", "prod", TF_BUILD="True").stdout
    assert "##vso[task.setvariable variable=prod;isOutput=true]false" in on_azure


@pytest.mark.parametrize("old", ["", "-", "0" * 40, "HEAD^1"])
@pytest.mark.parametrize(
    "name", ["environments/policy.yaml", "environments/freeze.yaml", "environments/prod/.gitkeep"]
)
def test_an_environment_that_serves_nothing_asks_nobody(tmp_path: Path, old: str, name: str) -> None:
    """The first push of a fork, and every change of policy before its first promotion."""
    _git(tmp_path, "init", "--quiet")
    _commit(tmp_path, "README.md")
    _commit(tmp_path, name)
    assert _run(tmp_path, "changed", old, "HEAD", "prod").stdout == "prod=false\n"


def test_the_last_file_that_goes_is_a_change(tmp_path: Path) -> None:
    _git(tmp_path, "init", "--quiet")
    before = _commit(tmp_path, "environments/prod/freight.yaml")
    _git(tmp_path, "rm", "--quiet", "environments/prod/freight.yaml")
    _git(tmp_path, "commit", "--quiet", "--message", "gone")
    assert _run(tmp_path, "changed", before, "HEAD", "prod").stdout == "prod=true\n"
