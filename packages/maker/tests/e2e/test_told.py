"""What the lifecycle tells of itself: events, the board and the model card, after a release went live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from template_copy import REVIEWER, Chapter

pytestmark = pytest.mark.e2e


def test_every_step_to_production_was_told_once(live: Chapter) -> None:
    told = live.repository.call("events", "list", "--json").ok().json[::-1]
    first = [event["type"] for event in told]
    for kind in ("mlops.run.completed", "mlops.model.registered", "mlops.gate.passed"):
        assert kind in first, f"{kind} was not told"
    assert first.count("mlops.model.registered") == 1, "training again registers nothing"
    moved = [e["data"] for e in told if e["type"] == "mlops.release.deployed"]
    assert [(m["environment"], m["release"]) for m in moved] == [("staging", 1), ("prod", 1)]
    assert len({event["id"] for event in told}) == len(told)


def test_the_board_shows_it_and_is_the_same_when_nothing_changed(live: Chapter, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    made = live.repository.call("board", "--out", str(folder), "--json").ok().json
    assert "flights/1/index.html" in made["pages"]
    front = (folder / "index.html").read_text()
    assert "serving" in front
    assert REVIEWER in front
    version = (folder / "flights/1/index.html").read_text()
    assert live.repository.call("versions", "list", "--json").json[0]["commit"][:8] in version
    for said in (
        "Calibration",
        "What it relies on",
        "limit roc_auc",
        "releases/flights/1.yaml",
        "pull request 1",
    ):
        assert said in version, said
    again = live.repository.call("board", "--out", str(folder), "--json").ok().json
    assert again["changed"] == []


def test_the_board_refuses_a_folder_that_is_not_its_own(live: Chapter) -> None:
    live.repository.call("board", "--out", str(live.repository.root / "src")).refused(5, "folder of its own")


def test_the_card_says_who_let_it_in(live: Chapter, tmp_path: Path) -> None:
    text = live.repository.call("card", "--version", "1").ok().out
    assert text.startswith("# flights version 1\n")
    for said in (
        "Learned from | 2013-01..2013-03",
        "## Limits",
        "## Slices",
        f"| {REVIEWER} (pull request 1, ",
    ):
        assert said in text, said
    page = tmp_path / "card.html"
    live.repository.call("card", "--out", str(page)).ok()
    assert "Model card: flights version" in page.read_text()
    live.repository.call("card", "--out", str(tmp_path / "card.pdf")).refused(5, ".md or .html")
    live.repository.call("card", "--version", "99").refused(6, "99")
    assert json.loads(live.repository.call("status", "--json").out)
