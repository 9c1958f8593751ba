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
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, content: str | bytes, *, durable: bool = True, mode: int | None = None) -> None:
    """Make `path` say `content`; text is UTF-8. Raises `OSError`, and then the old file is there still."""
    with replacing(path, durable=durable, mode=mode) as draft:
        draft.write_bytes(_bytes(content))


@contextmanager
def replacing(path: Path, *, durable: bool = True, mode: int | None = None) -> Iterator[Path]:
    """An empty file to write to, which takes the place of `path` at the end; gone when the body raises.

    `mode`: of the new file, whatever the old one had and before a byte is in it, for what is secret.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path.parent, path if mode is None else None, 0o666 if mode is None else mode)
    try:
        yield draft
        if durable:
            sync(draft)
        draft.replace(path)
        if durable:
            sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def create(path: Path, content: str | bytes, *, mode: int = 0o666) -> bool:
    """Make `path` say `content` unless it is there: what was said stays said. Whether it was made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path.parent, None, mode)
    try:
        draft.write_bytes(_bytes(content))
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


def _draft(folder: Path, like: Path | None, mode: int) -> Path:
    draft = folder / f".{secrets.token_hex(8)}.tmp"
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    if like is not None and like.exists():
        draft.chmod(like.stat().st_mode & 0o7777)
    return draft


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
