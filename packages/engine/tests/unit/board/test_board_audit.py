"""The board says who let a version in, when, why, and by which rule; a card says what a model is good for."""

from __future__ import annotations

from dataclasses import replace

from board_world import Page, board
from board_world import row as arrived

from mlops.board import card_of, pages
from mlops.board.card import markdown
from mlops.board.site import card_page
from mlops.lifecycle.desired.history import Row

# --- cards ---------------------------------------------------------------------------------------------


def test_a_card_says_data_metrics_slices_limits_and_who_let_it_in():
    model = board().models[1]
    text = markdown(card_of(model, model.versions[2]))
    for said in (
        "# freight version 2",
        "| Learned from | 2013-01..2013-04 |",
        "| Tested on | 2013-05 |",
        "| roc\\_auc | 0.7440 | 0.7340 to 0.7540 | 0.7280 |",
        "| metric | value | 95% interval | version 1 |",
        "By carrier it is weakest where carrier is EV: roc\\_auc 0.7240 on 1,002 rows, against 0.7440",
        "| carrier | EV | 1,002 | 0.7240 |",
        "| departure\\_minute | 0.1200 | ± 0.0070 |",
        "| distance | number | 0 to 6000, may be missing |",
        "| champion roc\\_auc | passed |",
        "| prod | 2026-11-18 08:30 UTC | served | Grace (pull request 12, 2026-11-18 08:30);",
    ):
        assert said in text, said


def test_a_card_of_what_was_blocked_or_sent_back_says_so():
    model = board().models[1]
    assert "| champion roc\\_auc | BLOCKED |" in markdown(card_of(model, model.versions[1]))
    assert "It was sent back from staging on 2026-11-20" in markdown(card_of(model, model.versions[0]))


def test_a_card_of_a_model_made_elsewhere_claims_nothing():
    model = board().models[1]
    bare = replace(
        model.versions[3], tags={}, report=None, evaluation=None, explanation=None, schema=None, commit=None
    )
    alone = replace(model, versions=(bare,), environments=())
    text = markdown(card_of(alone, bare))
    assert "No evaluation came with this version." in text
    assert "It has not been in any environment." in text
    assert "Limits" in text
    files = pages(replace(board(), models=(alone,)))
    assert "No gate has judged it" in files["freight/1/index.html"]
    assert "it was made elsewhere" in files["freight/1/card.html"]


def test_a_card_of_a_model_that_was_tested_here_says_that_it_was_trained_elsewhere():
    facts = board()
    model = facts.models[1]
    version = replace(model.versions[2], tags=model.versions[2].tags | {"mlops.source": "external"})
    for text in (markdown(card_of(model, version)), card_page(facts, card_of(model, version))):
        assert "It was trained elsewhere." in text and "Registered by" in text
        assert "Trained by" not in text


def test_where_lower_is_better_the_largest_is_the_weakest():
    model = replace(board().models[1], higher_is_better=False)
    assert card_of(model, model.versions[2]).slices[0].value == "UA"


def test_a_card_in_one_file_allows_its_own_style_and_nothing_else():
    facts = board()
    text = card_page(facts, card_of(facts.models[1], facts.models[1].versions[2]))
    page = Page(text)
    assert len(page.all("style")) == 1
    assert not page.all("link")
    policy = next(m["content"] or "" for m in page.all("meta") if m.get("http-equiv"))
    assert "style-src 'sha256-" in policy
    assert "unsafe" not in policy


# --- what the audit says -------------------------------------------------------------------------------


def audited(tags: dict[str, str], *past: Row) -> dict[str, str]:
    """A board on which version 2 has `tags`, and prod the history `past`."""
    facts = board()
    model = facts.models[1]
    staging, prod = model.environments
    versions = tuple(replace(v, tags={**v.tags, **tags}) if v.version == 2 else v for v in model.versions)
    changed = replace(model, environments=(staging, replace(prod, history=past)), versions=versions)
    return pages(replace(facts, models=(changed,)))


def test_after_a_revert_it_says_who_let_it_in_by_which_rule():
    """The release came twice; what counts is the last time, which no pull request asked for."""
    again = replace(
        arrived(2, "served", 1, "Revert: Promote freight 3", by=("bea",), rule="environment prod-promote"),
        actor="carl",
        why="the night's flights look wrong",
    )
    first = arrived(2, "served", 9, "Merge pull request 12: Promote", by=("dan",))
    files = audited({}, again, arrived(3, "served", 4, "Promote freight 3", by=("eve",)), first)
    front = Page(files["index.html"]).text
    assert "Asked for by Ada: the night's flights look wrong" in front
    assert "Approved by bea (environment prod-promote, 2026-11-20 08:30)" in front
    assert "Applied by carl" in front
    assert "since 2026-11-18 08:30 UTC" in front
    page = Page(files["freight/index.html"]).text
    told = (
        "Revert: Promote freight 3 the night's flights look wrong bea (environment prod-promote, 2026-11-20 "
        "08:30) asked for by Ada, applied by carl"
    )
    assert told in page
    card = files["freight/2/card.md"]
    assert "| bea (environment prod-promote, 2026-11-20 08:30) |" in card.replace("\\", "")
    assert "| dan (pull request 12, 2026-11-12 08:30) |" in card and "| Ada | carl |" in card


def test_two_people_who_said_yes_are_both_shown_everywhere():
    both = [f"{name} (environment prod-promote, 2026-11-20 08:30)" for name in ("bea", "cy")]
    rule = "environment prod-promote"
    files = audited({}, arrived(2, "served", 1, "Promote freight 2", by=("bea", "cy"), rule=rule))
    for name in ("index.html", "freight/index.html", "freight/2/index.html", "freight/2/card.html"):
        assert all(one in Page(files[name]).text for one in both), name
    assert "; ".join(both) in files["freight/2/card.md"].replace("\\", "")


def test_where_nobody_said_yes_it_says_so():
    files = audited({}, arrived(2, "served", 1, "Push to main"))
    for name in ("index.html", "freight/index.html", "freight/2/card.html"):
        assert "no approval is recorded" in Page(files[name]).text, name


def test_a_version_that_was_blocked_and_passes_now_says_both():
    files = audited({"mlops.gate.blocked": "latency (gates aaaaaaaa)"})
    for name in ("freight/index.html", "freight/2/index.html", "freight/2/card.html"):
        text = Page(files[name]).text
        assert "passed" in text and "blocked before, by latency (gates aaaaaaaa)" in text, name
    assert "blocked before, by latency (gates aaaaaaaa)" in files["freight/2/card.md"]
    assert "blocked before" not in "".join(pages(board()).values())


def test_what_was_made_of_an_uncommitted_tree_says_dirty():
    files = audited({"mlops.dirty": "true"})
    for name in ("freight/index.html", "freight/2/index.html", "freight/2/card.html"):
        assert "dirty" in Page(files[name]).text, name
    assert "(dirty)" in files["freight/2/card.md"].replace("\\", "")
    assert "dirty" not in "".join(pages(board()).values())
