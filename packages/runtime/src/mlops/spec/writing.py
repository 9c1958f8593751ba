"""How a file is written here: whole or not at all, by one policy. A reader, or a crash, sees the old file or
the new one.

- It is made beside its place, so that taking it is one step, and hidden, so that no listing shows half of it.
- It keeps the mode of the file that it replaces; a new one has what the umask leaves.
- It survives a power cut (`durable`), unless it can be made again or is soon out of date.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write(path: Path, content: str | bytes, *, durable: bool = True, mode: int | None = None) -> None:
    """Make `path` say `content`; text is UTF-8. Raises `OSError`, and then the old file is there still."""
    draft, handle = _beside(path, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(_bytes(content))
        _take(draft, path, durable=durable)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def replacing(path: Path, *, durable: bool = True, mode: int | None = None) -> Iterator[Path]:
    """An empty file to write to, which takes the place of `path` at the end; gone when the body raises.

    `mode`: of the new file, whatever the old one had and before a byte is in it, for what is secret.
    """
    draft, handle = _beside(path, mode)
    os.close(handle)
    try:
        yield draft
        _take(draft, path, durable=durable)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _beside(path: Path, mode: int | None) -> tuple[Path, int]:
    like, mode = (path, 0o666) if mode is None else (None, mode)
    try:
        return _draft(path.parent, like, mode)
    except FileNotFoundError:  # most folders are there: to ask for each file costs as much as the file
        path.parent.mkdir(parents=True, exist_ok=True)
        return _draft(path.parent, like, mode)


def _take(draft: Path, path: Path, *, durable: bool) -> None:
    if durable:
        sync(draft)
    os.replace(draft, path)  # noqa: PTH105 (`Path.replace` reads the name of the new path once more)
    if durable:
        sync(path.parent)


def create(path: Path, content: str | bytes, *, mode: int = 0o666) -> bool:
    """Make `path` say `content` unless it is there: what was said stays said. Whether it was made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft, handle = _draft(path.parent, None, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(_bytes(content))
        sync(draft)
        # A link fails where a rename would replace.
        path.hardlink_to(draft)
        sync(path.parent)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def sync(path: Path) -> None:
    """What a file or a folder says is on the disk when this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _draft(folder: Path, like: Path | None, mode: int) -> tuple[Path, int]:
    """A new hidden file and its handle, with the mode of `like` where that is there."""
    draft = folder / f".{secrets.token_hex(8)}.tmp"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    if like is not None:
        with suppress(FileNotFoundError):
            os.fchmod(handle, like.stat().st_mode & 0o7777)
    return draft, handle


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
