"""docs/azure-evidence.md says what is recorded, and what is recorded is what the tests ask for."""

from __future__ import annotations

from typing import Any

import pytest
from tests.azure import evidence
from tests.azure.emulator import Request, documented, types
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
    untyped = {name.lower() for name in types.UNTYPED}
    puts = 0
    for row in evidence.recorded():
        service, operation, _version, judge = row.split("\t")
        if service == "ARM" and operation.startswith("PUT "):
            puts += 1
            kind = operation.removeprefix("PUT ").lower()
            wanted = "documented fields" if kind in documented.SCHEMAS else "official types"
            assert judge.startswith("answer: " if kind in untyped else wanted), row
    assert puts > 15, "hardly anything was recorded"


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("profiles.0.capacity.minimum", 1, "1 is not of type 'string'"),
        ("profiles.0.rules.0.scaleAction.direction", "Up", "'Up' is not one of"),
        ("profiles.0.rules.0.metricTrigger.window", "PT5M", "'window' was unexpected"),
    ],
)
def test_documented_fields_refuse_what_azure_would(path: str, value: object, sentence: str) -> None:
    trigger = {
        "metricName": "CpuUtilizationPercentage",
        "metricResourceUri": "/subscriptions/s/x",
        "timeGrain": "PT1M",
        "statistic": "Average",
        "timeWindow": "PT5M",
        "timeAggregation": "Average",
        "operator": "GreaterThan",
        "threshold": 70,
    }
    action = {"direction": "Increase", "type": "ChangeCount", "value": "1", "cooldown": "PT5M"}
    capacity = {"minimum": "1", "maximum": "3", "default": "1"}
    rule = {"metricTrigger": trigger, "scaleAction": action}
    profile = {"name": "p", "capacity": capacity, "rules": [rule]}
    body: Any = {"location": "westeurope", "properties": {"profiles": [profile]}}
    kind = "Microsoft.Insights/autoscalesettings"
    assert types.platform_problems(kind, "2022-10-01", "/x/y", body) == []
    *parents, last = path.split(".")
    inner = body["properties"]
    for part in parents:
        inner = inner[int(part)] if part.isdigit() else inner[part]
    inner[last] = value
    (found,) = types.platform_problems(kind, "2022-10-01", "/x/y", body)
    assert sentence in found


def test_a_value_in_another_case_passes_only_where_it_is_listed() -> None:
    said = "properties.trigger.frequency must be one of ['Minute', 'Day'], got '{}'"
    assert types._spelled(said.format("day"))
    assert not types._spelled(said.format("minute"))
    assert not types._spelled("properties.authMode must be one of ['Key', 'AADToken'], got 'aadtoken'")
