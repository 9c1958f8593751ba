"""A file is written whole or not at all, in one place: twelve ways to replace a file are twelve policies."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from mlops.spec import writing

ROOT = Path(__file__).parents[5]


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("content", ["grüße\n", b"\xff\x00", ""])
def test_what_is_written_is_what_is_read(tmp_path: Path, content: str | bytes):
    path = tmp_path / "new" / "folder" / "file"
    writing.write(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["replace", "fdopen", "fsync"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, name, full)
    with pytest.raises(OSError, match="No space left"):
        writing.write(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_gives_up_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), writing.replacing(path) as draft:
        draft.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_file_is_never_seen_under_its_name(tmp_path: Path):
    path = tmp_path / "file.yaml"
    with writing.replacing(path) as draft:
        draft.write_text("half")
        assert not path.exists()
        assert draft.parent == path.parent, "another file system would make two steps of it"
        assert list(tmp_path.glob("[!.]*")) == []
        assert list(tmp_path.rglob(".*.tmp")) == [draft], "batch clears what killed runs left by this name"
    assert path.read_text() == "half"


def test_the_mode_of_the_old_file_stays_and_a_new_one_has_what_the_umask_leaves(tmp_path: Path):
    path = tmp_path / "file"
    before = os.umask(0o027)
    try:
        writing.write(path, "1")
        assert mode(path) == 0o640
        path.chmod(0o755)
        writing.write(path, "2")
        assert mode(path) == 0o755
    finally:
        os.umask(before)


def test_a_secret_is_never_readable_by_others_for_a_moment(tmp_path: Path):
    path = tmp_path / "keys"
    path.write_text("old")
    path.chmod(0o644)
    with writing.replacing(path, mode=0o600) as draft:
        assert mode(draft) == 0o600
    assert mode(path) == 0o600


@pytest.mark.parametrize("durable", [True, False])
def test_what_is_durable_is_synced_before_and_after_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
):
    done: list[str] = []
    replace = os.replace
    monkeypatch.setattr(writing, "sync", lambda path: done.append("file" if path.is_file() else "folder"))
    monkeypatch.setattr(os, "replace", lambda one, to: (done.append("replace"), replace(one, to))[1])
    writing.write(tmp_path / "file", "1", durable=durable)
    assert done == (["file", "replace", "folder"] if durable else ["replace"])


def test_what_was_said_stays_said(tmp_path: Path):
    path = tmp_path / "record"
    assert writing.create(path, "first")
    assert not writing.create(path, "second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


# --- nobody else replaces a file ----------------------------------------------------------------------------

FOLDERS = {
    "packages/infra/src/mlops/infra/policy/checkov.py": "a folder",
    "packages/engine/src/mlops/pipeline/run/cache.py": "folders",
    "packages/engine/src/mlops/targets/_folders.py": "a folder",
    "packages/engine/src/mlops/targets/azure/shared.py": "a download, from one folder of ours to another",
    "packages/runtime/src/mlops/tracking/models.py": "a download, from one folder of ours to another",
    "packages/engine/src/mlops/pipeline/run/warm.py": "a socket; the module may import next to nothing",
    "packages/engine/src/mlops/targets/local/data.py": "a folder of raw data",
    "packages/engine/src/mlops/targets/local/endpoints.py": "a log that is rolled",
    "packages/engine/src/mlops/forge/pushed/stand_in.py": "a folder",
    "packages/engine/src/mlops/targets/local/store.py": "the journal, which only grows",
    "packages/engine/src/mlops/events/sinks/file.py": "a file of events, which only grows",
    "packages/runtime/src/mlops/serving/score/signing.py": "a temporary file that a library wants to read",
}
"""Who moves or syncs something that is no replaced file, and what it is."""


CALLS = ("mkstemp", "fsync", "hardlink_to", "replace", "rename", "link", "NamedTemporaryFile")


def movers(path: Path) -> set[str]:
    """Calls in a module that move or sync a file, or make a temporary one that stays."""
    found: set[str] = set()
    text = path.read_text(encoding="utf-8")
    if not any(f"{name}(" in text for name in CALLS):
        return found
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        of_os = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "os"
        if name in ("mkstemp", "fsync", "hardlink_to") or (of_os and name in ("replace", "rename", "link")):
            found.add(name)
        if name == "NamedTemporaryFile" and any(k.arg == "delete" for k in node.keywords):
            found.add(name)
        # A text's `replace` takes two, a date's takes names, a table's `rename` a mapping.
        of_a_path = len(node.args) == 1 and not node.keywords and isinstance(node.func, ast.Attribute)
        if name in ("replace", "rename") and of_a_path and not isinstance(node.args[0], ast.Dict):
            found.add(name)
    return found


def test_files_are_replaced_in_one_place():
    found = {
        str(path.relative_to(ROOT)): calls
        for folder in ("src", "packages", "infra", ".github", "container")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "tests" not in path.parts
        and (calls := movers(path))
        and path != ROOT / "packages/runtime/src/mlops/spec/writing.py"
    }
    assert found.keys() - FOLDERS.keys() == set(), "use mlops.spec.writing"
    assert FOLDERS.keys() - found.keys() == set(), "no longer needed here"


@pytest.mark.parametrize(
    "line",
    ["os.replace(a, b)", "draft.replace(path)", "os.rename(a, b)", "tempfile.mkstemp()", "os.fsync(1)"],
)
def test_a_thirteenth_writer_is_found(tmp_path: Path, line: str):
    (tmp_path / "module.py").write_text(line)
    assert movers(tmp_path / "module.py")
