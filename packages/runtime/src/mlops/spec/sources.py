"""Where the Python code of a checkout lies: the fork's own, and that of packages that it keeps beside it."""

from __future__ import annotations

import os
from pathlib import Path


def source_folders(root: Path) -> list[Path]:
    """`src`, then the `src` of each package of the workspace; those that are there."""
    folders = [root / "src", *sorted(root.glob("packages/*/src"))]
    return [folder for folder in folders if folder.is_dir()]


def python_path(root: Path) -> str:
    """PYTHONPATH of a process that is to run the code of this checkout."""
    return os.pathsep.join(map(str, source_folders(root)))
