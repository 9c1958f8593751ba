"""docs/azure-evidence.md says what is recorded, and what is recorded is what the tests ask for."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

import pytest
from pulumi_azure_native.monitor import AutoscaleSetting

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
    evidence.record([Exchange(Request("GET", known, query, {}, host="management.azure.com"), 200)])
    with pytest.raises(
        AssertionError, match=r"is stale, it lacks \['ARM GET .*workspaces/secrets 2024-10-01"
    ):
        evidence.record(
            [Exchange(Request("GET", f"{known}/secrets/x", query, {}, host="management.azure.com"), 200)]
        )


def test_every_put_is_held_to_official_types() -> None:
    puts = [row for row in evidence.recorded() if row.startswith("ARM\tPUT ")]
    assert len(puts) > 15, "hardly anything was recorded"
    for row in puts:
        assert row.rsplit("\t", 1)[-1].startswith("official types"), row


def test_the_types_of_scaling_rules_are_of_the_version_that_the_page_names() -> None:
    source = inspect.getsource(sys.modules[AutoscaleSetting.__module__])
    (version,) = set(re.findall(r"Uses Azure REST API version (\S+)\.\s", source))
    judge = documented.judge("Microsoft.Insights/autoscalesettings")
    assert judge is not None
    assert f"of {version}," in judge


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"assetId": "flights:3"}, "does not match '^azureml://registries/"),
        ({"temporaryDataReferenceType": "Blob"}, "'Blob' is not one of"),
        ({"uri": "x"}, "'uri' was unexpected"),
    ],
)
def test_room_in_a_registry_is_asked_for_in_the_form_of_the_specification(
    change: dict[str, str], sentence: str
) -> None:
    kind = "Microsoft.MachineLearningServices/registries/tempdatarefs/versions"
    right = {
        "assetId": "azureml://registries/contoso/models/flights/versions/3",
        "temporaryDataReferenceType": "TemporaryBlobReference",
    }
    assert documented.problems(kind, right) == []
    (found,) = documented.problems(kind, {**right, **change})
    assert sentence in found


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("profiles.0.capacity.minimum", 1, "1 is not of type 'string'"),
        ("profiles.0.capacity.maximum", "many", "'many' does not match"),
        ("profiles.0.rules.0.scaleAction.direction", "Up", "'Up' is not one of"),
        ("profiles.0.rules.0.scaleAction.cooldown", "5m", "'5m' does not match"),
        ("profiles.0.rules.0.metricTrigger.window", "PT5M", "'window' was unexpected"),
    ],
)
def test_scaling_rules_are_held_to_their_types(path: str, value: object, sentence: str) -> None:
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
    assert documented.problems(kind, body) == []
    *parents, last = path.split(".")
    inner = body["properties"]
    for part in parents:
        inner = inner[int(part)] if part.isdigit() else inner[part]
    inner[last] = value
    (found,) = documented.problems(kind, body)
    assert sentence in found


def test_a_value_in_another_case_passes_only_where_it_is_listed() -> None:
    said = "properties.trigger.frequency must be one of ['Minute', 'Day'], got '{}'"
    assert types._spelled(said.format("day"))
    assert not types._spelled(said.format("minute"))
    assert not types._spelled("properties.authMode must be one of ['Key', 'AADToken'], got 'aadtoken'")
