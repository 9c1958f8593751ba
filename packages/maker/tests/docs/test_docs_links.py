"""Links inside the documentation lead somewhere, down to the heading; files that prose names exist.

Links to other hosts are only looked at: no test of this repository asks the internet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from doc_pages import ROOT, Link, anchors, code_spans, links, pages

PLACES = (
    "src",
    "packages",
    "tests",
    "infra",
    "docs",
    "container",
    "benchmarks",
    ".github",
    "environments",
    "pipelines",
)
"""Folders at the top; a path that starts with one of them is meant to be a file of this repository."""
MADE_BY_A_FORK = (
    "src/diabetes/",
    "pipelines/diabetes/",
    "environments/staging/",
    "environments/prod/",
    "src/prices",
    "pipelines/prices",
    "environments/prices.yaml",
    "environments/vm_sizes.yaml",
    "infra/own.py",
    "infra/cache.py",
)
_PATH = re.compile(rf"({'|'.join(map(re.escape, PLACES))})/[A-Za-z0-9_./-]+")


def problem(link: Link) -> str | None:
    """Why a link leads nowhere; None when it does not, or cannot be known here."""
    parts = urlsplit(link.target)
    if parts.scheme:
        wrong = parts.scheme not in ("https", "mailto") or (
            parts.scheme == "https" and "." not in parts.netloc
        )
        return f"{link.target} is no address of a page" if wrong else None
    path = (ROOT / link.page).parent / parts.path if parts.path else ROOT / link.page
    if not path.resolve().is_relative_to(ROOT):
        return f"{link.target} leads out of the repository"
    if not path.exists():
        return f"{link.target} does not exist"
    if parts.fragment and path.suffix == ".md":
        known = anchors(path.read_text(encoding="utf-8"))
        if parts.fragment not in known:
            return f"{link.target}: that page has no heading #{parts.fragment}"
    return None


def problems(page: str, text: str | None = None) -> Iterator[str]:
    for link in links(page, text):
        if found := problem(link):
            yield f"{page}:{link.line}: {found}"


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    found = list(problems(page))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", pages())
def test_files_in_prose_exist(page: str) -> None:
    found = [
        f"{page}:{line}: {text} does not exist"
        for line, text in code_spans(page)
        if _PATH.fullmatch(text) and not text.startswith(MADE_BY_A_FORK) and not (ROOT / text).exists()
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("[a](nowhere.md)", "does not exist"),
        ("[a](architecture.md#no-such-heading)", "no heading"),
        ("[a](#no-such-heading)", "no heading"),
        ("![a](picture.png)", "does not exist"),
        ("[a](../../outside.md)", "out of the repository"),
        ("[a](http://example.com)", "no address"),
        ("[a](https://example)", "no address"),
        ("[a][b]\n\n[b]: nowhere.md", "does not exist"),
    ],
)
def test_a_wrong_link_is_found(wrong: str, said: str) -> None:
    (found,) = problems("docs/architecture.md", f"# Title\n\n{wrong}\n")
    assert said in found


def test_a_heading_that_comes_twice_is_numbered():
    assert anchors("# One `two`\n\n## One two\n\n## Über-`a_b`, c!\n") == {
        "one-two",
        "one-two-1",
        "über-a_b-c",
    }


def test_every_page_is_in_the_tables_of_its_folder():
    listed = {Path(link.target).name for link in links("docs/decisions/README.md")}
    there = {path.name for path in (ROOT / "docs/decisions").glob("*.md")} - {"README.md"}
    assert there == listed, "docs/decisions/README.md lists every decision once"
