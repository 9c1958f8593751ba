"""Which packages a checkout asks for."""

from __future__ import annotations

import hashlib
from pathlib import Path


def lock_digest(root: Path) -> str:
    """Of the files that `make setup` installs from; empty when one is missing."""
    digest = hashlib.sha256()
    members = sorted(path.relative_to(root).as_posix() for path in root.glob("packages/*/pyproject.toml"))
    for name in ("uv.lock", "pyproject.toml", *members):
        try:
            digest.update((root / name).read_bytes())
        except FileNotFoundError:
            return ""
    return digest.hexdigest()
