"""Files of jobs, opened as errors call them."""

from __future__ import annotations

import os
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.spec._yaml import Document


def shown(path: Path) -> str:
    """`path` as errors call it: relative to the working directory when that is shorter."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def open_document(path: Path) -> Document:
    """Raises `InvalidInput` when the file is missing, broken or no mapping."""
    document = Document.read(path, shown(path))
    if not isinstance(document.value, dict):
        raise InvalidInput(Problem(f"{document.name}:1", "must be a mapping of fields"))
    return document
