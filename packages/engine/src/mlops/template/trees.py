"""Git's trees as plain dictionaries: read, change, write and merge them without a checkout."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import TargetError
from mlops.forge.git import Git

Tree = dict[str, str]
"""Path to `<mode> <object id>`."""


@dataclass(frozen=True)
class Conflict:
    """A file that both sides changed; `stages` are git's: 1 base, 2 the fork, 3 the template."""

    path: str
    stages: Mapping[int, str]

    @property
    def why(self) -> str:
        """What happened on both sides."""
        match frozenset(self.stages):
            case s if s == {1, 2}:
                return "the template removed it, and this fork had changed it"
            case s if s == {1, 3}:
                return "this fork removed it, and the template changed it"
            case s if s == {2, 3}:
                return "both made it, with different content"
            case s if len(s) == 1:
                return "one side renamed it, and the other did something else"
        return "both changed the same lines"


@dataclass(frozen=True)
class Merged:
    """A tree, with conflict markers in the files of `conflicts`."""

    tree: str
    conflicts: Sequence[Conflict]


def read_tree(git: Git, rev: str) -> Tree:
    """All files of a commit or a tree."""
    rows = git.run("ls-tree", "-r", "-z", "--full-tree", rev).split("\0")
    tree: Tree = {}
    for row in filter(None, rows):
        facts, path = row.split("\t", 1)
        mode, _, blob = facts.split(" ")
        tree[path] = f"{mode} {blob}"
    return tree


def write_tree(git: Git, tree: Tree) -> str:
    """The id of a tree with these files."""
    lines = "".join(f"{entry}\t{path}\0" for path, entry in tree.items())
    with tempfile.TemporaryDirectory(prefix="mlops-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git.run("update-index", "-z", "--index-info", text=lines, env=env)
        return git.run("write-tree", env=env)


# Line ends of the user would make the two sides of a merge differ.
_PLAIN = ("-c", "core.autocrlf=false", "-c", "core.fileMode=true", "-c", "core.symlinks=true")
_SUBMODULE = "160000 "


def export(git: Git, rev: str, to: Path) -> None:
    """The files of a commit or a tree, as a checkout would have them; `to` must not exist."""
    # Not `git archive`: a fork may keep files out of its archives.
    to.mkdir(parents=True)
    with _at(git, to) as (place, env):
        place.run("read-tree", rev, env=env)
        place.run(*_PLAIN, "checkout-index", "--all", "--quiet", env=env)


def tree_of_folder(git: Git, folder: Path) -> Tree:
    """The files of a folder outside of the repository, put into its store; nothing is ignored."""
    with _at(git, folder) as (place, env):
        place.run(*_PLAIN, "add", "--all", "--force", ".", env=env)
        return read_tree(git, place.run("write-tree", env=env))


def submodules(tree: Tree) -> Tree:
    """What a folder cannot hold."""
    return {path: entry for path, entry in tree.items() if entry.startswith(_SUBMODULE)}


@contextmanager
def _at(git: Git, folder: Path) -> Iterator[tuple[Git, dict[str, str]]]:
    """The repository's store with `folder` for a work tree and an index of its own."""
    with tempfile.TemporaryDirectory(prefix="mlops-index-") as place:
        yield (
            Git(folder),
            {
                "GIT_INDEX_FILE": str(Path(place) / "index"),
                "GIT_DIR": git.run("rev-parse", "--absolute-git-dir"),
                "GIT_WORK_TREE": str(folder),
            },
        )


def merge_trees(git: Git, base: Tree, ours: Tree, theirs: Tree) -> Merged:
    """A three-way merge; raises `TargetError` when git is older than 2.38."""
    # merge-tree of git 2.38 takes commits only and finds the base by itself, so these three get a history.
    start = _commit(git, write_tree(git, base))
    sides = [_commit(git, write_tree(git, side), start) for side in (ours, theirs)]
    code, out, said = git.answer(
        "-c", "merge.directoryRenames=false", "merge-tree", "--write-tree", "-z", *sides
    )
    if code not in (0, 1):
        raise TargetError(f"git merge-tree failed in {git.root}: {said} (git 2.38 is needed)")
    tree, *rows = out.split("\0")
    stages: dict[str, dict[int, str]] = {}
    for row in rows:
        if not row:
            break
        facts, path = row.split("\t", 1)
        mode, blob, stage = facts.split(" ")
        stages.setdefault(path, {})[int(stage)] = f"{mode} {blob}"
    return Merged(tree, [Conflict(path, by_stage) for path, by_stage in sorted(stages.items())])


def _commit(git: Git, tree: str, parent: str | None = None) -> str:
    who = {f"GIT_{role}_{part}": "mlops" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    return git.run("commit-tree", tree, *(("-p", parent) if parent else ()), "-m", "side", env=who)
