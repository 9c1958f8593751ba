"""Content digests of a file, a folder and plain data: one definition, wherever a digest is compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlops.spec.artifact import artifact_files

_CHUNK = 1 << 20


def file_digest(path: Path) -> str:
    """`sha256:<hex>` of a file's bytes."""
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            hasher.update(chunk)
    return f"sha256:{hasher.hexdigest()}"


def text_digest(path: Path) -> str:
    """`sha256:<hex>` of a text file as git keeps it: with line feeds, whatever the checkout has."""
    text = path.read_text(encoding="utf-8")
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def tree_digest(folder: Path, files: Iterable[Path] | None = None) -> str:
    """`sha256:<hex>` of a folder: the digest of its sorted list of relative POSIX path and file digest.

    Modification times, permissions and empty folders do not count. `files` restricts what is read; without
    it, all of `folder` is an artifact, and `IntegrityError` tells what may not be in one.
    Raises `FileNotFoundError` when `folder` is not a folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    chosen = artifact_files(folder) if files is None else files
    rows = sorted((p.relative_to(folder).as_posix(), file_digest(p)) for p in chosen)
    return data_digest(rows)


def data_digest(value: Any) -> str:
    """`sha256:<hex>` of the canonical JSON of plain data."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
