"""`check` and `apply` have one notion of "unchanged", and each refusal says a way back that works."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from check_world import problems
from git_world import GitWorld, git

from mlops.errors import MlopsError

RELEASE = "releases/freight/2.yaml"


def crlf(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def comment(path: Path) -> None:
    path.write_text(path.read_text() + "# more\n")


def latin_1(path: Path) -> None:
    path.write_bytes(path.read_bytes() + "# caf\u00e9\n".encode("latin-1"))


def executable(path: Path) -> None:
    path.chmod(0o755)


def linked(path: Path) -> None:
    path.rename(path.parents[2] / "real.yaml")
    path.symlink_to("../../real.yaml")


def byte_order_mark(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def utf_16(path: Path) -> None:
    path.write_text(path.read_text(), encoding="utf-16")


def no_line_feed_at_the_end(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\n"))


def zero_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def a_key_twice(path: Path) -> None:
    path.write_text(path.read_text() + "version: 2\n")


def second_document(path: Path) -> None:
    path.write_text(path.read_text() + "---\nversion: 3\n")


def document_end(path: Path) -> None:
    path.write_text(path.read_text() + "...\n")


def deleted(path: Path) -> None:
    path.unlink()


def renamed(path: Path) -> None:
    path.rename(path.with_name("99.yaml"))


def other_ending(path: Path) -> None:
    path.rename(path.with_suffix(".yml"))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "2.yaml").write_text("version: 2\n")


def submodule(path: Path) -> None:
    path.unlink()
    path.mkdir()
    git(path, "init", "-q")
    git(path, "commit", "-q", "--allow-empty", "-m", "Inside")


EDITS = [
    crlf, comment, latin_1, executable, linked, byte_order_mark, utf_16, no_line_feed_at_the_end, zero_byte,
    empty, a_key_twice, second_document, document_end, deleted, renamed, other_ending, folder, submodule,
]  # fmt: skip


@pytest.mark.parametrize("edits", EDITS, ids=lambda f: f.__name__)
def test_check_and_apply_agree_on_every_edit_of_a_release_and_the_way_back_that_is_told_works(
    two: GitWorld, edits: Callable[[Path], None]
):
    base = git(two.root, "rev-parse", "HEAD")
    git(two.root, "config", "core.autocrlf", "false")
    assert problems(two, base) == []
    edits(two.root / RELEASE)
    assert any(RELEASE in line for line in problems(two, base)), "before it is committed"
    with pytest.raises(MlopsError):
        two.run("staging")
    two.commit("Edit a release")
    told = [line for line in problems(two, base) if RELEASE in line]
    assert told
    assert any(RELEASE in line for line in problems(two, "HEAD")), "and for everybody after it"
    with pytest.raises(MlopsError) as refusal:
        two.run("staging")
    assert refusal.value.exit_code in (5, 6, 7)
    edited = git(two.root, "rev-parse", "HEAD")
    back = re.search(r"git checkout ([0-9a-f]+) -- (\S+\.yaml)", "\n".join([*told, str(refusal.value)]))
    assert back is not None, "\n".join([*told, str(refusal.value)])
    path = two.root / RELEASE
    if path.is_dir():
        shutil.rmtree(path)
    git(two.root, "checkout", back[1], "--", back[2])
    for left in ("99.yaml", "2.yml"):
        (path.parent / left).unlink(missing_ok=True)
    two.commit("Restore a release")
    assert problems(two, base) == problems(two, edited) == []
    two.run("staging")
    git(two.root, "reset", "-q", "--hard", edited)
    git(two.root, "revert", "--no-edit", "HEAD")
    assert problems(two, base) == problems(two, "HEAD~1") == []
    two.run("staging")
