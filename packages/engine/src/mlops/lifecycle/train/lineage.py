"""Where a model comes from: the commit, the person, the pipeline and the locked serving environment."""

from __future__ import annotations

import getpass
import os
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem
from mlops.lifecycle.desired import lockfile
from mlops.lifecycle.train.scope import CODE, scope, uncommitted
from mlops.spec import engine
from mlops.spec.digest import data_digest, tree_digest

LOCK = "uv.lock"
SERVING = "serving"
"""Dependency group of pyproject.toml that an endpoint installs."""


@dataclass(frozen=True)
class Checkout:
    """What git and CI say about a checkout. `branch` is empty when nothing names one."""

    commit: str
    branch: str
    dirty: bool
    actor: str

    def as_tags(self) -> dict[str, str]:
        """Run and version tags."""
        return {
            "mlops.commit": self.commit,
            "mlops.branch": self.branch,
            "mlops.dirty": str(self.dirty).lower(),
            "mlops.actor": self.actor,
        }


@dataclass(frozen=True)
class Lineage:
    """The provenance of a training run."""

    checkout: Checkout
    pipeline: str
    """Path of the pipeline's YAML, relative to the repository."""
    pipeline_digest: str
    environment_digest: str
    engine: str = ""
    """Version of the engine."""

    def as_tags(self) -> dict[str, str]:
        """Tags of the parent run, which the `register` step copies to the version."""
        return {
            **self.checkout.as_tags(),
            "mlops.pipeline": self.pipeline,
            "mlops.pipeline.digest": self.pipeline_digest,
            "mlops.environment.digest": self.environment_digest,
            **({"mlops.engine": self.engine} if self.engine else {}),
        }


def lineage(root: Path, pipeline: Path, model: str | None = None) -> Lineage:
    """The provenance of a run of `pipeline` (a file below `root`) that starts now; raises `InvalidInput`.

    With `model`, only what its training reads makes the checkout dirty.
    """
    return Lineage(
        checkout=checkout(root, model),
        pipeline=pipeline.resolve().relative_to(root.resolve()).as_posix(),
        pipeline_digest=pipeline_digest(pipeline),
        environment_digest=environment_digest(root),
        engine=engine.version(),
    )


def checkout(root: Path, model: str | None = None) -> Checkout:
    """`dirty`: what the training of `model` reads is not as committed; without one, any file.

    Raises `InvalidInput` when `root` is no git checkout or has no commit yet.
    """
    if _git(root, "rev-parse", "--is-inside-work-tree") != "true":
        raise InvalidInput(
            f"{root} is not a git checkout; a model must name the commit that it was trained from. "
            "Run `git init`, commit, and try again"
        )
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        raise InvalidInput(f"{root} has no commit yet; commit the code, so that a model can name its source")
    if model is not None:
        dirty = bool(uncommitted(root, scope(root, model)))
    else:
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
        dirty = bool(changed or _git(root, "ls-files", "--others", "--exclude-standard", "--", *CODE))
    return Checkout(commit, branch_of(root), dirty, actor(root))


def pipeline_digest(pipeline: Path) -> str:
    """Digest of the pipeline's YAML with its components and environment."""
    folder = pipeline.parent
    parts = [p for name in ("components", "environment") for p in (folder / name).rglob("*") if p.is_file()]
    return tree_digest(folder, [pipeline, *parts])


def environment_digest(root: Path) -> str:
    """Digest of every package, with version and file hashes, that the lock installs for serving.

    All platforms' branches count, so that the digest is the same wherever it is computed.
    """
    try:
        lock = lockfile.read(root)
        project = next(p for p in lock["package"] if p["source"].get("editable") == ".")
        group = project["dev-dependencies"][SERVING]
    except OSError as error:
        raise InvalidInput(Problem(LOCK, f"cannot be read: {error.strerror}; run `uv lock`")) from None
    except (tomllib.TOMLDecodeError, StopIteration, KeyError, TypeError) as error:
        raise InvalidInput(
            Problem(LOCK, f"does not lock the group {SERVING!r} of this project ({error!r}); run `uv lock`")
        ) from None
    return data_digest(_closure(lock["package"], [*project.get("dependencies", []), *group]))


def _closure(packages: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> list[list[Any]]:
    known: dict[str, list[dict[str, Any]]] = {}
    for package in packages:
        known.setdefault(package["name"], []).append(package)
    reached: dict[tuple[str, str], list[Any]] = {}
    done: set[tuple[str, str, str]] = set()
    queue = list(wanted)
    while queue:
        need = queue.pop()
        for package in known.get(need["name"], []):
            version = package.get("version", "")
            if need.get("version", version) != version:
                continue
            reached[package["name"], version] = [
                package["name"],
                version,
                _hashes(package),
                *_commit(package),
            ]
            for extra in ("", *need.get("extra", [])):
                if (mark := (package["name"], version, extra)) not in done:
                    done.add(mark)
                    optional = package.get("optional-dependencies", {})
                    queue += optional.get(extra, []) if extra else package.get("dependencies", [])
    return [reached[key] for key in sorted(reached)]


def _commit(package: dict[str, Any]) -> list[str]:
    """Where git has it: the engine of a fork that takes it from a tag has no file to hash."""
    source = package.get("source", {}).get("git", "")
    return [source] if source else []


def _hashes(package: dict[str, Any]) -> list[str]:
    files = [*package.get("wheels", []), package.get("sdist", {})]
    return sorted(f["hash"] for f in files if "hash" in f)


def branch_of(root: Path) -> str:
    """The branch of a checkout; empty when nothing names one."""
    # CI checks out a commit, not a branch, and says in a variable which branch it is.
    named = os.environ.get("GITHUB_HEAD_REF") or os.environ.get("GITHUB_REF_NAME")
    named = named or os.environ.get("BUILD_SOURCEBRANCH", "").removeprefix("refs/heads/")
    return named or _git(root, "symbolic-ref", "--quiet", "--short", "HEAD")


def actor(root: Path) -> str:
    """Who acts: as CI says, else as git is set up, else the user of the operating system."""
    named = os.environ.get("GITHUB_ACTOR") or os.environ.get("BUILD_REQUESTEDFOR")
    if named := named or _git(root, "config", "user.name"):
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return f"uid {os.getuid()}"


def _git(root: Path, *args: str) -> str:
    """Git's answer, or nothing when it refuses."""
    # A git hook that calls this must not send git to the hook's repository instead of `root`.
    hooks = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    env = {key: value for key, value in os.environ.items() if key not in hooks}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *args], capture_output=True, text=True, env=env, check=False
        )
    except FileNotFoundError:
        raise InvalidInput("git is not on PATH; install it, so that a model can name its commit") from None
    return done.stdout.strip() if done.returncode == 0 else ""
