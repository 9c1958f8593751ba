"""The board in a real browser: phone and desk, day and night, by keyboard and for a screen reader.

Needs Chromium (Debian: apt-get install chromium); without it these tests are skipped and say so.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from board_world import board

from mlops.board import card_of, pages, write
from mlops.board.site import card_page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (group dev)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed (group dev)")
if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine; apt-get install chromium, then run these again"
    ),
]
PAGES = (
    "index.html",
    "delays/index.html",
    "freight/index.html",
    "freight/3/index.html",
    "freight/2/card.html",
)
SIZES = {"phone": (390, 844), "small phone": (320, 640), "desk": (1280, 900)}
LONG = "W" * 90 + " <b>bold</b>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    facts = board()
    write(folder, pages(facts))
    write(folder / "long", pages(board(LONG)))
    (folder / "alone.html").write_text(
        card_page(facts, card_of(facts.models[1], facts.models[1].versions[2]))
    )
    return folder


@pytest.fixture(scope="module")
def window() -> Iterator[Window]:
    with playwright.sync_playwright() as driver:
        # Its own sandbox needs rights that a container lacks; the only pages are those that we just wrote.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Window(browser.new_page())
        browser.close()


class Window:
    """One tab; `complaints` is what the browser objected to on the page that is open."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("requestfailed", self._failed)

    def _failed(self, request: Request) -> None:
        # The icon of the page before may still be on its way when the next one is opened.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(request.url)

    def open(self, path: Path, size: str = "desk", scheme: str = "light") -> Page:
        width, height = SIZES[size]
        self._page.set_viewport_size({"width": width, "height": height})
        self._page.emulate_media(color_scheme=scheme)
        self.complaints.clear()
        self._page.goto(path.as_uri())
        return self._page


@pytest.mark.parametrize(("size", "folder"), [("phone", ""), ("desk", ""), ("small phone", "long")])
def test_it_fits_and_nothing_is_blocked_or_missing(window: Window, site: Path, size: str, folder: str):
    for name in PAGES:
        page = window.open(site / folder / name, size)
        assert window.complaints == [], name
        wide, there = page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= there, f"{name} is {wide} wide on a {size} of {there}"
        smallest = page.evaluate(
            "Math.min(...[...document.querySelectorAll('main *')].filter(e => e.offsetParent && e.innerText)"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        assert smallest >= 11, f"{name} has text of {smallest} px on a {size}"


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desk", "light")])
def test_axe_finds_nothing_to_object_to(window: Window, site: Path, size: str, scheme: str):
    for name in PAGES:
        page = window.open(site / name, size, scheme)
        found = axe.Axe().run(page).response["violations"]
        assert [_told(v) for v in found] == [], f"{name}, {size}, {scheme}"


def _told(violation: dict[str, Any]) -> str:
    return f"{violation['id']}: {violation['help']}: {violation['nodes'][0]['html'][:200]}"


def test_axe_would_find_what_is_wrong(window: Window, site: Path):
    page = window.open(site / "index.html")
    page.evaluate(
        "document.querySelector('main').innerHTML = '<img src=\"icon.svg\"><button></button>';"
        "document.documentElement.removeAttribute('lang')"
    )
    found = {v["id"] for v in axe.Axe().run(page).response["violations"]}
    assert {"image-alt", "button-name", "html-has-lang"} <= found


def test_day_and_night_and_their_pictures(window: Window, site: Path, tmp_path: Path):
    """The colours follow the system. The pictures are for eyes: pytest --basetemp says where they are."""
    grounds = set()
    for scheme in ("light", "dark"):
        for size in ("phone", "desk"):
            page = window.open(site / "freight/index.html", size, scheme)
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            picture = page.screenshot(path=tmp_path / f"{size}-{scheme}.png", full_page=True)
            assert len(picture) > 10_000
    assert grounds == {"rgb(245, 246, 248)", "rgb(14, 17, 22)"}


def test_by_keyboard_alone(window: Window, site: Path):
    page = window.open(site / "index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0, "what has the focus can be seen"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "freight":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/freight/index.html")


def test_a_wide_table_is_moved_by_keyboard(window: Window, site: Path):
    page = window.open(site / "freight/index.html", "phone")
    region = page.get_by_role("region", name="Versions", exact=True)
    # What lies to the right is seen: shadows that stay, below covers that move with the table.
    seen = region.evaluate("e => [e.scrollWidth > e.clientWidth, getComputedStyle(e).backgroundAttachment]")
    assert seen == [True, "local, local, scroll, scroll, scroll"]
    region.focus()
    page.keyboard.press("ArrowRight")
    # The page's own policy forbids the eval that `wait_for_function` polls with.
    deadline = time.monotonic() + 10
    while (moved := page.evaluate("document.activeElement.scrollLeft")) == 0 and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert moved > 0


def test_a_screen_reader_hears_headings_tables_and_charts(window: Window, site: Path):
    page = window.open(site / "freight/index.html")
    heard = page.locator("body").aria_snapshot()
    for said in (
        'heading "freight" [level=1]',
        'heading "Environments" [level=2]',
        'table "Newest versions"',
        'rowheader "2026-11-20 08:30 UTC"',
        'img "roc_auc of versions 1 to 4, each on its own test months: 1: 0.670, 2: 0.744, 3: 0.699',
        "contentinfo",
    ):
        assert said in heard, f"{said} is not in:\n{heard}"


def test_a_card_in_one_file_has_its_style(window: Window, site: Path):
    page = window.open(site / "alone.html")
    assert window.complaints == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(245, 246, 248)"


def test_hostile_text_does_nothing_in_a_browser(window: Window, tmp_path: Path):
    hostile = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>\"'>"
    write(tmp_path / "site", pages(board(hostile)))
    for name in PAGES:
        page = window.open(tmp_path / "site" / name)
        assert page.evaluate("window.hit") is None
        assert window.complaints == [], "the text is text: there was nothing for the policy to block"
