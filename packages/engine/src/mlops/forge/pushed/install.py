"""Make a bare repository a forge that runs workflows."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from mlops.forge.git import Git
from mlops.forge.pushed.act import program
from mlops.forge.pushed.hook import SCRIPT
from mlops.forge.pushed.locked import lock_digest
from mlops.forge.pushed.store import Settings, Store

REVIEWED = ("staging", "prod", "prod-promote")
"""Environments that docs/ci.md gives reviewers on GitHub."""


def install(
    bare: Path,
    checkout: Path,
    state: Path,
    *,
    off: Mapping[str, str],
    approvals: tuple[str, ...] = REVIEWED,
    variables: Mapping[str, str] | None = None,
) -> Store:
    """Write hook and settings. Jobs use the virtual environment of this process while a commit locks what
    `checkout` locks, and see `state` as the local target's. Raises `TargetError` when act is missing.
    """
    program()
    store = Store(bare.resolve())
    git = Git(store.bare)
    head = git.run("symbolic-ref", "--short", "HEAD")
    store.write_settings(
        Settings(
            python=sys.executable,
            locked=lock_digest(checkout),
            state=str(state.resolve()),
            vars={"MLOPS_STATE": "kept", **(variables or {})},
            off=dict(off),
            approvals=approvals,
            default_branch=head,
        )
    )
    hook = store.bare / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(SCRIPT.format(python=shlex.quote(sys.executable)), encoding="utf-8")
    os.chmod(hook, 0o755)  # noqa: S103, PTH101  git runs it
    # A person's own core.hooksPath would lead past the hook.
    git.run("config", "core.hooksPath", str(hook.parent))
    git.run("config", "uploadpack.allowReachableSHA1InWant", "true")
    git.run("config", "gc.auto", "0")
    return store
