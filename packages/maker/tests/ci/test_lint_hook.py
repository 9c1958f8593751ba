"""Other repositories run the lint as a pre-commit hook: what is cloned must start, get files, and block."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
HEAD = "$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json\ntype: command\n"
GOOD = f"{HEAD}command: echo hi\nenvironment: azureml:tools:3\ncompute: azureml:small\n"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def committed(folder: Path) -> Path:
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "All")
    return folder


def test_the_hook_of_a_clone_blocks_what_azure_refuses(tmp_path: Path) -> None:
    ours, theirs, bin_ = (tmp_path / name for name in ("ours", "theirs", "bin"))
    for part in ("packages/lint", "packages/runtime/src"):
        shutil.copytree(ROOT / part, ours / part, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", ours)
    committed(ours)
    theirs.mkdir()
    (theirs / "good.yml").write_text(GOOD)
    (theirs / "bad.yml").write_text(GOOD.replace("hi", "${{inputs.nope}}"))
    (theirs / "notes.txt").write_text("no YAML\n")
    hook = "{id: azureml-lint, args: [--no-azure], verbose: true}"  # azure-ai-ml takes seconds to import
    rev = git(ours, "rev-parse", "HEAD")
    (theirs / ".pre-commit-config.yaml").write_text(
        f"repos:\n  - repo: {ours}\n    rev: {rev}\n    hooks: [{hook}]\n"
    )
    committed(theirs)
    # In place of `uv run --quiet --script`, which would install from an index what is installed here.
    bin_.mkdir()
    (bin_ / "uv").write_text(f'#!/bin/sh\nshift 3\nexec "{sys.executable}" "$@"\n')
    (bin_ / "uv").chmod(0o755)
    prek = Path(sys.executable).with_name("prek")
    path = os.pathsep.join((str(bin_), os.environ["PATH"]))
    env = {**os.environ, "PATH": path, "PREK_HOME": str(tmp_path / "prek")}

    def run() -> subprocess.CompletedProcess[str]:
        words = [str(prek), "run", "--all-files"]
        return subprocess.run(words, cwd=theirs, env=env, capture_output=True, text=True, check=False)

    blocked = run()
    assert blocked.returncode == 1, blocked.stdout + blocked.stderr
    assert "error bad.yml:3: command: ${{inputs.nope}}" in blocked.stdout
    assert "good.yml" not in blocked.stdout and "2 files read" in blocked.stdout
    (theirs / "bad.yml").write_text(GOOD)
    git(theirs, "add", "--all")
    passed = run()
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "2 files read" in passed.stdout
