"""Folders that appear whole or not at all, whatever is killed in between."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops.errors import TargetError

_PREFIX = ".new-"
_ABANDONED = 24 * 3600.0
"""Seconds after which a folder in the making is taken for the leftover of a killed process."""


@contextmanager
def whole(final: Path) -> Iterator[Path]:
    """An empty folder that becomes `final` when the block ends well, and goes away when it does not.

    When another process has made `final` meanwhile, that one stays. Raises `TargetError` when the disk
    is full or cannot be written.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final.parent)
        fresh = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=final.parent))
    except OSError as error:
        raise TargetError(f"cannot write in {final.parent}: {error.strerror or error}") from error
    try:
        yield fresh
        fresh.chmod(0o755)
        if not final.exists():
            fresh.rename(final)
    except OSError as error:
        if not final.exists():
            raise TargetError(f"cannot make {final}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _sweep(parent: Path) -> None:
    for left in parent.glob(f"{_PREFIX}*"):
        try:
            abandoned = time.time() - left.stat().st_mtime > _ABANDONED
        except FileNotFoundError:  # its maker has just finished
            continue
        if abandoned:
            shutil.rmtree(left, ignore_errors=True)
