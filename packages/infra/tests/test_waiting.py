"""A grant that does not count yet is waited for; every other failure is told at once."""

from __future__ import annotations

import pytest

from graphs import plan
from mlops.infra.waiting import NOT_YET, pause


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


def test_what_needs_the_key_or_the_workspaces_grants_waits() -> None:
    def waiting(stack: str) -> set[str]:
        return {r.name for r in plan(stack).azure if r.options.get("on_error")}

    assert waiting("prod") == {"storage", "images", "workspace"}
    assert waiting("dev") == {"workspace"}
