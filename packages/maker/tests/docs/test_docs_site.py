"""The site is built in strict mode: a page that is in no list, or a link that leads nowhere, fails it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import ROOT

pytest.importorskip("sphinx", reason="the group `docs` is not installed: uv sync --group docs")


def build(source: Path, to: Path) -> subprocess.CompletedProcess[str]:
    """As `make docs` does it."""
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    return subprocess.run(
        [*command, "--builder", "html", "--doctree-dir", str(to.parent / "doctrees"), str(source), str(to)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("docs") / "site"
    done = build(ROOT / "docs", to)
    assert done.returncode == 0, done.stderr
    return to


def test_every_page_is_on_the_site(site: Path) -> None:
    wanted = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert not {str(page) for page in wanted if not (site / page).is_file()}


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    found = set()
    for page in site.rglob("*.html"):
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text(encoding="utf-8"))
        found |= {tag for tag in tags if re.search(r"(?:src|href)=\"(?:https?:)?//", tag)}
    assert not found


def test_the_navigation_reaches_every_page(site: Path) -> None:
    """The front page's side bar, and the side bars of the pages in it."""
    seen: set[Path] = set()
    waiting = [site / "index.html"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        bar = page.read_text(encoding="utf-8").partition('class="sidebar-tree"')[2].partition("</aside>")[0]
        targets = re.findall(r'href="([^"#]+\.html)', bar)
        waiting += [(page.parent / target).resolve() for target in targets]
    wanted = {
        (site / p.relative_to(ROOT / "docs")).with_suffix(".html") for p in (ROOT / "docs").rglob("*.md")
    }
    assert {str(page) for page in wanted - seen} == set()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("[a](nowhere.md)", "nowhere.md"), ("[a](board.md#no-such-heading)", "no-such-heading")],
)
def test_a_wrong_link_fails_the_build(tmp_path: Path, wrong: str, said: str) -> None:
    source = _small(tmp_path)
    (source / "index.md").write_text(f"# Title\n\n{wrong}\n", encoding="utf-8")
    done = build(source, tmp_path / "site")
    assert done.returncode, "the build did not fail"
    assert said in done.stderr


def test_a_page_that_is_not_listed_fails_the_build(tmp_path: Path) -> None:
    source = _small(tmp_path)
    (source / "index.md").write_text("# Title\n", encoding="utf-8")
    assert build(source, tmp_path / "site").returncode == 0, "only the forgotten page may fail it"
    (source / "forgotten.md").write_text("# Forgotten\n", encoding="utf-8")
    done = build(source, tmp_path / "site")
    assert done.returncode, "the build did not fail"
    assert "forgotten.md" in done.stderr


def _small(tmp_path: Path) -> Path:
    """One page and the real settings, but for the list of pages."""
    source = tmp_path / "docs"
    source.mkdir()
    shutil.copytree(ROOT / "docs/_static", source / "_static")
    text = (ROOT / "docs/conf.py").read_text(encoding="utf-8")
    listed = re.search(r"^NAVIGATION: .*?^}", text, re.DOTALL | re.MULTILINE)
    assert listed, "docs/conf.py has no NAVIGATION"
    (source / "conf.py").write_text(
        text.replace(listed[0], 'NAVIGATION = {"All": ("board",)}'), encoding="utf-8"
    )
    (source / "board.md").write_text("# Board\n", encoding="utf-8")
    return source
