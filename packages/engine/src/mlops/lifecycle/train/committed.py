"""The commit that a version was trained from, by content.

Whoever trains, judges and then commits the same files has committed the source of that version; an amended or
rebased commit with the same files is the same source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mlops.errors import Blocked, MlopsError
from mlops.forge.git import Git
from mlops.lifecycle.train.lineage import branch_of
from mlops.lifecycle.train.runs import experiment
from mlops.lifecycle.train.scope import Scope, differing, scope
from mlops.lifecycle.train.source import TREE
from mlops.targets.base import ModelVersion, Registry

COMMIT, DIRTY, BRANCH = "mlops.commit", "mlops.dirty", "mlops.branch"
_DIGEST = "mlops.digest"
_SEARCHED = 200
"""Commits that changed what the training reads, and runs of the version, among which one is looked for."""
_SHOWN = 3


def committed(root: Path, registry: Registry, version: ModelVersion) -> ModelVersion:
    """The version with the commit of this branch that has its source.

    That is the commit that it names, where the branch has it; otherwise the newest one with the same files,
    or one from which a later run made the same artifact. Raises `Blocked` for a version that was trained from
    files that no commit of the branch has.
    """
    git, tags = Git(root), version.tags
    dirty = tags.get(DIRTY, "").lower() != "false"
    named = tags.get(COMMIT, "")
    if not dirty and (not git.has(named) or git.is_ancestor(named, "HEAD")):
        return version
    tree = tags.get(TREE) or ("" if dirty else named)
    of = scope(root, version.model)
    commit = _same_files(git, of, tree) or _same_artifact(root, git, registry, version)
    if commit:
        found = {COMMIT: commit, DIRTY: "false", BRANCH: branch_of(root) or tags.get(BRANCH, "")}
        return replace(version, tags={**tags, **found})
    if not dirty:
        return version  # `mlops check` says what is wrong with a commit of another branch
    raise Blocked(_refusal(git, of, version, tree))


def _same_files(git: Git, of: Scope, tree: str) -> str:
    """The commit that brought the files of `tree` into this branch; empty where none has them."""
    if not _known(git, tree):
        return ""
    paths = (*of.paths, "mlops.toml")
    touched = git.run("rev-list", f"--max-count={_SEARCHED}", "HEAD", "--", *paths).splitlines()
    return next((commit for commit in touched if not differing(git, of, tree, commit)), "")


def _same_artifact(root: Path, git: Git, registry: Registry, version: ModelVersion) -> str:
    """The commit of a run that made this artifact from a clean checkout of a commit that the branch has."""
    wanted = {"mlops.version": str(version.version), DIRTY: "false"}
    try:
        runs = registry.runs(experiment(root, version.model), wanted, _SEARCHED)
    except MlopsError:
        return ""
    commits = (run.tags.get(COMMIT, "") for run in runs if _made(run.tags, version))
    return next((commit for commit in commits if commit and git.is_ancestor(commit, "HEAD")), "")


def _made(tags: Mapping[str, str], version: ModelVersion) -> bool:
    return tags.get(_DIGEST) == version.tags.get(_DIGEST)


def _known(git: Git, tree: str) -> bool:
    return bool(tree) and git.ok("cat-file", "-e", f"{tree}^{{tree}}")


def _refusal(git: Git, of: Scope, version: ModelVersion, tree: str) -> str:
    who = f"{version.model} {version.version}"
    if not _known(git, tree):
        return (
            f"{who} was trained from uncommitted changes ({DIRTY} is "
            f"{version.tags.get(DIRTY) or 'not known'}) that this clone does not have; release it where it "
            "was trained, or commit them and train again"
        )
    names = differing(git, of, tree, "HEAD")
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"{who} was trained from uncommitted changes: no commit of this branch has its "
        f"{', '.join(names[:_SHOWN])}{more}. Commit them as they were trained and release again, or "
        "train again"
    )
