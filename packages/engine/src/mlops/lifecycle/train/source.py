"""The files that a run was made from, committed or not, so that two runs can be told apart by their code.

Git keeps them as one tree. A tree that no commit has is held by a reference of ours, which no push sends.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import TargetError
from mlops.forge.git import Git
from mlops.lifecycle.train.scope import CODE, LOCKED, SETTINGS, Scope

TREE = "mlops.tree"
"""Tag of a run."""
_HELD = "refs/mlops/trees"


@dataclass(frozen=True)
class CodeDiff:
    """What differs between the code of two runs."""

    files: tuple[str, ...]
    """`src/flights/model.py (+2 -1)`, one a file."""
    text: str
    """As `git diff` shows it."""
    unknown: str = ""
    """Why nobody knows: a sentence."""


def work_tree(root: Path, dirty: bool) -> str:
    """The tree of what lies in the checkout now; empty where git cannot say."""
    git = Git(root)
    try:
        if not dirty:
            return git.run("rev-parse", "HEAD^{tree}")
        with tempfile.TemporaryDirectory() as folder:
            index = Path(folder) / "index"
            known = root / git.run("rev-parse", "--git-path", "index")
            if known.is_file():
                shutil.copyfile(known, index)  # git then reads only the files that have changed
            env = {"GIT_INDEX_FILE": str(index)}
            there = [name for name in (*CODE, *LOCKED, SETTINGS) if (root / name).exists()]
            git.run("add", "--all", "--", *there, env=env)
            tree = git.run("write-tree", env=env)
        git.run("update-ref", f"{_HELD}/{tree}", tree)
    except (TargetError, OSError):
        return ""
    return tree


def code_diff(root: Path, before: str, after: str, of: Scope) -> CodeDiff:
    """What changed from the tree or commit `before` to `after` in what a run of a model reads."""
    git = Git(root)
    for name in (before, after):
        if not name or not git.ok("cat-file", "-e", f"{name}^{{tree}}"):
            why = (
                f"the code of {name[:8]} is not in this repository"
                if name
                else "a run does not name its code"
            )
            return CodeDiff((), "", f"{why}; fetch it, or look where the run was made")
    where = ("--relative", before, after, "--", *of.paths)
    rows = [line.split("\t") for line in git.run("diff", "--numstat", "--no-renames", *where).splitlines()]
    files = tuple(f"{name} (+{more} -{less})" for more, less, name in rows)
    return CodeDiff(files, git.run("diff", "--no-color", "--no-renames", *where))
