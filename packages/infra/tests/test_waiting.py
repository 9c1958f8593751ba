"""A grant that does not count yet is waited for; every other failure is told at once."""

from __future__ import annotations

import pytest

from graphs import STACKS, plan
from mlops.infra.waiting import NOT_YET, pause
from stand_in.rules import LATER, Later, not_yet


@pytest.mark.parametrize("words", NOT_YET)
def test_what_may_be_a_grant_that_does_not_count_yet_is_tried_again(words: str) -> None:
    assert pause([f"Code={words!r} Message=..."]) == 5


def test_the_pauses_grow_and_end() -> None:
    said = ["AuthorizationFailed"]
    assert [pause(said * n) for n in range(1, 11)] == [5, 10, 20, 40, 80, 120, 120, 120, 120, None]


@pytest.mark.parametrize("said", ["409 Conflict", "400 BadRequest", "", "QuotaExceeded"])
def test_another_failure_is_told_at_once(said: str) -> None:
    assert pause([said, "AuthorizationFailed"]) is None
    assert pause([]) is None


@pytest.mark.parametrize("stack", STACKS)
def test_whatever_may_find_that_a_grant_does_not_count_yet_is_tried_again(stack: str) -> None:
    """By the stand-in's table: a kind that Azure refuses for a moment must not end a first `up`."""
    waiting = [r for r in plan(stack, everything=True).azure if not_yet(r.kind, r.inputs)]
    assert [r.name for r in waiting if not r.options.get("on_error")] == []
    met = {r.kind for r in waiting}
    if stack == "prod":
        assert met == {one.kind for one in LATER}, "every row of the table is met"
    elif stack == "dev":
        assert "eventgrid:SystemTopicEventSubscription" in met


@pytest.mark.parametrize("row", LATER, ids=lambda row: row.kind)
def test_the_words_of_every_row_are_waited_for(row: Later) -> None:
    assert pause([row.said]) == 5
    assert len(row.source) > 10


def test_what_needs_the_key_or_the_workspaces_grants_waits() -> None:
    def waiting(stack: str) -> set[str]:
        names = {r.name for r in plan(stack).azure if r.options.get("on_error")}
        return {name for name in names if not name.startswith("events-")}

    assert waiting("prod") == {"storage", "images", "workspace"}
    assert waiting("dev") == {"workspace"}
