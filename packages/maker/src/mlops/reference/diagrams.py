"""Drawings of the pages' Mermaid blocks, as SVG files in git: the site loads no script to draw them.

The forge draws the blocks itself. `python -m mlops.reference.diagrams` draws those that were changed, by
Mermaid's own command line (Node.js, and a Chromium in CHROME), and removes those that no page has any more. A
file is named by the text that it was drawn from, so that an old drawing never stands for a new text.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = "docs/_static/diagrams"
_BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LABEL = re.compile(r"[\[({|\"]([^\[\](){}|\"]+)[\])}|\"]")
_LONG = re.compile(r"\d+\.\d\d+")
_CLI = "@mermaid-js/mermaid-cli@11"
_LOOK = {
    "theme": "neutral",
    "htmlLabels": False,
    "flowchart": {"htmlLabels": False},
    "deterministicIds": True,
}


def file_name(text: str) -> str:
    """Of the drawing of a block."""
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.svg"


def labels(text: str) -> list[str]:
    """What is written in a diagram, each once."""
    shown = (re.sub(r"<[^>]*>|\s+", " ", label).strip() for label in _LABEL.findall(text))
    return list(dict.fromkeys(label for label in shown if label))


def with_drawings(page: str, root: Path) -> str:
    """A page's Markdown with images in place of blocks that are drawn; the others stay text."""

    def image(found: re.Match[str]) -> str:
        name = file_name(found[1])
        if not (root / FOLDER / name).is_file():
            return found[0]
        told = ", ".join(labels(found[1]))
        options = f":alt: {json.dumps(f'Diagram: {told}', ensure_ascii=False)}\n:class: diagram"
        return f"```{{image}} /_static/diagrams/{name}\n{options}\n```"

    return _BLOCK.sub(image, page)


def wanted(root: Path) -> dict[str, str]:
    """The text of each block of each page, by the name of its drawing."""
    pages = sorted((root / "docs").rglob("*.md"))
    texts = [text for page in pages for text in _BLOCK.findall(page.read_text(encoding="utf-8"))]
    return {file_name(text): text for text in texts}


def draw(root: Path) -> list[str]:
    """Bring the folder up to date; answers what was drawn."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    asked = wanted(root)
    for path in folder.glob("*.svg"):
        if path.name not in asked:
            path.unlink()
    missing = [name for name in asked if not (folder / name).is_file()]
    for name in missing:
        (folder / name).write_text(_drawn(asked[name]), encoding="utf-8")
    return missing


def _drawn(text: str) -> str:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "in.mmd").write_text(text, encoding="utf-8")
        (folder / "look.json").write_text(json.dumps(_LOOK), encoding="utf-8")
        browser = {"args": ["--no-sandbox"], "executablePath": os.environ.get("CHROME", "/usr/bin/chromium")}
        (folder / "browser.json").write_text(json.dumps(browser), encoding="utf-8")
        words = [
            "-q",
            "-b",
            "white",
            "-c",
            "look.json",
            "-p",
            "browser.json",
            "-i",
            "in.mmd",
            "-o",
            "out.svg",
        ]
        subprocess.run(
            ["npx", "--yes", _CLI, *words],
            cwd=folder,
            check=True,
            env={**os.environ, "PUPPETEER_SKIP_DOWNLOAD": "1"},
        )
        return shrunk((folder / "out.svg").read_text(encoding="utf-8"))


def shrunk(drawing: str) -> str:
    """With one digit after the point, which nobody sees and halves the file."""
    return _LONG.sub(lambda found: f"{float(found[0]):.1f}", drawing).rstrip() + "\n"


if __name__ == "__main__":
    for one in draw(Path.cwd()):
        sys.stdout.write(f"{FOLDER}/{one}\n")
