"""docs/azure-evidence.md says what is recorded, and what is recorded is what the tests ask for."""

from __future__ import annotations

import pytest
from tests.azure import evidence
from tests.azure.emulator import Request, types
from tests.azure.emulator.server import Exchange


def test_the_page_is_what_was_recorded() -> None:
    page = evidence.PAGE.read_text(encoding="utf-8")
    assert page == evidence.render(evidence.recorded()), f"write it anew: {evidence.COMMAND} --page"


def test_an_operation_that_is_not_recorded_makes_the_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_PATH", None)
    monkeypatch.setattr(evidence, "folder", lambda: evidence.PAGE.parent)
    known = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
    query = {"api-version": "2024-10-01-preview"}
    evidence.record([Exchange(Request("GET", "management.azure.com", known, query, {}), 200)])
    with pytest.raises(
        AssertionError, match=r"is stale, it lacks \['ARM GET .*workspaces/secrets 2024-10-01"
    ):
        evidence.record(
            [Exchange(Request("GET", "management.azure.com", f"{known}/secrets/x", query, {}), 200)]
        )


def test_every_put_is_judged_or_says_why_not() -> None:
    unjudged = {name.lower() for name in types.UNJUDGED}
    puts = 0
    for row in evidence.recorded():
        service, operation, version, judge = row.split("\t")
        if service == "ARM" and operation.startswith("PUT "):
            puts += 1
            excused = version in types.UNTYPED or operation.removeprefix("PUT ").lower() in unjudged
            assert judge.startswith("answer: ") if excused else judge == "official types", row
    assert puts > 15, "hardly anything was recorded"


def test_a_value_in_another_case_passes_only_where_it_is_listed() -> None:
    said = "properties.trigger.frequency must be one of ['Minute', 'Day'], got '{}'"
    assert types._spelled(said.format("day"))
    assert not types._spelled(said.format("minute"))
    assert not types._spelled("properties.authMode must be one of ['Key', 'AADToken'], got 'aadtoken'")
