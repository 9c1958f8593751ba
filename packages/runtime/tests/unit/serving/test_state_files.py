"""Files of the state folder are damaged in every way that a disk or a person finds. Reading one ends at once
with a sentence, and `mlops apply` makes new keys where that is possible."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import InvalidInput, TargetError
from mlops.serving.http.state import KEYS, STATE, ensure_keys, read_keys, read_state

FOREIGN: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a link to what has no end": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a folder": Path.mkdir,
    "nothing": Path.touch,
    "half": lambda path: path.write_text('{"primary": "abc'),
    "other text": lambda path: path.write_bytes("{}".encode("utf-16")),
    "too much": lambda path: path.write_bytes(b" " * (2 << 20) + b"{}"),
    "too deep": lambda path: path.write_text("[" * 100_000),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize(("file", "read"), [(KEYS, read_keys), (STATE, read_state)], ids=["keys", "state"])
def test_what_is_no_file_of_ours_is_a_sentence(
    tmp_path: Path, name: str, file: str, read: Callable[[Path], object]
) -> None:
    FOREIGN[name](tmp_path / file)
    with pytest.raises(InvalidInput, match=file):
        read(tmp_path)


@pytest.mark.parametrize("name", sorted(set(FOREIGN) - {"a folder"}))
def test_new_keys_take_its_place(tmp_path: Path, name: str) -> None:
    FOREIGN[name](tmp_path / KEYS)
    made = ensure_keys(tmp_path)
    assert read_keys(tmp_path) == made and not (tmp_path / KEYS).is_symlink()


def test_a_folder_in_its_place_is_removed_by_a_person(tmp_path: Path) -> None:
    (tmp_path / KEYS).mkdir()
    with pytest.raises(InvalidInput, match="is a folder; remove it"):
        ensure_keys(tmp_path)


def test_keys_that_may_not_be_read_are_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    before = ensure_keys(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refused)
        with pytest.raises(TargetError, match="Permission denied"):
            ensure_keys(tmp_path)
    assert read_keys(tmp_path) == before
