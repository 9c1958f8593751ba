"""`uv.lock` as data. A lock of this size takes a tenth of a second to parse, and one command asks often."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "uv.lock"


def read(root: Path) -> Mapping[str, Any]:
    """The lock of a repository, for reading only. Raises `OSError` and `tomllib.TOMLDecodeError`."""
    return parsed((root / NAME).read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=4)
def parsed(text: str) -> Mapping[str, Any]:
    """The same from its text: what was parsed is known by its content."""
    return tomllib.loads(text)
