"""The board is what people decide by: it must say what is, change only when that changes, stand alone, and
show whatever somebody wrote into a commit message or a name as text."""

from __future__ import annotations

import re
from dataclasses import replace
from posixpath import dirname, join, normpath

import pytest
from board_world import CSS, LINKS, Page, board

from mlops.board import charts, pages
from mlops.board.changes import change, worse
from mlops.board.links import Links
from mlops.forge.git import request_number
from mlops.spec.gates import Interval
from mlops.spec.settings import Settings

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}](javascript:alert(3)) | `x`"


@pytest.fixture(scope="module")
def site() -> dict[str, str]:
    return pages(board())


def html(files: dict[str, str]) -> dict[str, Page]:
    return {name: Page(text) for name, text in files.items() if name.endswith(".html")}


def test_the_same_state_gives_the_same_bytes(site: dict[str, str]):
    assert pages(board()) == site


def test_every_page_is_there(site: dict[str, str]):
    versions = {
        f"freight/{n}/{page}" for n in (1, 2, 3, 4) for page in ("index.html", "card.html", "card.md")
    }
    assert set(site) == {
        "board.css",
        "icon.svg",
        "index.html",
        "delays/index.html",
        "freight/index.html",
        *versions,
    }


def test_no_script_no_style_attribute_and_no_other_host_for_anything_that_loads(site: dict[str, str]):
    for name, page in html(site).items():
        assert not page.all("script"), name
        for tag, attrs in page.tags:
            assert "style" not in attrs, f"{name}: {tag} has a style attribute, which the policy forbids"
            assert not [a for a in attrs if a.startswith("on")], name
            loaded = attrs.get("src") or (attrs.get("href") if tag == "link" else None) or ""
            assert not re.match(r"[a-z]+:|//", loaded), f"{name} loads {loaded}"
        policy = next(
            m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"
        )
        assert policy is not None
        assert policy.startswith("default-src 'none'; style-src 'self'"), policy
        assert "unsafe" not in policy


def test_every_link_inside_the_site_leads_somewhere(site: dict[str, str]):
    ids = {name: {a["id"] for _, a in page.tags if a.get("id")} for name, page in html(site).items()}
    followed = 0
    for name, page in html(site).items():
        for address in [a["href"] or "" for a in page.all("a") + page.all("link")]:
            if address.startswith("https://"):
                continue
            path, _, anchor = address.partition("#")
            target = normpath(join(dirname(name), path)) if path else name
            assert target in site, f"{name} links to {address}"
            assert not anchor or anchor in ids[target], (
                f"{name} links to {address}, where nothing has this id"
            )
            followed += 1
    assert followed > 50


def test_ids_are_unique_and_every_control_has_a_name(site: dict[str, str]):
    for name, page in html(site).items():
        ids = [a["id"] for _, a in page.tags if a.get("id")]
        assert len(ids) == len(set(ids)), f"{name}: {ids}"
        assert len(page.all("h1")) == len(page.all("main")) == 1, name
        assert page.all("html")[0]["lang"] == "en"
        for svg in page.all("svg"):
            assert svg.get("aria-hidden") == "true" or svg.get("aria-label"), f"{name}: a chart without words"
        for region in [a for _, a in page.tags if a.get("tabindex") == "0"]:
            assert region.get("role") == "region", name
            assert region.get("aria-label"), name


def test_the_front_page_says_what_is_where(site: dict[str, str]):
    text = Page(site["index.html"]).text
    for said in (
        "release 2",
        "since 2026-11-18 08:30 UTC",
        "Grace",
        "✕ held",
        "✓ serving",
        "90 % of traffic",
    ):
        assert said in text, said
    assert "the endpoint does not answer" in text
    assert "On hold since 2026-11-21 08:30 UTC by Ada" in text


