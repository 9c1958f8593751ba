"""The site shows drawings, never the text of one, and each was drawn from the text that the page has."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from mlops.reference.diagrams import FOLDER, file_name, labels, shrunk, wanted, with_drawings

ROOT = Path(__file__).parents[4]


def test_every_block_is_drawn_and_nothing_else() -> None:
    drawn = {path.name for path in (ROOT / FOLDER).iterdir()}
    assert drawn == set(wanted(ROOT)), "draw them: .venv/bin/python -m mlops.reference.diagrams"


def test_a_drawing_has_the_words_of_its_text() -> None:
    for name, text in wanted(ROOT).items():
        drawing = ET.parse(ROOT / FOLDER / name)  # noqa: S314 (a file of this repository)
        shown = " ".join("".join(drawing.getroot().itertext()).split())
        words = [word for label in labels(text) for word in label.split()]
        assert words and [word for word in words if word not in shown] == [], name


def test_a_page_shows_the_image_with_words_for_those_who_do_not_see_it(tmp_path: Path) -> None:
    text = "flowchart LR\n  a[one thing] -->|leads to| b([another])\n"
    page = f"Before\n\n```mermaid\n{text}```\n\nAfter\n"
    assert with_drawings(page, tmp_path) == page, "what is not drawn stays text"
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / file_name(text)).write_text("<svg/>")
    shown = with_drawings(page, tmp_path)
    assert f"/_static/diagrams/{file_name(text)}" in shown and "flowchart" not in shown
    assert ':alt: "Diagram: one thing, leads to, another"' in shown
    assert with_drawings(page.replace("one", "no"), tmp_path) != shown


def test_numbers_of_a_drawing_are_short() -> None:
    assert shrunk('<path d="M1.23456,7 L10.58">') == '<path d="M1.2,7 L10.6">\n'
