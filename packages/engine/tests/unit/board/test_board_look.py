"""The board's folder holds only the board, and its colours can be read by everybody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from board_world import CSS, board

from mlops.board import pages, write
from mlops.board.site import MANIFEST
from mlops.errors import InvalidInput


@pytest.fixture(scope="module")
def site() -> dict[str, str]:
    return pages(board())


# --- the folder ----------------------------------------------------------------------------------------


def test_a_second_board_changes_what_changed_and_removes_what_is_gone(site: dict[str, str], tmp_path: Path):
    folder = tmp_path / "site"
    assert set(write(folder, site)) == set(site)
    assert write(folder, site) == []
    (folder / "CNAME").write_text("board.contoso.com")
    less = {name: text for name, text in site.items() if not name.startswith("freight/1/")}
    assert set(write(folder, less | {"index.html": "new"})) == {*set(site) - set(less), "index.html"}
    assert not (folder / "freight/1").exists()
    assert (folder / "CNAME").exists(), "a file of somebody else stays"
    assert (folder / MANIFEST).read_text().splitlines() == sorted(less)


def test_a_folder_with_other_files_is_refused_and_untouched(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="folder of its own"):
        write(tmp_path, {"index.html": "x"})
    with pytest.raises(InvalidInput, match="must be a folder"):
        write(tmp_path / "thesis.txt", {"index.html": "x"})
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_list_that_names_a_file_outside_removes_nothing(tmp_path: Path):
    (tmp_path / "precious").write_text("mine")
    folder = tmp_path / "site"
    write(folder, {"index.html": "x"})
    (folder / MANIFEST).write_text("index.html\n../precious\n")
    with pytest.raises(InvalidInput, match="outside the folder"):
        write(folder, {"index.html": "x"})
    assert (tmp_path / "precious").exists()


# --- colours -------------------------------------------------------------------------------------------

PAIRS = [
    *[(ink, ground) for ink in ("text", "muted", "link") for ground in ("page", "surface", "sunken")],
    *[(kind, f"{kind}-tint") for kind in ("good", "bad", "busy")],
    *[("text", f"{kind}-tint") for kind in ("good", "bad", "busy")],
    ("good", "surface"),
    ("bad", "surface"),
]


def palettes() -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    return {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", text))
        for name, text in (("light", light), ("dark", dark))
    }


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula_is_the_standard_one():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_can_be_read(scheme: str, ink: str, ground: str):
    colours = palettes()[scheme]
    assert contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("mark", ["mark", "champion", "good", "bad"])
def test_marks_in_charts_can_be_told_from_the_ground(scheme: str, mark: str):
    colours = palettes()[scheme]
    assert contrast(colours[mark], colours["surface"]) >= 3


def test_every_colour_in_the_sheet_comes_from_the_palette():
    rest = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b", rest)) <= {"#fff"}, "add colours as pairs, light and dark"
    assert set(re.findall(r"var\(--([\w-]+)\)", CSS)) <= set(palettes()["light"])
    assert palettes()["light"].keys() == palettes()["dark"].keys()
