"""Small Azure ML files that were once judged or run wrongly, by name: each a folder."""

from __future__ import annotations

import json
from pathlib import Path

CASES: dict[str, dict[str, str]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def write(name: str, folder: Path) -> Path:
    """The files of a case below `folder`, which is answered."""
    for file, text in CASES[name].items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
