"""Where a server of `warm.py` listens, and how it is started. Standard library only, to start fast."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

_CODE = Path(__file__).parent
CLIENT = _CODE / "warm_client.py"
_SERVER = _CODE / "warm.py"
_SPEAK = (_SERVER, CLIENT, _CODE / "zygote.py")
"""What speaks through the socket: another version of it has a server of its own."""


def folder() -> Path | None:
    """Of the sockets of this user; None where no private one can be had."""
    sockets = Path(tempfile.gettempdir()) / f"mlops-{os.getuid()}"
    try:
        sockets.mkdir(mode=0o700, exist_ok=True)
        seen = sockets.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        # Whoever can write there could answer in the server's place.
        return None
    return sockets


def name(*said: str) -> str:
    """Of a socket: the same for those whom one server can stand for, who say the same of themselves."""
    digest = hashlib.sha256()
    for part in said:
        digest.update(part.encode())
    for path in _SPEAK:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def start(
    python: str, place: Path, seconds: int, modules: Iterable[str], variables: Mapping[str, str]
) -> None:
    """See that a server is there, or soon will be. It ends after `seconds` without work."""
    with subprocess.Popen(
        [python, str(_SERVER), str(place), str(seconds), *modules],
        env=dict(variables),
        cwd=place.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        process.returncode = 0  # it outlives this process, which does not wait for it