def test_every_metric_says_which_way_is_better_and_what_got_worse(site: dict[str, str]):
    """Calibration, precision and what nobody knows the way of too, on the page, the card and its Markdown."""
    said = {
        "roc_auc": ("higher is better", "better by 0.0160"),
        "brier": ("lower is better", "better by 0.0020"),
        "precision": ("higher is better", "worse by 0.0512"),
        "calibration_gap": ("nearer to 0 is better", "worse by 0.0250"),
        "recall": ("higher is better", "the same"),
        "minutes_saved": ("which way is better is not known", "differs"),
    }
    for name in ("freight/2/index.html", "freight/2/card.html"):
        rows = {r.split("<br>")[0]: r for r in re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", site[name])}
        for metric, (way, changed) in said.items():
            assert way in rows[metric], f"{name}: {metric}"
            assert changed in rows[metric], f"{name}: {metric}"
        assert 'class="badge bad"' in rows["precision"]
        assert 'class="badge bad"' in rows["calibration_gap"]
        assert 'class="badge good"' in rows["roc_auc"]
        assert 'class="badge plain"' in rows["minutes_saved"]
    lines = site["freight/2/card.md"].splitlines()
    precision = next(line for line in lines if line.startswith("| precision |"))
    assert "WORSE by 0.0512" in precision and "higher is better" in precision
    assert "▼ worse: precision, calibration_gap." in Page(site["freight/2/index.html"]).text
    assert "▼ worse: precision, calibration_gap" in Page(site["freight/index.html"]).text


def test_a_version_without_a_champion_is_said_to_be_neither(site: dict[str, str]):
    text = site["freight/1/index.html"]
    assert "higher is better" in text
    assert not re.search("[▲▼]", text)


@pytest.mark.parametrize(
    ("value", "champion", "way", "word"),
    [
        (0.8, 0.7, "higher", "better"),
        (0.8, 0.7, "lower", "worse"),
        (-0.2, 0.1, "zero", "worse"),
        (-0.1, 0.2, "zero", "better"),
        (0.1, -0.1, "zero", "the same"),
        (0.70004, 0.7, "higher", "the same"),
        (0.8, 0.7, None, "unknown"),
    ],
)
def test_better_and_worse_follow_the_way_of_the_metric(
    value: float, champion: float, way: str | None, word: str
):
    metric = Interval(value=value, low=value - 0.01, high=value + 0.01, champion=champion)
    found = change(metric, way)
    assert found is not None and found.word == word
    assert worse({"m": metric}, {"m": way}) == (["m"] if word == "worse" else [])
    assert change(metric.model_copy(update={"champion": None}), way) is None


def test_a_change_that_lies_within_the_interval_says_so():
    found = change(Interval(value=0.7, low=0.65, high=0.75, champion=0.71), "higher")
    assert found is not None and (found.word, found.within) == ("worse", True)


def test_charts_have_axes_with_what_they_are_of_and_end_values(site: dict[str, str]):
    charts = re.findall(r"<svg [^>]*role=\"img\".*?</svg>", "".join(site.values()))
    assert len(charts) > 4
    for chart in charts:
        said = re.findall(r"<text [^>]*>([^<]+)</text>", chart)
        assert chart.count('class="axis"') == 2
        assert any(text in chart for text in ("version of freight", "end of the window", "predicted prob"))
        assert any(t in said for t in ("roc_auc, higher is better", "observed rate")), said
    small = re.findall(r"<svg viewBox=\"0 0 160 30\".*?</svg>", site["freight/2/index.html"])
    assert len(small) == 6
    for chart in small:
        ends = [float(t) for t in re.findall(r"<text [^>]*>([^<]+)</text>", chart)]
        assert len(ends) == 2 and ends[0] < ends[1], "each small chart says where its axis begins and ends"


def test_ticks_reach_both_ends():
    for low, high in ((0.66, 0.75), (-3.0, 11.0), (0.0001, 0.0003), (1200.0, 99_000.0)):
        ticks = charts._ticks(low, high)
        assert ticks[0] <= low + 1e-12 and ticks[-1] >= high - 1e-12
        assert 3 <= len(ticks) <= 7


def test_the_front_page_says_metric_address_drift_promotion_desired_and_actual():
    """For each model and environment."""
    facts = board()
    text = Page(pages(facts)["index.html"]).text
    cards = {card.split(" ")[0]: card for card in re.split(r"(?=\b(?:staging|prod) [✓✕!-] )", text)[1:]}
    prod, staging = cards["prod"], cards["staging"]
    for said in (
        "Desired release 2",
        "Actual release 2, as the file asks",
        "roc_auc 0.7440 (0.7340 to 0.7540), higher is better; tested on 2013-05",
        "▲ better by 0.0160",
        "▼ worse: precision, calibration_gap",
        "https://freight-prod.westeurope.inference.ml.azure.com/score",
        "Drift ✕ breach release 2",
        "Promotion pull request 15 is open: Promote freight 2 to prod",
    ):
        assert said in " ".join(prod.split()), f"{said} is not in {prod}"
    assert "Desired release 4" in staging
    assert "Actual release 2 release 4 was sent back" in " ".join(staging.split())
    assert "Drift no verdict yet" in staging


def test_a_promotion_that_nobody_asked_for_yet_is_told():
    facts = board()
    model = facts.models[1]
    staging = replace(model.environments[0], served=4)
    ahead = replace(model, environments=(staging, model.environments[1]))
    quiet = replace(facts, models=(ahead,), requests=())
    assert "staging serves release 4, no pull request is open" in Page(pages(quiet)["index.html"]).text
    unasked = replace(quiet, requests=None)
    assert "whether a pull request is open is not known" in Page(pages(unasked)["index.html"]).text


def test_what_the_file_asks_for_is_shown_before_it_is_served():
    facts = board()
    model = facts.models[1]
    waiting = replace(model.environments[1], wanted=4, health="behind")
    text = Page(
        pages(replace(facts, models=(replace(model, environments=(model.environments[0], waiting)),)))[
            "index.html"
        ]
    ).text
    assert "Desired release 4" in text
    assert "release 4 is asked for and not served yet" in text


def test_a_table_that_may_slide_shows_it_and_is_a_region_with_a_name(site: dict[str, str]):
    for name, page in html(site).items():
        for found in (a for a in page.all("div") if a.get("class") in ("scroll", "slide")):
            assert found.get("role") == "region" and found.get("aria-label"), name
            assert found.get("tabindex") == "0", name
    rule = re.search(r"\.scroll, \.slide \{(.*?)\}", CSS, re.DOTALL)
    assert rule is not None
    assert rule[1].count("no-repeat local") == 2 and rule[1].count("no-repeat scroll") == 2


def test_lineage_leads_from_the_commit_to_the_endpoint(site: dict[str, str]):
    page = Page(site["freight/2/index.html"])
    found = [a["href"] for a in page.all("a")]
    assert f"https://github.com/contoso/freight/commit/{2:040x}" in found
    assert "https://mlflow.contoso.com/#/models/freight/versions/2" in found
    assert "../index.html#prod" in found
    assert "https://github.com/contoso/freight/pull/12" in found
    assert [a["id"] for a in page.all("li") if a.get("id")] == ["commit", "run", "version", "release"]


def test_a_blocked_version_says_by_which_gate(site: dict[str, str]):
    page = Page(site["freight/3/index.html"])
    assert "champion roc_auc" in page.text
    assert "the lower end of the interval is below the limit" in page.text
    assert [a["class"] for a in page.all("tr") if a.get("class") == "blocked"] == ["blocked"]
    assert "its gates block it" in page.text
    assert "blocked champion roc_auc" in Page(site["freight/index.html"]).text


def test_drift_is_shown_over_time_worst_first(site: dict[str, str]):
    text = Page(site["freight/index.html"]).text
    cells = text[text.index("drift.departures_in_hour.psi") :]
    assert cells.startswith("drift.departures_in_hour.psi at most 0.2 0.0500 0.1100 0.1600 0.3100 ✕")
    assert text.index("departures_in_hour.psi") < text.index("drift.wind_speed.psi")
    assert "roc_auc of labelled rows in prod over time: 17 Nov: 0.740" in site["freight/index.html"]


def test_without_a_forge_and_a_server_nothing_is_a_link_to_nowhere():
    files = pages(board(links=Links()))
    for name, page in html(files).items():
        assert not [a["href"] for a in page.all("a") if (a["href"] or "").startswith("http")], name
    assert "pull request 12" in Page(files["freight/2/index.html"]).text


def test_whatever_people_write_stays_text():
    """In subjects, names, reasons, failures and the use case's own words, on every page and card."""
    files = pages(board(HOSTILE))
    shown = 0
    for name, page in html(files).items():
        assert not page.all("script"), name
        assert not page.all("img"), name
        assert "javascript:" not in " ".join(a["href"] or "" for a in page.all("a"))
        shown += "<script>alert(1)</script>" in " ".join(page.words)
        assert "49](" not in files[name], f"{name}: a template in a commit message was run"
    assert shown >= 8, "the text is shown, not dropped"
    for name in (n for n in files if n.endswith(".md")):
        assert "<script" not in files[name]
        assert "<img" not in files[name]
        assert not re.search(r"(?<!\\)\]\(javascript", files[name])


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_only_web_addresses_become_links(address: str):
    links = replace(LINKS, web=address)
    for name, page in html(pages(board(links=links))).items():
        assert not [
            a for a in page.all("a") if (a["href"] or "").startswith(address.partition(":")[0] + ":")
        ], name


@pytest.mark.parametrize(
    ("subject", "number"),
    [
        ("Merge pull request #12 from contoso/x", 12),
        ("Merge pull request 3: Roll freight back", 3),
        ("Merged PR 77: Promote freight", 77),
        ("Promote freight 2 to prod (#9)", 9),
        ("Fix #12", None),
        ('Revert "Merge pull request #12 from contoso/x"', None),
    ],
)
def test_pull_requests_are_read_from_what_forges_write(subject: str, number: int | None):
    assert request_number(subject) == number


def test_addresses_of_azure_devops_and_the_studio():
    settings = Settings.model_validate(
        {
            "project": {"name": "freight"},
            "models": {"freight": {"usecase": "freight"}},
            "forge": {"kind": "azure-devops", "repository": "contoso/my project/freight"},
            "azure": {"subscription_id": "s", "resource_group": "g", "workspace": "w"},
        }
    )
    links = Links.of(settings, "azure")
    assert (
        links.commit("a" * 40) == f"https://dev.azure.com/contoso/my%20project/_git/freight/commit/{'a' * 40}"
    )
    assert links.request(4) == "https://dev.azure.com/contoso/my%20project/_git/freight/pullrequest/4"
    assert links.run("r1").startswith("https://ml.azure.com/runs/r1?wsid=/subscriptions/s/resourceGroups/g/")
    assert Links.of(settings, "local").run("r1") == ""


@pytest.mark.parametrize("text", ["\x1b[2Jgone", "\u202egpj.exe", "a\u200bb", "a\x9bb"], ids=ascii)
def test_nothing_that_people_write_turns_a_line_or_hides(text: str):
    for name, page in pages(board(text)).items():
        assert not set(text) & set("\x1b\x9b\u202e\u200b") & set(page), name
