"""Trees without a checkout: a file that is lost or touched on the way is lost in every fork that updates."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlops.forge.git import Git
from mlops.template.trees import export, merge_trees, read_tree, submodules, tree_of_folder, write_tree


@pytest.fixture
def git(tmp_path: Path) -> Git:
    root = tmp_path / "repository"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return Git(root)


def commit(git: Git) -> str:
    git.run("add", "--all", "--force")
    who = {f"GIT_{role}_{part}": "a" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    git.run("commit", "--quiet", "--message", "x", env=who)
    return git.head()


def tree(git: Git, files: dict[str, str]) -> dict[str, str]:
    blobs = {path: git.run("hash-object", "-w", "--stdin", text=text) for path, text in files.items()}
    return {path: f"100644 {blob}" for path, blob in blobs.items()}


def test_export_and_back_loses_nothing(git: Git, tmp_path: Path) -> None:
    root = git.root
    (root / "bin").mkdir()
    for name, content in (
        ("bin/run", b"#!/bin/sh\n"), ("grün weiß.txt", b"a\r\nb\n"), ("raw", bytes(range(256))),
        (".gitattributes", b"secret.txt export-ignore\n* text=auto\nraw binary\n"), ("secret.txt", b"kept\n"),
        (".gitignore", b"*.log\n"), ("kept.log", b"forced\n"), ("tab\tand\nline", b""),
    ):  # fmt: skip
        (root / name).write_bytes(content)
    (root / "bin/run").chmod(0o755)
    (root / "link").symlink_to("bin/run")
    git.run("config", "core.autocrlf", "true")
    git.run("add", "--all", "--force")
    before = read_tree(git, commit(git))
    assert len(before) == 9 and before["bin/run"].startswith("100755") and before["link"].startswith("120000")
    export(git, "HEAD", tmp_path / "out")
    assert tree_of_folder(git, tmp_path / "out") == before
    assert write_tree(git, before) == git.run("rev-parse", "HEAD^{tree}")
    assert git.run("status", "--porcelain") == "", "neither index nor work tree of the repository is used"


def test_submodules_are_told_apart(git: Git) -> None:
    entry = f"160000 {'a' * 40}"
    made = {**tree(git, {"a": "1"}), "sub": entry}
    assert submodules(read_tree(git, write_tree(git, made))) == {"sub": entry}


def test_a_merge_takes_what_only_one_side_changed(git: Git) -> None:
    base = tree(git, {"ours": "1", "theirs": "1", "both": "1", "gone": "1", "kept": "1\n2\n3\n4\n5\n"})
    ours = {**base, **tree(git, {"ours": "2", "both": "2", "new": "x", "kept": "one\n2\n3\n4\n5\n"})}
    theirs = {**base, **tree(git, {"theirs": "2", "both": "2", "other": "y", "kept": "1\n2\n3\n4\nfive\n"})}
    theirs.pop("gone")
    merged = merge_trees(git, base, ours, theirs)
    assert list(merged.conflicts) == []
    files = read_tree(git, merged.tree)
    wanted = {
        "ours": "2",
        "theirs": "2",
        "both": "2",
        "new": "x",
        "other": "y",
        "kept": "one\n2\n3\n4\nfive\n",
    }
    assert files == tree(git, wanted)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "why"),
    [
        ("1", "2", "3", "both changed the same lines"),
        ("1", "2", None, "the template removed it, and this fork had changed it"),
        ("1", None, "3", "this fork removed it, and the template changed it"),
        (None, "2", "3", "both made it, with different content"),
    ],
)
def test_a_conflict_says_what_happened(
    git: Git, base: str | None, ours: str | None, theirs: str | None, why: str
) -> None:
    sides = [
        tree(git, {"always": "0"} | ({} if text is None else {"file": text})) for text in (base, ours, theirs)
    ]
    (conflict,) = merge_trees(git, *sides).conflicts
    assert (conflict.path, conflict.why) == ("file", why)


def test_a_new_file_of_the_fork_does_not_follow_a_folder_that_the_template_moved(git: Git) -> None:
    base = tree(git, {f"old/{n}": f"{n}\n" * 9 for n in "abc"})
    ours = {**base, **tree(git, {"old/mine": "x"})}
    theirs = {path.replace("old/", "new/"): entry for path, entry in base.items()}
    merged = merge_trees(git, base, ours, theirs)
    assert sorted(read_tree(git, merged.tree)) == ["new/a", "new/b", "new/c", "old/mine"]
    assert list(merged.conflicts) == []
